import { describe, expect, it } from '@jest/globals';
import { deferred } from '../../test/support/deferred.js';
import { A, B, C, forever, type Key, makePool, pending } from '../../test/support/resource-pool.js';
import { until } from '../../test/support/until.js';
import { PoolError, TurnedAway } from './pool.errors.js';

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
