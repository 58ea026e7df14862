import { type Keyed, type KeyNumbers, type LongLease } from './bounded-pool.types.js';
import { type Bucket } from './bucket.js';
import { type PoolNumbers } from './pool.errors.js';

/** What can be seen of a pool from outside; reads only. */

export function numbersOf<K extends Keyed, T>(buckets: ReadonlyMap<string, Bucket<K, T>>, total: number): PoolNumbers {
  const sum = { total, idle: 0, leased: 0, opening: 0, closing: 0, waiting: 0, keys: buckets.size };
  for (const bucket of buckets.values()) {
    sum.idle += bucket.idleCount;
    sum.leased += bucket.leased;
    sum.opening += bucket.opening;
    sum.closing += bucket.closing;
    sum.waiting += bucket.waiters.length;
  }
  return sum;
}

export function* keyNumbersOf<K extends Keyed, T>(
  buckets: ReadonlyMap<string, Bucket<K, T>>,
  max: number,
): Iterable<KeyNumbers<K>> {
  for (const { key, idleCount: idle, leased, waiters } of buckets.values()) {
    yield { key, idle, leased, waiting: waiters.length, max };
  }
}

/** Leases held for longer than `ms`, each told once. */
export function* longLeasesOf<K extends Keyed, T>(
  buckets: ReadonlyMap<string, Bucket<K, T>>,
  ms: number,
  now: number,
): Iterable<LongLease<K>> {
  for (const bucket of buckets.values()) {
    for (const entry of bucket.entries) {
      const heldMs = now - entry.lastUsed;
      if (entry.leases === 0 || entry.told || heldMs < ms) continue;
      entry.told = true;
      yield { key: bucket.key, borrower: entry.borrower, heldMs };
    }
  }
}
