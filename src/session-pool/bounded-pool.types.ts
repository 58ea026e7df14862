/**
 * What the borrower learnt of the resource (SPEC P-8). `suspect`: nothing against it is known, but somebody should look
 * before it is used again (a call on it got no answer). `done`: nothing against it; who it was for needs it no more.
 */
export type Verdict = 'reuse' | 'suspect' | 'discard' | 'done';

/** Why a resource ends. `closed`: it was in use before the pool closed; `evicted`: of no more use to anybody. */
export type EndReason = 'done' | 'discarded' | 'expired' | 'made-room' | 'evicted' | 'closed';

export interface Keyed {
  /** Equal for equal keys. */
  readonly id: string;
  /** Uses of such a key are neither hits nor misses: they are nobody's calls. */
  readonly uncounted?: boolean;
  /** Keys of one group share a cap (SPEC P-7: the gateway). */
  readonly group: string;
}

export interface Lease<T> {
  readonly resource: T;
  /** Whether it was opened for this very lease, and nothing has happened to it since. */
  readonly fresh: boolean;
  /** How long nobody had used it before this lease, in milliseconds; Infinity if it is suspect. */
  readonly idleMs: number;
  /** Exactly once; a second call throws (SPEC P-8). */
  release(verdict: Verdict): void;
}

export interface PoolCaps {
  /** Resources of one key; at least 1. */
  readonly maxPerKey: number;
  /** Resources of all keys; at least 1. */
  readonly maxTotal: number;
  /** Resources of one group; at least 1. */
  readonly maxPerGroup: number;
  /** Keys that hold resources; 0 = no limit. */
  readonly maxKeys: number;
  /** Leases that one resource bears at once; at least 1. */
  readonly maxLeasesPerResource: number;
}

export interface BoundedPoolOptions<K extends Keyed, T> extends PoolCaps {
  /** Who has waited that long for a slot is served before waiters of other keys whose resource comes free. */
  readonly starvingMs: number;
  /** Life of a resource from its creation, spread by ±2.5 % so that those born together do not end together. */
  readonly ttlMs: number;
  /** Opens a resource. Owned by the pool: it goes on when the one who asked has given up. */
  create(key: K): Promise<T>;
  /** Ends a resource; never rejects, bounded in time by its maker. The slot is free only when this has settled. */
  destroy(resource: T, why: EndReason, key: K): Promise<void>;
  /** Asked before a resource is lent; `false` ends it. */
  isUsable(resource: T): boolean;
  readonly now?: () => number;
  readonly random?: () => number;
}

/** Everything that ever happened, in whole numbers. */
export interface PoolCounters {
  hits: number;
  misses: number;
  opened: number;
  openFailures: number;
  readonly ended: Record<EndReason, number>;
}

export interface KeyNumbers<K> {
  readonly key: K;
  readonly idle: number;
  readonly leased: number;
  readonly waiting: number;
  readonly max: number;
}

/** A lease that has not come back. */
export interface LongLease<K> {
  readonly key: K;
  readonly borrower: string;
  readonly heldMs: number;
}
