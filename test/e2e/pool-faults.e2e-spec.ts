import { afterEach, describe, expect, it } from '@jest/globals';
import { PoolKey, type Target, UpstreamError } from '../../src/session-pool/index.js';
import { rpcError } from '../support/raw-mcp.js';
import { until } from '../support/until.js';
import { endAll, hang, makePool, PARAMS, pay, raw, targetOf, USER } from './pool-bare.support.js';
import { useOf } from '../support/pool-use.js';

/** Findings of a review, kept: what each title says was not so. */

afterEach(() => endAll());

describe('an unsafe call runs once, and is never called unrun when it may have run (P-9, P-13)', () => {
  it.each([true, false])('a server that dies in mid-call; pool enabled: %s', async (enabled) => {
    const server = await raw((_message, res) => void res.socket?.destroy());
    const { pool } = makePool({ enabled });
    const error = await pay(pool, targetOf(server)).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'UPSTREAM_INTERRUPTED', execution: 'unknown' });
    expect(server.count['tools/call']).toBe(1);
  });

  it.each([
    [-32000, 'login session has expired'],
    [-32001, 'Browser session 7 not found'],
    [-32001, 'Session not found'],
  ])("a tool's own error %i %j is its answer, on a warm session too", async (code, text) => {
    let warm = false;
    const server = await raw((message, res) => (warm ? rpcError(res, message, code, text) : {}));
    const { pool } = makePool();
    for (const bound of [true, false]) {
      warm = false;
      await pay(pool, targetOf(server), { bound });
      warm = true;
      const before = server.count['tools/call'] ?? 0;
      const reply = await pay(pool, targetOf(server), { bound });
      expect(reply.kind).toBe('error');
      expect(reply.raw.toString()).toContain(text);
      expect((server.count['tools/call'] ?? 0) - before).toBe(1);
    }
  });
});

describe('repair ends (P-9)', () => {
  it('a server that forgets every session at once: no storm, whoever asks', async () => {
    const server = await raw((_message, res) => void res.writeHead(404).end());
    const { pool } = makePool();
    const calls = Array.from({ length: 20 }, () => pay(pool, targetOf(server), { bound: true }));
    for (const call of await Promise.allSettled(calls)) {
      expect(call).toMatchObject({ status: 'rejected', reason: { code: 'UPSTREAM_SESSION_LOST', execution: 'none' } });
    }
    expect(server.count['initialize']).toBeLessThanOrEqual(2);
    expect(server.count['tools/call']).toBeLessThanOrEqual(40);
  });

  it('sessions that were opened for a burst and never used are repaired like any other', async () => {
    let epoch = 1;
    const known = new Map<string, number>();
    const server = await raw((_message, res, req) => {
      const id = String(req.headers['mcp-session-id']);
      if (!known.has(id)) known.set(id, epoch);
      if (known.get(id) !== epoch || (epoch === 2 && Number(id.slice(4)) <= before))
        return void res.writeHead(404).end();
      return {};
    });
    let before = 0;
    const { pool } = makePool();
    await Promise.all(Array.from({ length: 12 }, () => pay(pool, targetOf(server))));
    await until(() => pool.numbers.opening === 0, { what: 'the surplus sessions are there' });
    before = server.count['initialize'] ?? 0;
    epoch = 2; // the server was restarted: all sessions so far are unknown
    const calls = await Promise.allSettled(Array.from({ length: 10 }, () => pay(pool, targetOf(server))));
    expect(calls.filter(({ status }) => status === 'rejected')).toEqual([]);
  });
});

describe('numbers are true (P-17)', () => {
  it('a server that refuses DELETE: orphans are counted apart, and the scrape goes on', async () => {
    const server = await raw(() => ({}), { deleteStatus: 405 });
    const { pool, metrics } = makePool();
    const signal = AbortSignal.timeout(3_000);
    for (let round = 0; round < 3; round++) {
      await pool.openUnpooled(targetOf(server), 'registering', async () => undefined, signal);
    }
    await pay(pool, targetOf(server));
    await pool.close();
    expect(pool.getMetrics()).toMatchObject({ created: 1, terminated: 0, orphaned: 1 });
    await expect(metrics.registry.metrics()).resolves.toContain(
      'mcpgateway_unpooled_sessions_orphaned_total{purpose="registering"} 3',
    );
  });

  it('close() does not wait for an initialize that hangs beyond its grace (P-11)', async () => {
    const server = await raw(() => ({}));
    const hung = { ...targetOf(server), url: (await hang()).url };
    const { pool } = makePool({ createTimeoutMs: 10_000 });
    const call = pay(pool, hung).catch((thrown: unknown) => thrown);
    const started = performance.now();
    await pool.close();
    expect(performance.now() - started).toBeLessThan(2_000);
    expect(await call).toMatchObject({ code: 'POOL_CLOSED' });
  });
});

describe('the newest connection data count (P-14)', () => {
  it('a bound session is opened anew with the target of the caller, not with the first one', async () => {
    const server = await raw(() => ({}));
    const { pool } = makePool();
    const seen: string[] = [];
    const target = (name: string): Target => ({
      ...targetOf(server),
      credentials: { headers: () => (seen.push(name), {}) },
    });
    await pay(pool, target('old'), { bound: true });
    pool.evictGateway('g');
    seen.length = 0;
    await pay(pool, target('new'), { bound: true });
    // The old session's own DELETE is still its own.
    expect(seen.filter((name) => name === 'new').length).toBeGreaterThanOrEqual(3);
  });
});

describe('a server that hangs after it was warm (P-8, P-12)', () => {
  it('is found out before the next call, not by its whole deadline', async () => {
    let hangs = false;
    const server = await raw(() => (hangs ? undefined : {}));
    const { pool } = makePool();
    await pay(pool, targetOf(server));
    hangs = true;
    const late = new UpstreamError('UPSTREAM_TIMEOUT', 'too slow', { execution: 'unknown' });
    const limit = new AbortController();
    const key = PoolKey.pooled(USER, targetOf(server));
    const call = pool.use(
      useOf(key),
      (session) => session.request('tools/call', PARAMS, { signal: limit.signal }),
      limit.signal,
    );
    limit.abort(late);
    await expect(call).rejects.toBe(late);
    await pay(pool, targetOf(server)).catch(() => undefined);
    expect(server.count['ping']).toBeGreaterThanOrEqual(1);
    expect(pool.getMetrics().healthCheckFailures).toBe(1);
  });
});
