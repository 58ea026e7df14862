import { setMaxListeners } from 'node:events';
import { describe, expect, it } from '@jest/globals';
import { deferred } from '../../test/support/deferred.js';
import { until } from '../../test/support/until.js';
import { BoundedPool } from './bounded-pool.js';
import { type BoundedPoolOptions, type EndReason } from './bounded-pool.types.js';
import { PoolError, TurnedAway } from './pool.errors.js';

interface Resource {
  readonly key: string;
  readonly serial: number;
  usable: boolean;
}
interface Key {
  readonly id: string;
  readonly group: string;
}
const A: Key = { id: 'a', group: 'one' };
const B: Key = { id: 'b', group: 'one' };
const C: Key = { id: 'c', group: 'two' };
const forever = new AbortController().signal;
setMaxListeners(0, forever);

/** A pool of counted resources whose clock and whose openings the test holds in its hand. */
function makePool(overrides: Partial<BoundedPoolOptions<Key, Resource>> = {}) {
  const world = {
    time: 0,
    serial: 0,
    open: 0,
    maxOpen: 0,
    ended: [] as { resource: Resource; why: EndReason }[],
    opening: async (_key: Key): Promise<void> => undefined,
    closing: async (): Promise<void> => undefined,
  };
  const pool = new BoundedPool<Key, Resource>({
    maxPerKey: 2,
    maxTotal: 100,
    maxPerGroup: 100,
    maxKeys: 0,
    maxLeasesPerResource: 1,
    ttlMs: 1_000,
    starvingMs: 1e9,
    now: () => world.time,
    random: () => 0.5,
    isUsable: (resource) => resource.usable,
    create: async (key) => {
      world.open += 1;
      world.maxOpen = Math.max(world.maxOpen, world.open);
      try {
        await world.opening(key);
      } catch (error) {
        world.open -= 1;
        throw error;
      }
      return { key: key.id, serial: (world.serial += 1), usable: true };
    },
    destroy: async (resource, why) => {
      await world.closing();
      world.open -= 1;
      world.ended.push({ resource, why });
    },
    ...overrides,
  });
  return { pool, world };
}

/** Whether the promise is still pending after everything that is ready has run. */
async function pending(promise: Promise<unknown>): Promise<boolean> {
  const marker = Symbol();
  for (let turn = 0; turn < 20; turn++) await Promise.resolve();
  return (await Promise.race([promise.catch(() => undefined), Promise.resolve(marker)])) === marker;
}

