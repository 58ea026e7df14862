import { setMaxListeners } from 'node:events';
import { afterEach, describe, expect, it } from '@jest/globals';
import { type Deferred, deferred } from '../../test/support/deferred.js';
import { until } from '../../test/support/until.js';
import { sha256Hex } from '../common/principal.js';
import { UpstreamError } from '../upstream/upstream.errors.js';
import { type EndResult, type Target, type UpstreamReply, type UpstreamSession } from '../upstream/upstream.port.js';
import { type BoundOwner, BoundSessions, type BoundUse } from './bound-sessions.js';
import { BoundedPool } from './bounded-pool.js';
import { TurnedAway } from './pool.errors.js';
import { PoolKey } from './pool-key.js';

/** A session without a server: the test loses it by hand. */
class FakeSession implements UpstreamSession {
  readonly server = { protocolVersion: '2025-11-25', capabilities: {}, serverInfo: {} };
  lost?: UpstreamError;
  closed = 0;

  constructor(
    readonly serial: number,
    readonly sessionId: string | undefined,
    readonly transport: 'streamablehttp' | 'sse',
  ) {}

  request(): Promise<UpstreamReply> {
    throw new Error('not called here');
  }
  async notify(): Promise<void> {}
  async respond(): Promise<void> {}
  onMessage(): void {}
  async close(): Promise<EndResult> {
    this.closed += 1;
    return 'terminated';
  }
}

const target = (gatewayId: string, url = `http://${gatewayId}/mcp`): Target => ({
  gatewayId,
  gatewayName: `name of ${gatewayId}`,
  url,
  transport: 'streamablehttp',
  credentials: { headers: () => ({}) },
});
const ANN = sha256Hex('ann');
const useOf = (session: string, gateway: Target, owner?: BoundOwner): BoundUse => ({
  key: PoolKey.bound(ANN, sha256Hex(session), gateway),
  sessionHash: sha256Hex(session),
  ...(owner ? { owner } : {}),
});
const forever = new AbortController().signal;
setMaxListeners(0, forever);
const lost = (): UpstreamError => new UpstreamError('UPSTREAM_SESSION_LOST', 'gone', { execution: 'none' });
const never = (): boolean => false;
const always = (): boolean => true;

interface Options {
  sessionId?: string;
  transport?: 'streamablehttp' | 'sse';
}

/** Bound sessions over the real pool, whose openings the test holds in its hand. */
function makeWorld({ sessionId = 'upstream', transport = 'streamablehttp' }: Options = {}) {
  const opened: FakeSession[] = [];
  const world = { time: 0, opening: async (_key: PoolKey): Promise<void> => undefined, opened, fakeId: sessionId };
  const pool = new BoundedPool<PoolKey, FakeSession>({
    maxPerKey: 1,
    maxTotal: 100,
    maxPerGroup: 100,
    maxKeys: 0,
    maxLeasesPerResource: 1,
    ttlMs: 1_000,
    starvingMs: 1e9,
    now: () => world.time,
    create: async (key) => {
      await world.opening(key);
      const session = new FakeSession(opened.length + 1, world.fakeId === '' ? undefined : world.fakeId, transport);
      opened.push(session);
      return session;
    },
    destroy: async (session) => void (await session.close()),
    isUsable: (session) => session.lost === undefined,
  });
  const bound = new BoundSessions({
    acquire: (key) => pool.acquire(key, forever, 'bound'),
    abandon: (key) => pool.evictKey(key),
    now: () => world.time,
  });
  pools.push(pool);
  return { pool, bound, world };
}

const pools: BoundedPool<PoolKey, FakeSession>[] = [];
afterEach(async () => {
  for (const pool of pools.splice(0)) await pool.close(0);
});

/** A call that stays on its session until the test ends it. */
function hold(bound: BoundSessions, use: BoundUse, discards = never) {
  const gate: Deferred<void> = deferred();
  const entered: Deferred<FakeSession> = deferred();
  const done = bound.use(
    use,
    async (session) => {
      entered.resolve(session as FakeSession);
      await gate.promise;
      return session as FakeSession;
    },
    forever,
    discards,
  );
  done.catch(() => undefined);
  return { entered: entered.promise, done, finish: () => gate.resolve(), fail: (why: Error) => gate.reject(why) };
}

const serialOf = async (session: UpstreamSession): Promise<number> => (session as FakeSession).serial;
const call = (bound: BoundSessions, use: BoundUse, signal = forever): Promise<number> =>
  bound.use(use, serialOf, signal, never);

