import { type Keyed } from './bounded-pool.types.js';
import { type Bucket, type Entry } from './bucket.js';
import { type Capacity, type Shortage } from './capacity.js';

/**
 * Who waits, what lies idle, and which of the idle ones makes way for whom (SPEC P-7). Decides only; the pool ends.
 */
export class Room<K extends Keyed, T> {
  /** Exactly those with waiters; served in turn. */
  readonly waiting = new Set<Bucket<K, T>>();
  /** The one unused longest first. */
  readonly idle = new Set<Entry<K, T>>();

  constructor(
    private readonly capacity: Capacity,
    private readonly options: { readonly maxPerKey: number; readonly starvingMs: number },
  ) {}

  /** The least recently used idle resource whose end helps; for a place among the keys, all those of one idle key. */
  victims(shortage: Shortage, group: string): readonly Entry<K, T>[] {
    for (const entry of this.idle) {
      const { bucket } = entry;
      if (shortage === 'group' && bucket.key.group !== group) continue;
      if (shortage === 'keys' && bucket.idleCount < bucket.size) continue;
      return shortage === 'keys' ? bucket.idleEntries() : [entry];
    }
    return [];
  }

  /** Whether somebody of another key has waited too long, at `now`, for just the slot that this one's end would free. */
  isNeeded({ bucket, leases, uses }: Entry<K, T>, now: number): boolean {
    // Only one that has served: else two keys that starve would end what is opened for each other, for ever.
    if (leases > 0 || uses === 0) return false;
    if (bucket.waiters.length === 0 || this.waiting.size < 2) return false;
    const limit = now - this.options.starvingMs;
    for (const other of this.waiting) {
      if (other === bucket || (other.waiters[0]?.since ?? Infinity) > limit) continue;
      if (other.unserved <= 0 || other.size >= this.options.maxPerKey) continue; // a slot would not help
      const shortage = this.capacity.shortage(other.key.group, other.size === 0);
      if (shortage === 'total' || (shortage === 'group' && other.key.group === bucket.key.group)) return true;
      if (shortage === 'keys' && bucket.size === 1) return true;
    }
    return false;
  }
}
