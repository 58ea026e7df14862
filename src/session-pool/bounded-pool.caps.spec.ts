import { describe, expect, it } from '@jest/globals';
import { deferred } from '../../test/support/deferred.js';
import { A, B, C, forever, makePool, pending } from '../../test/support/resource-pool.js';
import { PoolError } from './pool.errors.js';

describe('BoundedPool: caps and who makes room for whom', () => {
  it('P-7 opens no more than the cap, however many ask in one tick', async () => {
    const { pool, world } = makePool({ maxPerKey: 3 });
    const asked = Array.from({ length: 50 }, () => pool.acquire(A, forever));
    for (const one of asked) (await one).release('reuse');
    expect(world.maxOpen).toBe(3);
    expect(pool.numbers).toMatchObject({ total: 3, idle: 3, leased: 0, waiting: 0 });
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

  it('P-7 limits what one group may take', async () => {
    const { pool } = makePool({ maxPerGroup: 1 });
    const a = await pool.acquire(A, forever);
    const waiting = pool.acquire(B, forever);
    (await pool.acquire(C, forever)).release('reuse'); // of another group
    expect(await pending(waiting)).toBe(true);
    a.release('reuse');
    expect((await waiting).resource.key).toBe('b');
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
});
