import { LRUCache } from 'lru-cache';
import { type ToolLookup } from './catalogue-entries.js';

export interface LookupCacheOptions<Row> {
  /** Reads what is known of a public name; undefined when there is none. */
  readonly load: (publicName: string) => Promise<Row | undefined>;
  /** Makes the answer out of a row that is surely the newest; must not wait. */
  readonly build: (row: Row) => ToolLookup;
  readonly gatewayIdOf: (row: Row) => string;
  readonly max?: number;
  readonly ttlMs?: number;
  readonly negativeTtlMs?: number;
  /** Milliseconds on a clock that never goes back. */
  readonly now?: () => number;
}

interface Remembered {
  readonly lookup: ToolLookup;
  readonly gatewayId: string;
  readonly until: number;
}

const MISSING: ToolLookup = { kind: 'missing' };

/** Enough for the quietest moment of a busy administrator; afterwards an answer is given but not remembered. */
const MAX_ROUNDS = 3;

/**
 * Public tool name → tool, gateway, status, in memory (SPEC G-8): bounded, for 60 s, a name that nobody has for 10 s.
 *
 * - A warm answer is synchronous and asks nobody.
 * - Parallel questions for one name are one load.
 * - What was read before an invalidation is never remembered after it, and nobody who asks after it gets it.
 */
export class LookupCache<Row> {
  private readonly known: LRUCache<string, Remembered>;
  /** Until when a name is known to be nobody's; apart, so that made-up names cannot push the real ones out. */
  private readonly absent: LRUCache<string, number>;
  private readonly loading = new Map<string, Promise<ToolLookup>>();
  private readonly ttlMs: number;
  private readonly negativeTtlMs: number;
  private readonly now: () => number;
  private generation = 0;

  constructor(private readonly options: LookupCacheOptions<Row>) {
    this.known = new LRUCache({ max: options.max ?? 10_000 });
    this.absent = new LRUCache({ max: options.max ?? 10_000 });
    this.ttlMs = options.ttlMs ?? 60_000;
    this.negativeTtlMs = options.negativeTtlMs ?? 10_000;
    this.now = options.now ?? ((): number => performance.now());
  }

  get(publicName: string): ToolLookup | Promise<ToolLookup> {
    const now = this.now();
    const hit = this.known.get(publicName);
    if (hit && hit.until > now) return hit.lookup;
    if ((this.absent.get(publicName) ?? 0) > now) return MISSING;

    const running = this.loading.get(publicName);
    if (running) return running;
    const load = this.load(publicName).finally(() => {
      if (this.loading.get(publicName) === load) this.loading.delete(publicName);
    });
    this.loading.set(publicName, load);
    return load;
  }

  /** Forgets what belongs to a gateway, and every name that nobody had: the change may have brought it. */
  invalidateGateway(gatewayId: string): void {
    this.generation += 1;
    this.loading.clear();
    this.absent.clear();
    for (const [name, { gatewayId: owner }] of this.known.entries()) {
      if (owner === gatewayId) this.known.delete(name);
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

  private async load(publicName: string): Promise<ToolLookup> {
    for (let round = 1; ; round++) {
      const generation = this.generation;
      const row = await this.options.load(publicName);
      const current = generation === this.generation;
      if (!current && round < MAX_ROUNDS) continue;

      const lookup = row === undefined ? MISSING : this.options.build(row);
      if (current) this.remember(publicName, lookup, row);
      return lookup;
    }
  }

  private remember(name: string, lookup: ToolLookup, row: Row | undefined): void {
    this.known.delete(name);
    if (row === undefined) this.absent.set(name, this.now() + this.negativeTtlMs);
    else {
      const gatewayId = this.options.gatewayIdOf(row);
      this.known.set(name, { lookup, gatewayId, until: this.now() + this.ttlMs });
    }
  }
}
