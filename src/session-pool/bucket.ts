import { type Keyed, type Lease } from './bounded-pool.types.js';

/** A resource that the pool knows. */
export interface Entry<K extends Keyed, T> {
  readonly resource: T;
  readonly bucket: Bucket<K, T>;
  readonly generation: number;
  readonly expiresAt: number;
  state: 'live' | 'closing';
  lastUsed: number;
  leases: number;
  uses: number;
  /** Who has it, for the warning about leases held too long; `told` once it was given. */
  borrower: string;
  told: boolean;
  /** Nobody took it when it was opened. */
  laidIdle: boolean;
  /** Given back with the verdict `done`. */
  done: boolean;
  /** Given back with the verdict `suspect`. */
  suspect: boolean;
  /** Given back with the verdict `discard`: ends when its last lease does. */
  doomed: boolean;
}

export interface Waiter<T> {
  readonly borrower: string;
  /** Since when, on the pool's clock. */
  readonly since: number;
  give(lease: Lease<T>): void;
  fail(error: Error): void;
}

/** What belongs to one key: its resources in each state and those who wait. It counts; the pool decides. */
export class Bucket<K extends Keyed, T> {
  /** Live and closing. */
  readonly entries = new Set<Entry<K, T>>();
  readonly waiters: Waiter<T>[] = [];
  opening = 0;
  /** Of those being opened, the ones that began before the last eviction: nobody waits for them. */
  private outdated = 0;
  closing = 0;
  /** Live resources with at least one lease. */
  leased = 0;
  generation = 0;
  lastUsed: number;
  /** Can be lent, the newest last. */
  private readonly available: Entry<K, T>[] = [];

  /** @param key the newest of equal keys: what is opened next is opened by it (a key carries its target). */
  constructor(
    public key: K,
    now: number,
  ) {
    this.lastUsed = now;
  }

  get size(): number {
    return this.entries.size + this.opening;
  }

  get idleCount(): number {
    return this.entries.size - this.leased - this.closing;
  }

  /** Nobody uses it, nobody waits, nothing is being opened. */
  get isIdle(): boolean {
    return this.leased === 0 && this.opening === 0 && this.waiters.length === 0;
  }

  /** Waiters for whom nothing is being opened yet. */
  get unserved(): number {
    return this.waiters.length - (this.opening - this.outdated);
  }

  /** An opening that began in this generation has come to an end. */
  opened(generation: number): void {
    this.opening -= 1;
    if (generation !== this.generation) this.outdated -= 1;
  }

  /** What exists or is being opened belongs to the past from now on. */
  renew(): void {
    this.generation += 1;
    this.outdated = this.opening;
  }

  admit(resource: T, generation: number, now: number, lifetimeMs: number): Entry<K, T> {
    const entry: Entry<K, T> = {
      resource,
      bucket: this,
      generation,
      expiresAt: now + lifetimeMs,
      state: 'live',
      lastUsed: now,
      leases: 0,
      uses: 0,
      borrower: '',
      told: false,
      laidIdle: false,
      done: false,
      suspect: false,
      doomed: false,
    };
    this.entries.add(entry);
    return entry;
  }

  newest(): Entry<K, T> | undefined {
    return this.available[this.available.length - 1];
  }

  makeAvailable(entry: Entry<K, T>): void {
    if (!this.available.includes(entry)) this.available.push(entry);
  }

  remove(entry: Entry<K, T>): void {
    const at = this.available.lastIndexOf(entry);
    if (at >= 0) this.available.splice(at, 1);
  }

  idleEntries(): Entry<K, T>[] {
    return this.available.filter((entry) => entry.leases === 0);
  }

  lease(entry: Entry<K, T>, now: number, maxLeases: number, borrower: string): void {
    if (entry.leases === 0) this.leased += 1;
    entry.leases += 1;
    entry.uses += 1;
    entry.borrower = borrower;
    entry.told = false;
    entry.lastUsed = this.lastUsed = now;
    if (entry.leases >= maxLeases) this.remove(entry);
    else this.makeAvailable(entry);
  }

  unlease(entry: Entry<K, T>, now: number): void {
    entry.leases -= 1;
    if (entry.leases === 0 && entry.state === 'live') this.leased -= 1;
    entry.lastUsed = this.lastUsed = now;
  }

  startClosing(entry: Entry<K, T>): void {
    if (entry.leases > 0) this.leased -= 1;
    this.remove(entry);
    entry.state = 'closing';
    this.closing += 1;
  }

  gone(entry: Entry<K, T>): void {
    this.entries.delete(entry);
    this.closing -= 1;
  }

  forget(waiter: Waiter<T>): void {
    const at = this.waiters.indexOf(waiter);
    if (at >= 0) this.waiters.splice(at, 1);
  }
}
