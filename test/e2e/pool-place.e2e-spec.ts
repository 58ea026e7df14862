import { afterEach, describe, expect, it } from '@jest/globals';
import { type BoundOwner, PoolKey, type PoolUse, type Target } from '../../src/session-pool/index.js';
import { deferred } from '../support/deferred.js';
import { rpcError } from '../support/raw-mcp.js';
import { endAll, makePool, PARAMS, raw, targetOf, USER } from './pool-bare.support.js';

afterEach(() => endAll());

const never = new AbortController().signal;

/** Calls whose gateway is, at each attempt, what the test says then. */
function following(target: () => Target): PoolUse {
  const place: PoolUse['place'] = () => ({ key: PoolKey.pooled(USER, target()) });
  return { gatewayId: 'g', gatewayName: 'raw', place, repeatable: false, borrower: 'test' };
}

describe('where a call goes is asked anew (P-14)', () => {
  it('after it waited for its turn among the calls of its gateway', async () => {
    const [old, moved] = [await raw(() => ({})), await raw(() => ({}))];
    const { pool } = makePool({ calls: { maxInFlight: 1, maxQueued: 10 } });
    let target = targetOf(old);
    const use = following(() => target);
    const [entered, finish] = [deferred<void>(), deferred<void>()];
    const first = pool.use(use, async () => (entered.resolve(), finish.promise), never);
    await entered.promise;
    const second = pool.use(use, (session) => session.request('tools/call', PARAMS), never);
    target = targetOf(moved);
    finish.resolve();
    await Promise.all([first, second]);
    expect([old.count['tools/call'], moved.count['tools/call']]).toEqual([undefined, 1]);
  });

  it('for the attempt after a dead session', async () => {
    let target: Target;
    const moved = await raw(() => ({}));
    let forgotten = false;
    const old = await raw((_message, res) => {
      if (!forgotten) return {};
      target = targetOf(moved);
      return void res.writeHead(404).end();
    });
    const { pool } = makePool();
    target = targetOf(old);
    const use = following(() => target);
    const call = () => pool.use(use, (session) => session.request('tools/call', PARAMS), never);
    await call();
    forgotten = true;
    await expect(call()).resolves.toMatchObject({ kind: 'result' });
    expect([old.count['tools/call'], moved.count['tools/call']]).toEqual([2, 1]);
  });
});

describe('what a session declares to its server (P-4)', () => {
  it('bound: the capabilities of its client; pooled: none; and its owner hears of every opening first', async () => {
    let lost = false;
    const server = await raw((message, res) => {
      if (!lost) return {};
      lost = false;
      return rpcError(res, message, -32001, 'Session not found');
    });
    const { pool } = makePool();
    const events: string[] = [];
    const owner: BoundOwner = {
      clientCapabilities: { sampling: {}, elicitation: { form: {} } },
      opened: async (_session, again) => void events.push(again ? 'again' : 'first'),
      stateLost: () => undefined,
    };
    const key = PoolKey.bound('user', 'hash', targetOf(server), owner.clientCapabilities);
    const place: PoolUse['place'] = () => ({ key, bound: { sessionHash: 'hash', owner } });
    const use = { gatewayId: 'g', gatewayName: 'raw', place, repeatable: true, borrower: 'test' };
    const call = (): Promise<unknown> =>
      pool.use(use, (session) => (events.push('call'), session.request('tools/call', PARAMS)), never);
    await call();
    lost = true;
    await call();
    await pool.use(
      following(() => targetOf(server)),
      (session) => session.request('tools/call', PARAMS),
      never,
    );
    expect(events).toEqual(['first', 'call', 'call', 'again', 'call']);
    expect(server.declared).toEqual([owner.clientCapabilities, owner.clientCapabilities, {}]);
  });
});
