import { type BoundedPoolOptions, type EndReason, type Keyed, type PoolCounters } from './bounded-pool.types.js';
import { type Bucket, type Entry } from './bucket.js';
import { Capacity, type Shortage } from './capacity.js';
import { Room } from './room.js';

/** What the supply tells the pool. */
export interface SupplyEvents<K extends Keyed, T> {
  /** A resource has been opened. */
  arrived(entry: Entry<K, T>): void;
  /** An opening has failed; `outdated`: its key was evicted meanwhile. */
  failed(bucket: Bucket<K, T>, error: Error, outdated: boolean): void;
  /** A resource has ended. */
  gone(bucket: Bucket<K, T>): void;
}

type SupplyOptions<K extends Keyed, T> = Omit<BoundedPoolOptions<K, T>, 'isUsable' | 'maxLeasesPerResource'>;

/**
 * Opens and ends the resources of a pool and counts their slots (SPEC P-7). A slot is counted before the first await and
 * freed when the end has settled, so the caps hold exactly.
 */
export class Supply<K extends Keyed, T> {
  readonly room: Room<K, T>;
  private readonly capacity: Capacity;
  private makingRoom = 0;

  constructor(
    private readonly options: SupplyOptions<K, T>,
    private readonly counters: PoolCounters,
    private readonly now: () => number,
    private readonly events: SupplyEvents<K, T>,
  ) {
    this.capacity = new Capacity(options);
    this.room = new Room(this.capacity, options);
  }

  /** Slots in use. */
  get total(): number {
    return this.capacity.total;
  }

  /** A slot or an idle resource may have come free: each key that waits gets its turn. Nothing to do, nothing spent. */
  pump(): void {
    for (const bucket of [...this.room.waiting]) {
      if (this.openFor(bucket) === 'total') return; // nobody else can open either
    }
  }

  /** Opens as many as the waiters of the bucket want and the caps allow; else room is being made. */
  openFor(bucket: Bucket<K, T>): Shortage | undefined {
    while (bucket.unserved > 0 && bucket.size < this.options.maxPerKey) {
      const shortage = this.capacity.shortage(bucket.key.group, bucket.size === 0);
      if (shortage) {
        this.makeRoom(shortage, bucket.key.group);
        return shortage;
      }
      void this.open(bucket);
    }
    return undefined;
  }

  async end(entry: Entry<K, T>, why: EndReason): Promise<void> {
    const { bucket } = entry;
    bucket.startClosing(entry);
    this.room.idle.delete(entry);
    this.counters.ended[why] += 1;
    if (why === 'made-room') this.makingRoom += 1;
    try {
      await this.options.destroy(entry.resource, why, bucket.key);
    } finally {
      if (why === 'made-room') this.makingRoom -= 1;
      bucket.gone(entry);
      this.capacity.giveBack(bucket.key.group, bucket.size === 0);
      this.events.gone(bucket);
      this.pump();
    }
  }

  private makeRoom(shortage: Shortage, group: string): void {
    if (this.makingRoom > 0) return; // one at a time: when it has ended, everybody is looked at again
    for (const victim of this.room.victims(shortage, group)) void this.end(victim, 'made-room');
  }

  private async open(bucket: Bucket<K, T>): Promise<void> {
    // Counted before the first await: two callers can never share the last slot.
    this.capacity.take(bucket.key.group, bucket.size === 0);
    const { generation } = bucket;
    bucket.opening += 1;
    try {
      const resource = await this.options.create(bucket.key);
      bucket.opened(generation);
      this.counters.opened += 1;
      this.events.arrived(bucket.admit(resource, generation, this.now(), this.lifetime()));
    } catch (error) {
      bucket.opened(generation);
      this.capacity.giveBack(bucket.key.group, bucket.size === 0);
      this.counters.openFailures += 1;
      this.events.failed(bucket, error as Error, generation !== bucket.generation);
      this.pump();
    }
  }

  private lifetime(): number {
    const random = this.options.random ?? Math.random;
    return this.options.ttlMs * (0.975 + 0.05 * random());
  }
}
