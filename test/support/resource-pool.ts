import { setMaxListeners } from 'node:events';
import { BoundedPool } from '../../src/session-pool/bounded-pool.js';
import { type BoundedPoolOptions, type EndReason } from '../../src/session-pool/bounded-pool.types.js';

export interface Resource {
  readonly key: string;
  readonly serial: number;
  usable: boolean;
}
export interface Key {
  readonly id: string;
  readonly group: string;
}
export const A: Key = { id: 'a', group: 'one' };
export const B: Key = { id: 'b', group: 'one' };
export const C: Key = { id: 'c', group: 'two' };
export const forever = new AbortController().signal;
setMaxListeners(0, forever);

/** A pool of counted resources whose clock and whose openings the test holds in its hand. */
export function makePool(overrides: Partial<BoundedPoolOptions<Key, Resource>> = {}) {
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
export async function pending(promise: Promise<unknown>): Promise<boolean> {
  const marker = Symbol();
  for (let turn = 0; turn < 20; turn++) await Promise.resolve();
  return (await Promise.race([promise.catch(() => undefined), Promise.resolve(marker)])) === marker;
}
