import { LRUCache } from 'lru-cache';

export interface LookupCacheOptions<Row, L> {
  /** Reads what is known of a key; undefined when there is nothing. */
  readonly load: (key: string) => Promise<Row | undefined>;
  /** Makes the answer out of a row that is surely the newest; must not wait. */
  readonly build: (row: Row) => L;
  /** The answer for a key that has nothing. */
  readonly missing: L;
  /** Whose change makes the row old; undefined: anybody's. */
  readonly gatewayIdOf: (row: Row) => string | undefined;
  readonly max?: number;
  readonly ttlMs?: number;
  readonly negativeTtlMs?: number;
  /** Milliseconds on a clock that never goes back. */
  readonly now?: () => number;
}

interface Remembered<L> {
  readonly lookup: L;
  readonly gatewayId: string | undefined;
  readonly until: number;
}

/** Enough for the quietest moment of a busy administrator; afterwards an answer is given but not remembered. */
const MAX_ROUNDS = 3;

/**
 * What calls look up in the database, in memory (SPEC G-8): bounded, for 60 s, a key that has nothing for 10 s.
 *
 * - A warm answer is synchronous and asks nobody.
 * - Parallel questions for one key are one load.
 * - What was read before an invalidation is never remembered after it, and nobody who asks after it gets it.
 */
export class LookupCache<Row, L> {
  private readonly known: LRUCache<string, Remembered<L>>;
  /** Until when a key is known to have nothing; apart, so that made-up names cannot push the real ones out. */
  private readonly absent: LRUCache<string, number>;
  private readonly loading = new Map<string, Promise<L>>();
  private readonly ttlMs: number;
  private readonly negativeTtlMs: number;
  private readonly now: () => number;
  private generation = 0;

  constructor(private readonly options: LookupCacheOptions<Row, L>) {
    this.known = new LRUCache({ max: options.max ?? 10_000 });
    this.absent = new LRUCache({ max: options.max ?? 10_000 });
    this.ttlMs = options.ttlMs ?? 60_000;
    this.negativeTtlMs = options.negativeTtlMs ?? 10_000;
    this.now = options.now ?? ((): number => performance.now());
  }

  get(key: string): L | Promise<L> {
    const now = this.now();
    const hit = this.known.get(key);
    if (hit && hit.until > now) return hit.lookup;
    if ((this.absent.get(key) ?? 0) > now) return this.options.missing;

    const running = this.loading.get(key);
    if (running) return running;
    const load = this.load(key).finally(() => {
      if (this.loading.get(key) === load) this.loading.delete(key);
    });
    this.loading.set(key, load);
    return load;
  }

  /** Forgets what belongs to a gateway, and every key that had nothing: the change may have brought it. */
  invalidateGateway(gatewayId: string): void {
    this.generation += 1;
    this.loading.clear();
    this.absent.clear();
    for (const [key, { gatewayId: owner }] of this.known.entries()) {
      if (owner === undefined || owner === gatewayId) this.known.delete(key);
    }
  }

  clear(): void {
    this.generation += 1;
    this.loading.clear();
    this.absent.clear();
    this.known.clear();
  }

  get size(): number {
    return this.known.size + this.absent.size;
  }

  private async load(key: string): Promise<L> {
    for (let round = 1; ; round++) {
      const generation = this.generation;
      const row = await this.options.load(key);
      const current = generation === this.generation;
      if (!current && round < MAX_ROUNDS) continue;

      const lookup = row === undefined ? this.options.missing : this.options.build(row);
      if (current) this.remember(key, lookup, row);
      return lookup;
    }
  }

  private remember(key: string, lookup: L, row: Row | undefined): void {
    this.known.delete(key);
    if (row === undefined) this.absent.set(key, this.now() + this.negativeTtlMs);
    else {
      const gatewayId = this.options.gatewayIdOf(row);
      this.known.set(key, { lookup, gatewayId, until: this.now() + this.ttlMs });
    }
  }
}
