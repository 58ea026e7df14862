import { type BoundedPoolOptions, type EndReason, type Keyed, type KeyNumbers } from './bounded-pool.types.js';
import { type Lease, type LongLease, type PoolCounters, type Verdict } from './bounded-pool.types.js';
import { Bucket, type Entry, type Waiter } from './bucket.js';
import { PoolError, type PoolNumbers, TurnedAway } from './pool.errors.js';
import { keyNumbersOf, longLeasesOf, numbersOf } from './pool-view.js';
import { Supply } from './supply.js';

/**
 * Lends resources by key, at most `maxPerKey` of one key, `maxPerGroup` of one group, `maxTotal` in all, of at most
 * `maxKeys` keys.
 *
 *   a resource:  opening -> leased <-> idle -> closing -> gone        (leased -> closing on a bad verdict)
 *
 * Invariants: the caps hold exactly (`Supply`); a released resource goes to the longest waiter of its key at once; the newest idle one is lent first; to make room the
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
  private readonly supply: Supply<K, T>;
  private readonly now: () => number;
  private closing: Promise<void> | undefined;
  private emptied: () => void = () => undefined;

  constructor(private readonly options: BoundedPoolOptions<K, T>) {
    this.now = options.now ?? (() => performance.now());
    this.supply = new Supply(options, this.counters, this.now, {
      arrived: (entry) => this.offer(entry),
      failed: (bucket, error, outdated) => this.openingFailed(bucket, error, outdated),
      gone: (bucket) => this.tidy(bucket),
    });
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
   * @throws PoolError POOL_CLOSED; POOL_EXHAUSTED when `signal` aborts first; TurnedAway when the key is evicted
   *   meanwhile; what `create` threw for this key
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
      for (const entry of due) void this.supply.end(entry, 'expired');
      reaped.sessions += due.length;
      // The key goes with its last session; one that is only closing has been counted.
      if (due.length > 0 && bucket.isIdle && bucket.idleCount === 0) reaped.keys += 1;
    }
    return reaped;
  }

  /**
   * Ends what belongs to matching keys: idle ones now, leased ones and those being opened when they come back. Who waits
   * is turned away: the key that he asked with may not be the right one any more.
   */
  evict(matches: (key: K) => boolean): void {
    for (const bucket of [...this.buckets.values()]) if (matches(bucket.key)) this.evictBucket(bucket);
  }

  /** The same for one key. */
  evictKey({ id }: K): void {
    const bucket = this.buckets.get(id);
    if (bucket) this.evictBucket(bucket);
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
    return numbersOf(this.buckets, this.supply.total);
  }

  perKey(): Iterable<KeyNumbers<K>> {
    return keyNumbersOf(this.buckets, this.options.maxPerKey);
  }

  /** Leases held for longer than `ms`, each told once. */
  longLeases(ms: number): Iterable<LongLease<K>> {
    return longLeasesOf(this.buckets, ms, this.now());
  }

  private evictBucket(bucket: Bucket<K, T>): void {
    bucket.renew();
    for (const entry of bucket.idleEntries()) void this.supply.end(entry, 'evicted');
    for (const waiter of bucket.waiters.splice(0)) waiter.fail(new TurnedAway(this.numbers));
    this.tidy(bucket);
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
      this.supply.room.waiting.add(bucket);
      this.supply.openFor(bucket);
    });
  }

  private bucketOf(key: K): Bucket<K, T> {
    let bucket = this.buckets.get(key.id);
    if (!bucket) this.buckets.set(key.id, (bucket = new Bucket<K, T>(key, this.now())));
    bucket.key = key;
    return bucket;
  }

  private openingFailed(bucket: Bucket<K, T>, error: Error, outdated: boolean): void {
    // Who asked after an eviction asked for something else than what has failed.
    const waiter = outdated ? undefined : bucket.waiters.shift();
    this.tidy(bucket);
    waiter?.fail(error);
  }

  /** A resource that was opened or given back: to the longest waiters of its key, else idle; or it ends. */
  private offer(entry: Entry<K, T>): void {
    const { bucket } = entry;
    const why = this.reasonToEnd(entry);
    if (why) {
      bucket.remove(entry);
      if (entry.leases === 0) void this.supply.end(entry, why);
      return;
    }
    if (this.supply.room.isNeeded(entry, this.now())) return void this.supply.end(entry, 'made-room');
    bucket.makeAvailable(entry);
    if (entry.leases === 0) this.supply.room.idle.add(entry);
    this.serve(bucket);
    if (entry.leases > 0) return;
    entry.laidIdle = true;
    this.supply.pump(); // somebody of another key may wait for room
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
    if (entry.done) return 'done';
    if (entry.doomed || !this.options.isUsable(entry.resource)) return 'discarded';
    if (this.closing) return entry.uses > 0 ? 'closed' : 'evicted';
    if (entry.generation !== entry.bucket.generation) return 'evicted';
    return entry.expiresAt <= this.now() ? 'expired' : undefined;
  }

  private lend(entry: Entry<K, T>, borrower: string, fresh = false): Lease<T> {
    const now = this.now();
    if (!entry.bucket.key.uncounted) this.counters[entry.uses === 0 ? 'misses' : 'hits'] += 1;
    const idleMs = entry.suspect ? Infinity : now - entry.lastUsed;
    entry.suspect = false;
    entry.bucket.lease(entry, now, this.options.maxLeasesPerResource, borrower);
    this.supply.room.idle.delete(entry);
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
      if (entry.leases === 0) void this.supply.end(entry, why);
    }
    return undefined;
  }

  private async shutDown(graceMs: number): Promise<void> {
    const empty = new Promise<void>((resolve) => (this.emptied = resolve));
    // `closing` is set only when this function has returned its promise, so nothing may be served before.
    await Promise.resolve();
    for (const bucket of [...this.buckets.values()]) {
      for (const waiter of bucket.waiters.splice(0)) waiter.fail(PoolError.closed(this.numbers));
      for (const entry of bucket.idleEntries()) void this.supply.end(entry, 'closed');
      this.tidy(bucket);
    }
    const timer = setTimeout(() => this.endLeased(), graceMs);
    if (this.supply.total > 0) await empty;
    clearTimeout(timer);
  }

  private endLeased(): void {
    const entries = [...this.buckets.values()].flatMap((bucket) => [...bucket.entries]);
    for (const entry of entries) if (entry.state === 'live') void this.supply.end(entry, 'closed');
  }

  private tidy(bucket: Bucket<K, T>): void {
    this.supply.room.waiting.delete(bucket);
    if (bucket.waiters.length > 0)
      this.supply.room.waiting.add(bucket); // behind the others: keys are served in turn
    else if (bucket.size === 0) this.buckets.delete(bucket.key.id);
    if (this.supply.total === 0) this.emptied();
  }
}