describe('BoundSessions (P-4)', () => {
  const gw = target('gw');

  it('20 parallel first calls cause one opening; one of them is the miss', async () => {
    const { bound, world, pool } = makeWorld();
    const fresh: boolean[] = [];
    const work = async (session: UpstreamSession, isFresh: boolean): Promise<number> => {
      fresh.push(isFresh);
      return serialOf(session);
    };
    const calls = Array.from({ length: 20 }, () => bound.use(useOf('s', gw), work, forever, never));
    expect(await Promise.all(calls)).toEqual(Array(20).fill(1));
    expect([world.opened.length, bound.size, bound.counters.hits]).toEqual([1, 1, 19]);
    expect(fresh.every(Boolean)).toBe(true); // who waited for the opening has it as fresh as who caused it
    expect(pool.numbers).toMatchObject({ total: 1, leased: 1 });
  });

  it('calls share it at the same time, and it outlives its TTL and its idleness', async () => {
    const { bound, world, pool } = makeWorld();
    const [one, two] = [hold(bound, useOf('s', gw)), hold(bound, useOf('s', gw))];
    expect(await one.entered).toBe(await two.entered);
    one.finish();
    two.finish();
    await Promise.all([one.done, two.done]);
    world.time = 1e9;
    expect(pool.reap(1)).toEqual({ sessions: 0, keys: 0 });
    expect(await call(bound, useOf('s', gw))).toBe(1);
  });

  it('two sessions of one user, and two gateways of one session, have one each', async () => {
    const { bound } = makeWorld();
    const serials = [
      await call(bound, useOf('tab-1', gw)),
      await call(bound, useOf('tab-2', gw)),
      await call(bound, useOf('tab-1', target('other'))),
      await call(bound, useOf('tab-1', gw)),
    ];
    expect(serials).toEqual([1, 2, 3, 1]);
  });

  it('a first caller that gives up does not harm those who wait with it', async () => {
    const { bound, world } = makeWorld();
    const gate = deferred();
    world.opening = () => gate.promise;
    const given = new AbortController();
    const first = call(bound, useOf('s', gw), given.signal);
    const second = call(bound, useOf('s', gw));
    given.abort(new Error('no longer wanted'));
    await expect(first).rejects.toThrow('no longer wanted');
    gate.resolve();
    expect(await second).toBe(1);
    expect(await call(bound, useOf('s', gw))).toBe(1);
  });

  it('when all have given up, what was opened is there for the next', async () => {
    const { bound, world } = makeWorld();
    const gate = deferred();
    world.opening = () => gate.promise;
    const given = new AbortController();
    const first = call(bound, useOf('s', gw), given.signal).catch(() => 'given up');
    given.abort();
    expect(await first).toBe('given up');
    gate.resolve();
    await until(() => bound.size === 1, { what: 'the session is bound' });
    expect(await call(bound, useOf('s', gw))).toBe(1);
  });

  it('an opening that fails fails those who waited for it, and nobody after them', async () => {
    const { bound, world } = makeWorld();
    world.opening = () => Promise.reject(new Error('refused'));
    const outcomes = await Promise.allSettled([1, 2, 3].map(() => call(bound, useOf('s', gw))));
    expect(outcomes.map(({ status }) => status)).toEqual(Array(3).fill('rejected'));
    world.opening = async () => undefined;
    expect(await call(bound, useOf('s', gw))).toBe(1);
    expect(bound.counters).toMatchObject({ reopened: 0, stateLost: 0 });
  });
});