describe('BoundedPool', () => {
  it('P-6 lends the idle one again: one miss, then hits', async () => {
    const { pool, world } = makePool();
    for (let call = 0; call < 3; call++) (await pool.acquire(A, forever)).release('reuse');
    expect(world.serial).toBe(1);
    expect(pool.counters).toMatchObject({ misses: 1, hits: 2, opened: 1 });
  });

  it('P-6 lends the newest idle one first', async () => {
    const { pool } = makePool();
    const [first, second] = [await pool.acquire(A, forever), await pool.acquire(A, forever)];
    first.release('reuse');
    second.release('reuse');
    expect((await pool.acquire(A, forever)).resource).toBe(second.resource);
  });

  it('P-7 opens no more than the cap, however many ask in one tick', async () => {
    const { pool, world } = makePool({ maxPerKey: 3 });
    const asked = Array.from({ length: 50 }, () => pool.acquire(A, forever));
    for (const one of asked) (await one).release('reuse');
    expect(world.maxOpen).toBe(3);
    expect(pool.numbers).toMatchObject({ total: 3, idle: 3, leased: 0, waiting: 0 });
  });

  it('P-6 hands a released one to the longest waiter, and nobody overtakes', async () => {
    const { pool } = makePool({ maxPerKey: 1 });
    const held = await pool.acquire(A, forever);
    const served: number[] = [];
    const waiting = [1, 2, 3].map(async (place) => {
      const lease = await pool.acquire(A, forever);
      served.push(place);
      lease.release('reuse');
    });
    expect(pool.tryAcquire(A)).toBeUndefined();
    held.release('reuse');
    await Promise.all(waiting);
    expect(served).toEqual([1, 2, 3]);
  });

  it('P-7 makes room: the least recently used idle one of another key ends', async () => {
    const { pool, world } = makePool({ maxTotal: 2 });
    (await pool.acquire(A, forever)).release('reuse');
    world.time = 10;
    (await pool.acquire(B, forever)).release('reuse');
    world.time = 20;
    const lease = await pool.acquire(C, forever);
    expect(lease.resource.key).toBe('c');
    expect(world.ended.map(({ resource, why }) => [resource.key, why])).toEqual([['a', 'made-room']]);
    expect(world.maxOpen).toBe(2);
  });

  it('P-7 never ends a leased one to make room: it waits, and takes the place when it is free', async () => {
    const { pool } = makePool({ maxTotal: 1 });
    const held = await pool.acquire(A, forever);
    const waiting = pool.acquire(B, forever);
    expect(await pending(waiting)).toBe(true);
    held.release('reuse');
    expect((await waiting).resource.key).toBe('b');
  });

  it('P-7 a busy key does not starve the others for ever', async () => {
    const { pool, world } = makePool({ maxTotal: 1, starvingMs: 50 });
    let held = await pool.acquire(A, forever);
    const starving = pool.acquire(B, forever);
    for (world.time = 10; world.time < 50; world.time += 10) {
      const next = pool.acquire(A, forever);
      held.release('reuse');
      held = await next; // handed over within the key
    }
    const behind = pool.acquire(A, forever);
    held.release('reuse');
    (await starving).release('reuse');
    expect((await behind).resource.key).toBe('a');
    expect(world.maxOpen).toBe(1);
  });

  it('P-7 keys that starve do not end what is opened for each other', async () => {
    // Story: each fresh resource was ended for the other key, whose fresh one was ended for this: open, end, for ever.
    const { pool, world } = makePool({ maxTotal: 1, maxPerKey: 1, starvingMs: 50 });
    const held = await pool.acquire(A, forever);
    const starving = [B, C, B, C].map((key) => pool.acquire(key, forever));
    world.time = 60;
    held.release('reuse');
    for (const lease of starving) lease.then((given) => given.release('reuse')).catch(() => undefined);
    await Promise.all(starving);
    expect(world.serial).toBeLessThanOrEqual(5);
  });

  it('P-7 nor within the cap of a group', async () => {
    const { pool, world } = makePool({ maxPerGroup: 1, starvingMs: 50 });
    const held = await pool.acquire(A, forever);
    held.release('reuse');
    const busy = await pool.acquire(A, forever);
    const starving = pool.acquire(B, forever);
    const behind = pool.acquire(A, forever);
    world.time = 60;
    busy.release('reuse');
    (await starving).release('reuse');
    (await behind).release('reuse');
  });

  it('P-6 a waiter that no slot would help makes no other key give its session up', async () => {
    const { pool, world } = makePool({ maxPerKey: 1, maxTotal: 2, starvingMs: 50 });
    const c = await pool.acquire(C, forever);
    const second = pool.acquire(C, forever); // waits for its own key's cap
    const a = await pool.acquire(A, forever);
    const next = pool.acquire(A, forever);
    world.time = 100;
    a.release('reuse');
    expect((await next).resource).toBe(a.resource);
    c.release('reuse');
    expect((await second).resource).toBe(c.resource);
  });

  it('P-9 one that was opened for somebody who gave up is as good as any other, not fresh', async () => {
    const { pool, world } = makePool();
    const gate = deferred<void>();
    world.opening = () => gate.promise;
    const limit = new AbortController();
    const given = pool.acquire(A, limit.signal).catch(() => undefined);
    limit.abort();
    await given;
    gate.resolve();
    await until(() => pool.numbers.idle === 1, { what: 'the session became idle' });
    world.time = 70;
    expect(pool.tryAcquire(A)).toMatchObject({ fresh: false, idleMs: 70 });
    expect(pool.counters).toMatchObject({ misses: 1, hits: 0 });
  });

  it('P-7 limits what one group may take', async () => {
    const { pool } = makePool({ maxPerGroup: 1 });
    const a = await pool.acquire(A, forever);
    const waiting = pool.acquire(B, forever);
    (await pool.acquire(C, forever)).release('reuse'); // of another group
    expect(await pending(waiting)).toBe(true);
    a.release('reuse');
    expect((await waiting).resource.key).toBe('b');
  });

  it('P-14 opens with the newest of equal keys, also while an old lease is out', async () => {
    const opened: Key[] = [];
    const { pool, world } = makePool();
    world.opening = async (key) => void opened.push(key);
    const old = await pool.acquire(A, forever);
    pool.evict(() => true);
    const renewed: Key = { ...A };
    await pool.acquire(renewed, forever);
    expect(opened[1]).toBe(renewed);
    old.release('reuse');
  });

  it('P-9 what got no answer is looked at before its next use, once', async () => {
    const { pool } = makePool();
    (await pool.acquire(A, forever)).release('suspect');
    const looked = await pool.acquire(A, forever);
    expect(looked.idleMs).toBe(Infinity);
    looked.release('reuse');
    expect((await pool.acquire(A, forever)).idleMs).toBe(0);
  });

  it('P-8 tells once who holds a lease for long', async () => {
    const { pool, world } = makePool();
    await pool.acquire(A, forever, 'tools/call slow');
    world.time = 100;
    expect([...pool.longLeases(50)]).toEqual([{ key: A, borrower: 'tools/call slow', heldMs: 100 }]);
    expect([...pool.longLeases(50)]).toEqual([]);
  });

  it('P-7 counts a slot until the end has settled', async () => {
    const { pool, world } = makePool({ maxTotal: 1 });
    const gate = deferred<void>();
    world.closing = () => gate.promise;
    (await pool.acquire(A, forever)).release('discard');
    const waiting = pool.acquire(B, forever);
    expect(await pending(waiting)).toBe(true);
    gate.resolve();
    await waiting;
    expect(world.maxOpen).toBe(1);
  });

  it('P-7 limits the number of keys', async () => {
    const { pool, world } = makePool({ maxKeys: 2 });
    const a = await pool.acquire(A, forever);
    (await pool.acquire(B, forever)).release('reuse');
    await pool.acquire(C, forever);
    expect(world.ended.map(({ resource }) => resource.key)).toEqual(['b']);
    a.release('reuse');
  });

  it('P-7 says the numbers when nothing came free in time', async () => {
    const { pool, world } = makePool({ maxPerKey: 1, maxTotal: 7 });
    await pool.acquire(A, forever);
    const limit = new AbortController();
    const waiting = pool.acquire(A, limit.signal);
    world.time = 30;
    limit.abort();
    const error = await waiting.catch((thrown: unknown) => thrown as PoolError);
    expect(error).toBeInstanceOf(PoolError);
    expect((error as PoolError).data).toMatchObject({
      code: 'POOL_EXHAUSTED',
      total: 1,
      leased: 1,
      idle: 0,
      waiting: 1,
      waitedMs: 30,
    });
    expect((error as PoolError).message).toMatch(/1 of 7 sessions, 1 leased, 0 idle, 1 waiting; at most 1 per key/);
    expect(pool.numbers.waiting).toBe(0);
  });

  it('P-8 a second return throws, and changes nothing', async () => {
    const { pool } = makePool();
    const lease = await pool.acquire(A, forever);
    lease.release('reuse');
    expect(() => lease.release('discard')).toThrow(/twice/);
    expect(pool.numbers).toMatchObject({ total: 1, idle: 1 });
  });

  it('P-8 a bad verdict ends it, and the next caller gets another', async () => {
    const { pool, world } = makePool();
    (await pool.acquire(A, forever)).release('discard');
    expect((await pool.acquire(A, forever)).resource.serial).toBe(2);
    expect(world.ended[0]?.why).toBe('discarded');
  });

  it('never lends what died while it was idle', async () => {
    const { pool, world } = makePool();
    const lease = await pool.acquire(A, forever);
    lease.release('reuse');
    lease.resource.usable = false;
    expect(pool.tryAcquire(A)).toBeUndefined();
    expect((await pool.acquire(A, forever)).resource.serial).toBe(2);
    expect(world.ended).toHaveLength(1);
  });

  it('P-10 ends what is older than its time to live, on acquire and by the reaper', async () => {
    const { pool, world } = makePool();
    (await pool.acquire(A, forever)).release('reuse');
    world.time = 1_001;
    expect(pool.tryAcquire(A)).toBeUndefined();
    (await pool.acquire(B, forever)).release('reuse');
    world.time = 2_100;
    expect(pool.reap(60_000)).toEqual({ sessions: 1, keys: 1 });
    await until(() => pool.numbers.total === 0, { what: 'everything ended' });
    expect(world.ended.map(({ why }) => why)).toEqual(['expired', 'expired']);
    expect(pool.numbers.keys).toBe(0);
  });

  it('P-10 a key unused for long loses its sessions and itself', async () => {
    const { pool, world } = makePool({ ttlMs: 1e9 });
    (await pool.acquire(A, forever)).release('reuse');
    const busy = await pool.acquire(B, forever);
    world.time = 500;
    expect(pool.reap(500)).toEqual({ sessions: 1, keys: 1 });
    await until(() => pool.numbers.keys === 1, { what: 'the unused key went' });
    busy.release('reuse');
  });

  it('P-14 evicts a key: idle at once, leased and opening ones when they come back', async () => {
    const { pool, world } = makePool({ maxPerKey: 3 });
    const leased = await pool.acquire(A, forever);
    (await pool.acquire(A, forever)).release('reuse');
    const gate = deferred<void>();
    world.opening = () => gate.promise;
    const [hit, opening] = [await pool.acquire(A, forever), pool.acquire(A, forever)];
    pool.evict((key) => key.id === 'a');
    await expect(opening).rejects.toBeInstanceOf(TurnedAway); // its key may be another one now
    hit.release('reuse');
    leased.release('reuse');
    gate.resolve();
    await until(() => world.ended.length === 3, { what: 'all old ones ended' });
    expect(world.ended.every(({ why }) => why === 'evicted')).toBe(true);
  });

  it('P-14 who asks after an eviction does not wait for what is still being opened, nor fail with it', async () => {
    const { pool, world } = makePool();
    const hung = deferred<void>();
    world.opening = () => hung.promise;
    const old = pool.acquire(A, forever).catch((error: unknown) => error);
    pool.evictKey(A);
    expect(await old).toBeInstanceOf(TurnedAway);
    world.opening = async () => undefined;
    const held = await pool.acquire(A, forever);
    const next = pool.acquire(A, forever); // no slot of the key is left
    hung.reject(new Error('refused, with the old credentials'));
    expect((await next).resource).not.toBe(held.resource);
    expect(pool.counters).toMatchObject({ opened: 2, openFailures: 1 });
  });

  it('fails one waiter for each opening that fails, and goes on', async () => {
    const { pool, world } = makePool({ maxPerKey: 1 });
    let failures = 2;
    world.opening = async () => {
      if ((failures -= 1) >= 0) throw new Error('refused');
    };
    const outcomes = await Promise.allSettled([1, 2, 3].map(() => pool.acquire(A, forever)));
    expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'fulfilled']);
    expect(pool.numbers).toMatchObject({ total: 1, waiting: 0 });
  });

  it('keeps what was opened for somebody who gave up', async () => {
    const { pool, world } = makePool();
    const gate = deferred<void>();
    world.opening = () => gate.promise;
    const limit = new AbortController();
    const given = pool.acquire(A, limit.signal).catch((error: unknown) => error);
    limit.abort();
    expect(await given).toBeInstanceOf(PoolError);
    gate.resolve();
    await until(() => pool.numbers.idle === 1, { what: 'the session became idle' });
    expect(pool.tryAcquire(A)?.resource.serial).toBe(1);
  });

  it('lets one resource bear several leases when it may', async () => {
    const { pool, world } = makePool({ maxPerKey: 1, maxLeasesPerResource: 3 });
    const leases = await Promise.all([1, 2, 3].map(() => pool.acquire(A, forever)));
    expect(new Set(leases.map(({ resource }) => resource)).size).toBe(1);
    const fourth = pool.acquire(A, forever);
    expect(await pending(fourth)).toBe(true);
    leases[0]?.release('discard'); // ends only when the last lease has come back
    expect(world.ended).toHaveLength(0);
    leases[1]?.release('reuse');
    leases[2]?.release('reuse');
    expect((await fourth).resource.serial).toBe(2);
  });

  it('P-11 close: waiters fail, idle ones end, leased ones end when they come back; remembered', async () => {
    const { pool, world } = makePool({ maxPerKey: 1 });
    const held = await pool.acquire(A, forever);
    (await pool.acquire(B, forever)).release('reuse');
    const waiting = pool.acquire(A, forever).catch((error: unknown) => (error as PoolError).code);
    const closing = pool.close(60_000);
    expect(pool.close(1)).toBe(closing);
    expect(await waiting).toBe('POOL_CLOSED');
    await expect(pool.acquire(C, forever)).rejects.toThrow(/not initialized/);
    expect(await pending(closing)).toBe(true);
    held.release('reuse');
    await closing;
    expect(world.open).toBe(0);
  });

  it('P-11 close: a resource that finishes opening is ended too, a leased one after the grace', async () => {
    const { pool, world } = makePool();
    const held = await pool.acquire(A, forever);
    const gate = deferred<void>();
    world.opening = () => gate.promise;
    const waiting = pool.acquire(B, forever).catch((error: unknown) => (error as PoolError).code);
    const closing = pool.close(1);
    expect(await waiting).toBe('POOL_CLOSED');
    gate.resolve();
    await closing;
    expect(world.open).toBe(0);
    held.release('reuse'); // late, and harmless
  });
});
