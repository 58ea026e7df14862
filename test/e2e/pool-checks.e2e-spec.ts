import { type ServerResponse } from 'node:http';
import { afterEach, describe, expect, it } from '@jest/globals';
import { CodedError } from '../../src/common/errors.js';
import { PoolKey, type PoolUse, type Target } from '../../src/session-pool/index.js';
import { useOf } from '../support/pool-use.js';
import { type RawMessage } from '../support/raw-mcp.js';
import { until } from '../support/until.js';
import { endAll, makePool, PARAMS, raw, targetOf, USER } from './pool-bare.support.js';

afterEach(() => endAll());

const never = new AbortController().signal;
const IDLE_MS = 250;

/** A warm session, idle for so long that it is looked at, at a server that answers a ping when the test says so. */
async function idle(kind: 'bound' | 'pooled') {
  const pings: { message: RawMessage; res: ServerResponse }[] = [];
  const server = await raw((message, res) =>
    message.method === 'ping' ? void pings.push({ message, res }) : { content: [] },
  );
  const { pool } = makePool({
    healthCheckIntervalMs: IDLE_MS,
    healthCheckTimeoutMs: 5_000,
    maxPerKey: 1,
    maxLeasesPerResource: 10,
  });
  const use: PoolUse =
    kind === 'bound'
      ? useOf(PoolKey.bound('user', 'hash', targetOf(server)), { sessionHash: 'hash' })
      : useOf(PoolKey.pooled(USER, targetOf(server)));
  const call = (signal = never): Promise<unknown> =>
    pool.use(use, (session) => session.request('tools/call', PARAMS, { signal }), signal);
  await call();
  const since = performance.now();
  await until(() => performance.now() - since > IDLE_MS, { what: 'it was idle for long' });
  const answer = (error?: object): void => {
    for (const { message, res } of pings.splice(0)) {
      const body = { jsonrpc: '2.0', id: message.id, ...(error ? { error } : { result: {} }) };
      res.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    }
  };
  const pinged = (): Promise<unknown> => until(() => pings.length === 1, { what: 'the session is looked at' });
  return { server, pool, call, answer, pinged };
}

describe.each(['bound', 'pooled'] as const)('parallel calls on a %s session that was idle (P-10)', (kind) => {
  it('all wait for the one check', async () => {
    const { server, call, answer, pinged } = await idle(kind);
    const calls = Promise.all([1, 2, 3, 4, 5].map(() => call()));
    await pinged();
    for (let turn = 0; turn < 20; turn += 1) await new Promise(setImmediate);
    expect(server.count).toMatchObject({ ping: 1, 'tools/call': 1 }); // that is the one that warmed it
    answer();
    await calls;
    expect(server.count).toMatchObject({ initialize: 1, ping: 1, 'tools/call': 6 });
  });

  it('does not pass: all get the next session, and none is run on the sick one', async () => {
    const { server, pool, call, answer, pinged } = await idle(kind);
    const calls = Promise.all([1, 2, 3].map(() => call()));
    await pinged();
    answer({ code: -32603, message: 'ill' });
    await calls;
    expect(server.count).toMatchObject({ initialize: 2, ping: 1, 'tools/call': 4, DELETE: 1 });
    expect(pool.getMetrics()).toMatchObject({ healthCheckFailures: 1, repeats: 3 });
  });

  it('who came first may give up: the others go on waiting for the same check', async () => {
    const { server, call, answer, pinged } = await idle(kind);
    const first = new AbortController();
    const given = call(first.signal);
    await pinged();
    const second = call();
    first.abort(new CodedError('CANCELLED', 'given up'));
    await expect(given).rejects.toMatchObject({ code: 'CANCELLED' });
    answer();
    await second;
    expect(server.count).toMatchObject({ ping: 1, 'tools/call': 2 });
  });

  it('everybody has given up: a session that does not pass is not lent again', async () => {
    const { server, pool, call, answer, pinged } = await idle(kind);
    const limit = new AbortController();
    const given = call(limit.signal);
    await pinged();
    limit.abort(new CodedError('CANCELLED', 'given up'));
    await expect(given).rejects.toMatchObject({ code: 'CANCELLED' });
    answer({ code: -32603, message: 'ill' });
    await until(() => server.count['DELETE'] === 1, { what: 'it has ended' });
    await call();
    expect(server.count).toMatchObject({ initialize: 2, 'tools/call': 2, DELETE: 1 });
    expect(pool.getMetrics().healthCheckFailures).toBe(1);
  });
});

describe('a source of credentials that fails (P-8)', () => {
  it('is not a broken connection: the call is told so, and the pooled session stays', async () => {
    const server = await raw(() => ({ content: [] }));
    const { pool } = makePool();
    let failure: Error | undefined;
    const headers = (): Record<string, string> => {
      if (failure) throw failure;
      return {};
    };
    const target: Target = { ...targetOf(server), credentials: { headers } };
    const call = (): Promise<unknown> =>
      pool.use(useOf(PoolKey.pooled(USER, target)), (session) => session.request('tools/call', PARAMS), never);
    await call();
    failure = new Error('no token');
    await expect(call()).rejects.toMatchObject({
      code: 'UPSTREAM_UNAUTHORIZED',
      message: expect.stringMatching(/^raw: /),
    });
    failure = new CodedError('INTERNAL', 'cannot be decrypted');
    await expect(call()).rejects.toBe(failure);
    failure = undefined;
    await call();
    expect(server.count).toMatchObject({ initialize: 1, 'tools/call': 2 });
    expect(pool.getMetrics()).toMatchObject({ evictions: 0, hits: 3, misses: 1 });
  });
});
