import { type BoundedPoolOptions, type EndReason, type Keyed, type KeyNumbers } from './bounded-pool.types.js';
import { type Lease, type LongLease, type PoolCounters, type Verdict } from './bounded-pool.types.js';
import { Bucket, type Entry, type Waiter } from './bucket.js';
import { Capacity, type Shortage } from './capacity.js';
import { PoolError, type PoolNumbers } from './pool.errors.js';
import { keyNumbersOf, longLeasesOf, numbersOf } from './pool-view.js';

/**
 * Lends resources by key, at most `maxPerKey` of one key, `maxPerGroup` of one group, `maxTotal` in all, of at most
 * `maxKeys` keys.
 *
 *   a resource:  opening -> leased <-> idle -> closing -> gone        (leased -> closing on a bad verdict)
 *
 * Invariants: a slot is counted before the first await and freed when the end has settled, so the caps hold exactly;
 * a released resource goes to the longest waiter of its key at once; the newest idle one is lent first; to make room the
 * least recently used idle one ends; whoever waits is served, failed by an opening of its key, or gives up.
 */
export class BoundedPool<K extends Keyed, T> {
  readonly counters: PoolCounters = {
    hits: 0,
    misses: 0,
    opened: 0,
    openFailures: 0,
    ended: { done: 0, discarded: 0, expired: 0, 'made-room': 0, evicted: 0, closed: 0 },
  };
  private readonly buckets = new Map<string, Bucket<K, T>>();
  private readonly waiting = new Set<Bucket<K, T>>(); // exactly those with waiters; served in turn
  private readonly idle = new Set<Entry<K, T>>(); // the one unused longest first
  private readonly capacity: Capacity;
  private readonly now: () => number;
  private makingRoom = 0;
  private closing: Promise<void> | undefined;
  private emptied: () => void = () => undefined;

  constructor(private readonly options: BoundedPoolOptions<K, T>) {
    this.now = options.now ?? (() => performance.now());
    this.capacity = new Capacity(options);
  }

  /** An idle resource of the key, now, or `undefined`. The way of a warm call: no promise, no timer. */
  tryAcquire(key: K, borrower = ''): Lease<T> | undefined {
    const bucket = this.closing ? undefined : this.buckets.get(key.id);
    if (!bucket || bucket.waiters.length > 0) return undefined; // nobody overtakes
    const entry = this.takeUsable(bucket);
    return entry && this.lend(entry, borrower);
  }

  /**
   * A resource of the key: an idle one, a new one, or the next that comes free.
   *
   * @param borrower who is named when the lease is held for long
   * @throws PoolError POOL_CLOSED; POOL_EXHAUSTED when `signal` aborts first; what `create` threw for this key
   */
  async acquire(key: K, signal: AbortSignal, borrower = ''): Promise<Lease<T>> {
    if (this.closing) throw PoolError.closed(this.numbers);
    if (signal.aborted) throw PoolError.exhausted(this.numbers, this.options, 0, signal.reason);
    return this.tryAcquire(key, borrower) ?? this.wait(this.bucketOf(key), signal, borrower);
  }

  /** Ends expired idle resources, and all of keys unused for `idleMs`; returns how many ended, and how many keys. */
  reap(idleMs: number): { sessions: number; keys: number } {
    const reaped = { sessions: 0, keys: 0 };
    const now = this.now();
    for (const bucket of [...this.buckets.values()]) {
      const unused = bucket.isIdle && now - bucket.lastUsed >= idleMs;
      const due = bucket.idleEntries().filter((entry) => unused || entry.expiresAt <= now);
      for (const entry of due) void this.end(entry, 'expired');
      reaped.sessions += due.length;
      // The key goes with its last session; one that is only closing has been counted.
      if (due.length > 0 && bucket.isIdle && bucket.idleCount === 0) reaped.keys += 1;
    }
    return reaped;
  }

