import { type BoundedPoolOptions, type EndReason, type Keyed, type KeyNumbers } from './bounded-pool.types.js';
import { type Lease, type PoolCounters, type Verdict } from './bounded-pool.types.js';
import { Bucket, type Entry, type Waiter } from './bucket.js';
import { PoolError, type PoolNumbers } from './pool.errors.js';

/**
 * Lends resources by key, at most `maxPerKey` of one key, `maxTotal` in all, of at most `maxKeys` keys.
 *
 *   a resource:  opening -> leased <-> idle -> closing -> gone        (leased -> closing on a bad verdict)
 *
 * Invariants: a slot is counted before the first await and freed when the end has settled, so the caps hold exactly;
 * a released resource goes to the longest waiter of its key at once; the newest idle one is lent first; to make room the
 * least recently used idle one of any key ends; whoever waits is served, failed by an opening of its key, or gives up.
 */
export class BoundedPool<K extends Keyed, T> {
  readonly counters: PoolCounters = {
    hits: 0,
    misses: 0,
    opened: 0,
    openFailures: 0,
    ended: { discarded: 0, expired: 0, 'made-room': 0, evicted: 0, closed: 0 },
  };
  private readonly buckets = new Map<string, Bucket<K, T>>();
  private readonly waiting = new Set<Bucket<K, T>>(); // exactly those with waiters
  private readonly now: () => number;
  private total = 0;
  private makingRoom = 0;
  private arrivals = 0;
  private closing: Promise<void> | undefined;
  private emptied: () => void = () => undefined;

  constructor(private readonly options: BoundedPoolOptions<K, T>) {
    this.now = options.now ?? (() => performance.now());
  }

  /** An idle resource of the key, now, or `undefined`. The way of a warm call: no promise, no timer. */
  tryAcquire(key: K): Lease<T> | undefined {
    const bucket = this.closing ? undefined : this.buckets.get(key.id);
    if (!bucket || bucket.waiters.length > 0) return undefined; // nobody overtakes
    const entry = this.takeUsable(bucket);
    return entry && this.lend(entry);
  }

  /**
   * A resource of the key: an idle one, a new one, or the next that comes free.
   *
   * @throws PoolError POOL_CLOSED; POOL_EXHAUSTED when `signal` aborts first; what `create` threw for this key
   */
  async acquire(key: K, signal: AbortSignal): Promise<Lease<T>> {
    if (this.closing) throw PoolError.closed(this.numbers);
    if (signal.aborted) throw PoolError.exhausted(this.numbers, this.options, 0, signal.reason);
    return this.tryAcquire(key) ?? this.wait(this.bucketOf(key), signal);
  }

  /** Ends expired idle resources, and all of keys unused for `idleMs`; returns how many ended, and how many keys. */
  reap(idleMs: number): { sessions: number; keys: number } {
    const reaped = { sessions: 0, keys: 0 };
    const now = this.now();
    for (const bucket of [...this.buckets.values()]) {
      const unused = bucket.isIdle && now - bucket.lastUsed >= idleMs;
      if (unused) reaped.keys += 1;
      for (const entry of bucket.takeIdle((idle) => unused || idle.expiresAt <= now)) {
        reaped.sessions += 1;
        void this.end(entry, 'expired');
      }
    }
    return reaped;
  }

  /** Ends what belongs to matching keys: idle ones now, leased ones and those being opened when they come back. */
  evict(matches: (key: K) => boolean): void {
    for (const bucket of [...this.buckets.values()]) {
      if (!matches(bucket.key)) continue;
      bucket.generation += 1;
      for (const entry of bucket.takeIdle(() => true)) void this.end(entry, 'evicted');
    }
  }

  /**
   * Waiters fail at once, idle resources end; leased ones end when they come back, or after `graceMs` under the hands
   * of their holders. Resolves when everything has ended. Remembered: only the first call's grace counts.
   */
  close(graceMs: number): Promise<void> {
    this.closing ??= this.shutDown(graceMs);
    return this.closing;
  }