describe('the end of a bound session (P-4)', () => {
  const gw = target('gw');

  it('a failed call retires it: others in flight go on, new ones get another, and it ends with its last call', async () => {
    const { bound, world } = makeWorld();
    const [broken, other] = [hold(bound, useOf('s', gw), always), hold(bound, useOf('s', gw), always)];
    const old = await broken.entered;
    await other.entered;
    broken.fail(new Error('broke'));
    await expect(broken.done).rejects.toThrow('broke');
    expect(old.closed).toBe(0);
    const next = call(bound, useOf('s', gw)); // waits: the pool has one place for the key, and the old one is in it
    other.fail(new Error('broke, too'));
    await expect(other.done).rejects.toThrow('broke, too');
    expect(await next).toBe(2);
    expect([old.closed, world.opened.length, bound.size]).toEqual([1, 2, 1]);
  });

  it('end(): idle ones end at once, those in use with their last call', async () => {
    const { bound, world, pool } = makeWorld();
    await call(bound, useOf('s', target('idle')));
    const busy = hold(bound, useOf('s', gw));
    await busy.entered;
    await call(bound, useOf('other', gw));
    bound.end(sha256Hex('s'));
    await until(() => world.opened[0]?.closed === 1, { what: 'the idle one ended' });
    expect(world.opened[1]?.closed).toBe(0);
    busy.finish();
    expect((await busy.done).serial).toBe(2);
    await until(() => world.opened[1]?.closed === 1, { what: 'the busy one ended after its call' });
    expect([bound.size, pool.numbers.total]).toEqual([1, 1]); // another session's is untouched
  });

  it('end() while it is being opened: those who wait are served, then it ends', async () => {
    const { bound, world, pool } = makeWorld();
    const gate = deferred();
    world.opening = () => gate.promise;
    const calls = [call(bound, useOf('s', gw)), call(bound, useOf('s', gw))];
    bound.end(sha256Hex('s'));
    gate.resolve();
    expect(await Promise.all(calls)).toEqual([1, 1]);
    await until(() => pool.numbers.total === 0, { what: 'it ended' });
    expect([world.opened[0]?.closed, bound.size]).toEqual([1, 0]);
  });

  it('end() while it is being opened for nobody any more: it ends when it is there', async () => {
    const { bound, world, pool } = makeWorld();
    const gate = deferred();
    world.opening = () => gate.promise;
    const given = new AbortController();
    const first = call(bound, useOf('s', gw), given.signal).catch(() => undefined);
    given.abort();
    await first;
    bound.end(sha256Hex('s'));
    gate.resolve();
    await until(() => world.opened.length === 1 && pool.numbers.total === 0, { what: 'it ended' });
  });

  it('a call that comes after the end opens nothing: nobody would ever end it', async () => {
    const { bound, world, pool } = makeWorld();
    await call(bound, useOf('s', gw));
    bound.end(sha256Hex('s'));
    await expect(call(bound, useOf('s', gw))).rejects.toMatchObject({ code: 'SESSION_NOT_FOUND' });
    bound.end(sha256Hex('never called'));
    await expect(call(bound, useOf('never called', gw))).rejects.toMatchObject({ code: 'SESSION_NOT_FOUND' });
    await until(() => pool.numbers.total === 0, { what: 'all ended' });
    expect(world.opened).toHaveLength(1);
  });

  it('P-14 evictGateway(): this gateway alone, whatever the session is doing; the next call opens anew', async () => {
    const { bound, world } = makeWorld();
    const other = target('other');
    await call(bound, useOf('s', other));
    await call(bound, useOf('idle', gw));
    const busy = hold(bound, useOf('s', gw));
    await busy.entered;
    bound.evictGateway('gw');
    await until(() => world.opened[1]?.closed === 1, { what: 'the idle one ended' });
    expect([world.opened[0]?.closed, world.opened[2]?.closed]).toEqual([0, 0]);
    busy.finish();
    await busy.done;
    await until(() => world.opened[2]?.closed === 1, { what: 'the busy one ended' });
    expect(await call(bound, useOf('s', gw))).toBe(4);
    expect(await call(bound, useOf('s', other))).toBe(1);
  });

  it('P-14 evictGateway() while it is being opened: what was opened with the old data is not kept', async () => {
    const { bound, world } = makeWorld();
    const gate = deferred();
    world.opening = () => gate.promise;
    const early = call(bound, useOf('s', gw));
    bound.evictGateway('gw');
    gate.resolve();
    await expect(early).rejects.toBeInstanceOf(TurnedAway); // the pool asks anew where it goes
    await until(() => world.opened[0]?.closed === 1, { what: 'the old one ended' });
    expect(await call(bound, useOf('s', gw))).toBe(2);
  });

  it('another URL for the same gateway replaces it', async () => {
    const { bound, world } = makeWorld();
    await call(bound, useOf('s', gw));
    expect(await call(bound, useOf('s', target('gw', 'http://moved/mcp')))).toBe(2);
    await until(() => world.opened[0]?.closed === 1, { what: 'the old one ended' });
    expect(bound.size).toBe(1);
  });

  it('renewAll() ends everything once, and the downstream sessions go on', async () => {
    const { bound, world, pool } = makeWorld();
    for (const session of ['a', 'b', 'c']) await call(bound, useOf(session, gw));
    bound.renewAll();
    bound.renewAll();
    await until(() => pool.numbers.total === 0, { what: 'all ended' });
    expect(world.opened.map(({ closed }) => closed)).toEqual([1, 1, 1]);
    expect(await call(bound, useOf('a', gw))).toBe(4); // the downstream session has not ended
  });
});