  /** Ends what belongs to matching keys: idle ones now, leased ones and those being opened when they come back. */
  evict(matches: (key: K) => boolean): void {
    for (const bucket of [...this.buckets.values()]) {
      if (!matches(bucket.key)) continue;
      bucket.generation += 1;
      for (const entry of bucket.idleEntries()) void this.end(entry, 'evicted');
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
    return numbersOf(this.buckets, this.capacity.total);
  }

  perKey(): Iterable<KeyNumbers<K>> {
    return keyNumbersOf(this.buckets, this.options.maxPerKey);
  }

  /** Leases held for longer than `ms`, each told once. */
  longLeases(ms: number): Iterable<LongLease<K>> {
    return longLeasesOf(this.buckets, ms, this.now());
  }

  private wait(bucket: Bucket<K, T>, signal: AbortSignal, borrower: string): Promise<Lease<T>> {
    return new Promise((resolve, reject) => {
      const since = this.now();
      const forget = (): void => signal.removeEventListener('abort', giveUp);
      const waiter: Waiter<T> = {
        borrower,
        since,
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
      this.openFor(bucket);
    });
  }

  private bucketOf(key: K): Bucket<K, T> {
    let bucket = this.buckets.get(key.id);
    if (!bucket) this.buckets.set(key.id, (bucket = new Bucket<K, T>(key, this.now())));
    bucket.key = key;
    return bucket;
  }

  /** A slot or an idle resource may have come free: each key that waits gets its turn. Nothing to do, nothing spent. */
  private pump(): void {
    for (const bucket of [...this.waiting]) {
      if (this.openFor(bucket) === 'total') return; // nobody else can open either
    }
  }

  /** Opens as many as the waiters of the bucket want and the caps allow; else room is being made. */
  private openFor(bucket: Bucket<K, T>): Shortage | undefined {
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

  /** Ends the least recently used idle resource that helps; for a place among the keys, all those of one idle key. */
  private makeRoom(shortage: Shortage, group: string): void {
    if (this.makingRoom > 0) return; // one at a time: when it has ended, everybody is looked at again
    for (const entry of this.idle) {
      const { bucket } = entry;
      if (shortage === 'group' && bucket.key.group !== group) continue;
      if (shortage === 'keys' && bucket.idleCount < bucket.size) continue;
      const victims = shortage === 'keys' ? bucket.idleEntries() : [entry];
      for (const victim of victims) void this.end(victim, 'made-room');
      return;
    }
  }

  private async open(bucket: Bucket<K, T>): Promise<void> {
    // Counted before the first await: two callers can never share the last slot.
    this.capacity.take(bucket.key.group, bucket.size === 0);
    bucket.opening += 1;
    const { generation } = bucket;
    try {
      const resource = await this.options.create(bucket.key);
      bucket.opening -= 1;
      this.counters.opened += 1;
      this.offer(bucket.admit(resource, generation, this.now(), this.lifetime()));
    } catch (error) {
      bucket.opening -= 1;
      this.capacity.giveBack(bucket.key.group, bucket.size === 0);
      this.counters.openFailures += 1;
      const waiter = bucket.waiters.shift();
      this.tidy(bucket);
      waiter?.fail(error as Error);
      this.pump();
    }
  }

  /** A resource that was opened or given back: to the longest waiters of its key, else idle; or it ends. */
  private offer(entry: Entry<K, T>): void {
    const { bucket } = entry;
    const why = this.reasonToEnd(entry);
    if (why) {
      bucket.remove(entry);
      if (entry.leases === 0) void this.end(entry, why);
      return;
    }
    // Only one that has served: else two keys that starve would end what is opened for each other, for ever.
    if (entry.leases === 0 && entry.uses > 0 && this.somebodyStarves(entry)) return void this.end(entry, 'made-room');
    bucket.makeAvailable(entry);
    if (entry.leases === 0) this.idle.add(entry);
    this.serve(bucket);
    if (entry.leases > 0) return;
    entry.laidIdle = true;
    this.pump(); // somebody of another key may wait for room
  }

  /** Whether somebody of another key has waited too long for just the slot that this one's end would free. */
  private somebodyStarves({ bucket }: Entry<K, T>): boolean {
    if (bucket.waiters.length === 0 || this.waiting.size < 2) return false;
    const limit = this.now() - this.options.starvingMs;
    for (const other of this.waiting) {
      if (other === bucket || (other.waiters[0]?.since ?? Infinity) > limit) continue;
      if (other.unserved <= 0 || other.size >= this.options.maxPerKey) continue; // a slot would not help
      const shortage = this.capacity.shortage(other.key.group, other.size === 0);
      if (shortage === 'total' || (shortage === 'group' && other.key.group === bucket.key.group)) return true;
      if (shortage === 'keys' && bucket.size === 1) return true;
    }
    return false;
  }

  /** Lends what is available to those who wait for it, in their order. */
  private serve(bucket: Bucket<K, T>): void {
    while (bucket.waiters.length > 0) {
      const entry = this.takeUsable(bucket);
      if (!entry) return;
      const waiter = bucket.waiters.shift() as Waiter<T>;
      this.tidy(bucket);
      // Straight from its opening to who waited for it; one that had to lie idle first is as good as any other.
      waiter.give(this.lend(entry, waiter.borrower, entry.uses === 0 && !entry.laidIdle));
    }
  }

  private reasonToEnd(entry: Entry<K, T>): EndReason | undefined {
    if (this.closing) return 'closed';
    if (entry.done) return 'done';
    if (entry.doomed || !this.options.isUsable(entry.resource)) return 'discarded';
    if (entry.generation !== entry.bucket.generation) return 'evicted';
    return entry.expiresAt <= this.now() ? 'expired' : undefined;
  }

  private lend(entry: Entry<K, T>, borrower: string, fresh = false): Lease<T> {
    const now = this.now();
    if (!entry.bucket.key.uncounted) this.counters[entry.uses === 0 ? 'misses' : 'hits'] += 1;
    const idleMs = entry.suspect ? Infinity : now - entry.lastUsed;
    entry.suspect = false;
    entry.bucket.lease(entry, now, this.options.maxLeasesPerResource, borrower);
    this.idle.delete(entry);
    let returned = false;
    const release = (verdict: Verdict): void => {
      if (returned) throw new PoolError('INTERNAL', 'a lease was returned twice', this.numbers);
      returned = true;
      entry.bucket.unlease(entry, this.now());
      if (verdict === 'discard') entry.doomed = true;
      if (verdict === 'suspect') entry.suspect = true;
      if (verdict === 'done') entry.done = true;
      if (entry.state === 'live') this.offer(entry); // else it was ended under its holder's hands
    };
    return { resource: entry.resource, fresh, idleMs, release };
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
    this.idle.delete(entry);
    this.counters.ended[why] += 1;
    if (why === 'made-room') this.makingRoom += 1;
    try {
      await this.options.destroy(entry.resource, why);
    } finally {
      if (why === 'made-room') this.makingRoom -= 1;
      bucket.gone(entry);
      this.capacity.giveBack(bucket.key.group, bucket.size === 0);
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
      for (const entry of bucket.idleEntries()) void this.end(entry, 'closed');
      this.tidy(bucket);
    }
    const timer = setTimeout(() => this.endLeased(), graceMs);
    if (this.capacity.total > 0) await empty;
    clearTimeout(timer);
  }

  private endLeased(): void {
    for (const bucket of [...this.buckets.values()]) {
      for (const entry of [...bucket.entries]) if (entry.state === 'live') void this.end(entry, 'closed');
    }
  }

  private tidy(bucket: Bucket<K, T>): void {
    this.waiting.delete(bucket);
    if (bucket.waiters.length > 0)
      this.waiting.add(bucket); // behind the others: keys are served in turn
    else if (bucket.size === 0) this.buckets.delete(bucket.key.id);
    if (this.capacity.total === 0) this.emptied();
  }

  private lifetime(): number {
    const random = this.options.random ?? Math.random;
    return this.options.ttlMs * (0.975 + 0.05 * random());
  }
}