  get numbers(): PoolNumbers {
    const sum = { total: this.total, idle: 0, leased: 0, opening: 0, closing: 0, waiting: 0, keys: this.buckets.size };
    for (const bucket of this.buckets.values()) {
      sum.idle += bucket.idleCount;
      sum.leased += bucket.leased;
      sum.opening += bucket.opening;
      sum.closing += bucket.closing;
      sum.waiting += bucket.waiters.length;
    }
    return sum;
  }

  *perKey(): Iterable<KeyNumbers<K>> {
    for (const { key, idleCount: idle, leased, waiters } of this.buckets.values()) {
      yield { key, idle, leased, waiting: waiters.length, max: this.options.maxPerKey };
    }
  }

  private wait(bucket: Bucket<K, T>, signal: AbortSignal): Promise<Lease<T>> {
    return new Promise((resolve, reject) => {
      const since = this.now();
      const forget = (): void => signal.removeEventListener('abort', giveUp);
      const waiter: Waiter<T> = {
        order: (this.arrivals += 1),
        give: (lease) => (forget(), resolve(lease)),
        fail: (error) => (forget(), reject(error)),
      };
      const giveUp = (): void => {
        waiter.fail(PoolError.exhausted(this.numbers, this.options, this.now() - since, signal.reason));
        bucket.forget(waiter);
        this.tidy(bucket);
      };
      signal.addEventListener('abort', giveUp, { once: true });
      bucket.waiters.push(waiter);
      this.waiting.add(bucket);
      this.pump();
    });
  }

  private bucketOf(key: K): Bucket<K, T> {
    let bucket = this.buckets.get(key.id);
    if (!bucket) this.buckets.set(key.id, (bucket = new Bucket<K, T>(key, this.now())));
    return bucket;
  }

  /** Serves whoever can be served, the longest waiter first. Costs nothing while nobody waits. */
  private pump(): void {
    if (this.waiting.size === 0) return;
    const inOrder = [...this.waiting].sort((a, b) => (a.waiters[0]?.order ?? 0) - (b.waiters[0]?.order ?? 0));
    for (const bucket of inOrder) {
      this.serve(bucket);
      while (bucket.unserved > 0 && bucket.size < this.options.maxPerKey && this.hasSlot(bucket))
        void this.open(bucket);
    }
  }

  /** Lends what is available to those who wait for it, in their order. */
  private serve(bucket: Bucket<K, T>): void {
    while (bucket.waiters.length > 0) {
      const entry = this.takeUsable(bucket);
      if (!entry) return;
      const waiter = bucket.waiters.shift();
      this.tidy(bucket);
      waiter?.give(this.lend(entry));
    }
  }

  /** Whether a resource may be opened for the bucket now. If a cap forbids it, room is being made. */
  private hasSlot(bucket: Bucket<K, T>): boolean {
    const { maxTotal, maxKeys } = this.options;
    const keysFull = maxKeys > 0 && bucket.size === 0 && this.occupiedKeys() >= maxKeys;
    if (this.total < maxTotal && !keysFull) return true;
    this.makeRoom(keysFull);
    return false;
  }

  private occupiedKeys(): number {
    let keys = 0;
    for (const bucket of this.buckets.values()) if (bucket.size > 0) keys += 1;
    return keys;
  }

  /** Ends the least recently used idle resource; for a place among the keys, all of the least recently used idle key. */
  private makeRoom(wholeKey: boolean): void {
    let wanted = 0;
    for (const bucket of this.waiting) wanted += Math.max(0, bucket.unserved);
    if (this.makingRoom >= wanted) return; // enough ends are on their way
    let oldest: Bucket<K, T> | undefined;
    for (const bucket of this.buckets.values()) {
      if (wholeKey ? !bucket.isIdle || bucket.idleCount === 0 : bucket.idleCount === 0) continue;
      if (!oldest || bucket.oldestIdle < oldest.oldestIdle) oldest = bucket;
    }
    for (const entry of oldest?.takeIdle(() => true, wholeKey ? Infinity : 1) ?? []) void this.end(entry, 'made-room');
  }

