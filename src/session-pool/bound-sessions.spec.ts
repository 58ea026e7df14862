import { describe, expect, it } from '@jest/globals';
import {
  always,
  call,
  type FakeSession,
  forever,
  hold,
  lost,
  makeWorld,
  never,
  serialOf,
  target,
  useOf,
} from '../../test/support/bound-world.js';
import { deferred } from '../../test/support/deferred.js';
import { until } from '../../test/support/until.js';
import { sha256Hex } from '../common/principal.js';
import { type UpstreamSession } from '../upstream/upstream.port.js';
import { TurnedAway } from './pool.errors.js';

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

describe('a bound session that nobody asks for any more', () => {
  const gw = target('gw');

  it('P-8 reap(): one that is lost gives its place back without its next use', async () => {
    const { bound, world, pool } = makeWorld();
    await call(bound, useOf('lost', gw));
    await call(bound, useOf('sound', gw));
    (world.opened[0] as FakeSession).lost = lost();
    await new Promise(setImmediate); // the openings have let go of them
    bound.reap();
    await until(() => pool.numbers.total === 1, { what: 'the lost one ended' });
    expect(world.opened.map(({ closed }) => closed)).toEqual([1, 0]);
    expect(await call(bound, useOf('lost', gw))).toBe(3);
    expect(bound.counters).toMatchObject({ reopened: 1, stateLost: 1 });
  });

  it('end(): what is opened after its callers and its slot gave up ends when it is there', async () => {
    // Story: it became idle in the pool, under a key that nobody would ask for again, and stayed for its whole TTL.
    const { bound, world, pool } = makeWorld({ acquireMs: 10 });
    const gate = deferred();
    world.opening = () => gate.promise;
    await expect(call(bound, useOf('s', gw))).rejects.toMatchObject({ code: 'POOL_EXHAUSTED' });
    bound.end(sha256Hex('s'));
    gate.resolve();
    await until(() => world.opened[0]?.closed === 1, { what: 'it ended' });
    await until(() => pool.numbers.total === 0, { what: 'its place is free' });
  });

  it('end() before the slot gives up: the same', async () => {
    const { bound, world, pool } = makeWorld({ acquireMs: 10 });
    const gate = deferred();
    world.opening = () => gate.promise;
    const first = call(bound, useOf('s', gw));
    bound.end(sha256Hex('s'));
    await expect(first).rejects.toMatchObject({ code: 'POOL_EXHAUSTED' });
    gate.resolve();
    await until(() => world.opened[0]?.closed === 1 && pool.numbers.total === 0, { what: 'it ended' });
  });
});