describe('a bound session that had to be opened anew (P-9)', () => {
  const gw = target('gw');

  function recorded() {
    const events: string[] = [];
    const owner: BoundOwner = {
      clientCapabilities: {},
      opened: async (session, again) =>
        void events.push(`${again ? 'again' : 'first'} ${(session as FakeSession).serial}`),
      stateLost: (gateway) => void events.push(`state of ${gateway} lost`),
    };
    return { owner, events };
  }

  it('tells its owner before the first call on each, and the client, once; no state is lost by a first opening', async () => {
    const { bound, world } = makeWorld();
    const { owner, events } = recorded();
    const use = useOf('s', gw, owner);
    await call(bound, use);
    await call(bound, use);
    expect(events).toEqual(['first 1']);
    events.length = 0;
    (world.opened[0] as FakeSession).lost = lost();
    const work = async (session: UpstreamSession): Promise<void> => void events.push(`work ${await serialOf(session)}`);
    await Promise.all([1, 2].map(() => bound.use(use, work, forever, never)));
    expect(events).toEqual(['again 2', 'state of name of gw lost', 'work 2', 'work 2']);
    expect(bound.counters).toMatchObject({ reopened: 1, stateLost: 1 });
    expect(world.opened[0]?.closed).toBe(1);
  });

  it('a server without sessions had no state to lose', async () => {
    const { bound, world } = makeWorld({ sessionId: '' });
    const { owner, events } = recorded();
    await call(bound, useOf('s', gw, owner));
    (world.opened[0] as FakeSession).lost = lost();
    await call(bound, useOf('s', gw, owner));
    expect(events).toEqual(['first 1', 'again 2']);
    expect(bound.counters).toMatchObject({ reopened: 1, stateLost: 0 });
  });

  it('over SSE the stream is the session, so its state is lost with it', async () => {
    const { bound, world } = makeWorld({ sessionId: '', transport: 'sse' });
    const { owner, events } = recorded();
    await call(bound, useOf('s', gw, owner));
    (world.opened[0] as FakeSession).lost = lost();
    await call(bound, useOf('s', gw, owner));
    expect(events).toEqual(['first 1', 'again 2', 'state of name of gw lost']);
  });

  it('an owner that fails is not the failure of the call', async () => {
    const { bound, world } = makeWorld();
    const opened = (): Promise<void> => Promise.reject(new Error('no'));
    const owner: BoundOwner = { clientCapabilities: {}, opened, stateLost: () => undefined };
    await call(bound, useOf('s', gw, owner));
    (world.opened[0] as FakeSession).lost = lost();
    expect(await call(bound, useOf('s', gw, owner))).toBe(2);
  });

  it('P-14: after an eviction, too: level and subscriptions were made on the session that is gone', async () => {
    const { bound } = makeWorld();
    const { owner, events } = recorded();
    await call(bound, useOf('s', gw, owner));
    bound.evictGateway('gw');
    await call(bound, useOf('s', target('gw', 'http://moved/mcp'), owner));
    expect(events).toEqual(['first 1', 'again 2', 'state of name of gw lost']);
  });

  it('P-10: work is told for how long nobody had used the session, and what it finds unsound is replaced', async () => {
    const { bound, world } = makeWorld();
    const seen: [serial: number, fresh: boolean, idleMs: number][] = [];
    const look = async (session: UpstreamSession, fresh: boolean, idleMs: number): Promise<void> => {
      seen.push([await serialOf(session), fresh, idleMs]);
      if (idleMs >= 700) throw lost();
    };
    const use = (): Promise<void> => bound.use(useOf('s', gw), look, forever, always);
    await use();
    await new Promise(setImmediate); // the opening has let go of it
    world.time = 699;
    await use();
    world.time += 700;
    await expect(use()).rejects.toMatchObject({ code: 'UPSTREAM_SESSION_LOST' });
    await use();
    expect(seen).toEqual([
      [1, true, 0],
      [1, false, 699],
      [1, false, 700],
      [2, true, 0],
    ]);
    expect(world.opened[0]?.closed).toBe(1);
  });

  it('P-10: while a call is in flight the session is not idle', async () => {
    const { bound, world } = makeWorld();
    const busy = hold(bound, useOf('s', gw));
    await busy.entered;
    await new Promise(setImmediate);
    world.time = 700;
    const idle = await bound.use(useOf('s', gw), async (_session, _fresh, idleMs) => idleMs, forever, never);
    expect(idle).toBe(0);
    busy.finish();
    await busy.done;
  });
});