  private async open(bucket: Bucket<K, T>): Promise<void> {
    // Counted before the first await: two callers can never share the last slot.
    this.total += 1;
    bucket.opening += 1;
    const { generation } = bucket;
    try {
      const resource = await this.options.create(bucket.key);
      bucket.opening -= 1;
      this.counters.opened += 1;
      this.offer(bucket.admit(resource, generation, this.now(), this.lifetime()));
    } catch (error) {
      bucket.opening -= 1;
      this.total -= 1;
      this.counters.openFailures += 1;
      const waiter = bucket.waiters.shift();
      this.tidy(bucket);
      waiter?.fail(error as Error);
      this.pump();
    }
  }

  /** A resource that was opened or given back: to the longest waiter of its key, else idle; or it ends. */
  private offer(entry: Entry<K, T>): void {
    const { bucket } = entry;
    const why = this.reasonToEnd(entry);
    if (why) {
      bucket.remove(entry);
      if (entry.leases === 0) void this.end(entry, why);
    } else {
      bucket.makeAvailable(entry);
      this.serve(bucket);
      if (entry.leases === 0) this.pump(); // somebody of another key may wait for room
    }
  }

  private reasonToEnd(entry: Entry<K, T>): EndReason | undefined {
    if (this.closing) return 'closed';
    if (entry.doomed || !this.options.isUsable(entry.resource)) return 'discarded';
    if (entry.generation !== entry.bucket.generation) return 'evicted';
    return entry.expiresAt <= this.now() ? 'expired' : undefined;
  }

  private lend(entry: Entry<K, T>): Lease<T> {
    const fresh = entry.uses === 0;
    if (fresh) this.counters.misses += 1;
    else this.counters.hits += 1;
    entry.bucket.lease(entry, this.now(), this.options.maxLeasesPerResource);
    let returned = false;
    const release = (verdict: Verdict): void => {
      if (returned) throw new PoolError('INTERNAL', 'a lease was returned twice', this.numbers);
      returned = true;
      entry.bucket.unlease(entry, this.now());
      if (verdict === 'discard') entry.doomed = true;
      if (entry.state === 'live') this.offer(entry); // else it was ended under its holder's hands
    };
    return { resource: entry.resource, fresh, release };
  }

  /** The newest available resource that is fit for use; the others found on the way end. */
  private takeUsable(bucket: Bucket<K, T>): Entry<K, T> | undefined {
    for (let entry = bucket.newest(); entry; entry = bucket.newest()) {
      const why = this.reasonToEnd(entry);
      if (!why) return entry;
      bucket.remove(entry);
      if (entry.leases === 0) void this.end(entry, why);
    }
    return undefined;
  }

  private async end(entry: Entry<K, T>, why: EndReason): Promise<void> {
    const { bucket } = entry;
    bucket.startClosing(entry);
    this.counters.ended[why] += 1;
    if (why === 'made-room') this.makingRoom += 1;
    try {
      await this.options.destroy(entry.resource, why);
    } finally {
      if (why === 'made-room') this.makingRoom -= 1;
      bucket.gone(entry);
      this.total -= 1;
      this.tidy(bucket);
      this.pump();
    }
  }

  private async shutDown(graceMs: number): Promise<void> {
    const empty = new Promise<void>((resolve) => (this.emptied = resolve));
    // `closing` is set only when this function has returned its promise, so nothing may be served before.
    await Promise.resolve();
    for (const bucket of [...this.buckets.values()]) {
      for (const waiter of bucket.waiters.splice(0)) waiter.fail(PoolError.closed(this.numbers));
      for (const entry of bucket.takeIdle(() => true)) void this.end(entry, 'closed');
      this.tidy(bucket);
    }
    const timer = setTimeout(() => this.endLeased(), graceMs);
    if (this.total > 0) await empty;
    clearTimeout(timer);
  }

  private endLeased(): void {
    for (const bucket of [...this.buckets.values()]) {
      for (const entry of [...bucket.entries]) if (entry.state === 'live') void this.end(entry, 'closed');
    }
  }

  private tidy(bucket: Bucket<K, T>): void {
    if (bucket.waiters.length === 0) this.waiting.delete(bucket);
    if (bucket.size === 0 && bucket.waiters.length === 0) this.buckets.delete(bucket.key.id);
    if (this.total === 0) this.emptied();
  }

  private lifetime(): number {
    const random = this.options.random ?? Math.random;
    return this.options.ttlMs * (0.975 + 0.05 * random());
  }
}
