import { sha256Hex } from '../common/principal.js';
import { maskUrl } from '../common/mask-url.js';
import { type AffinityCounters } from '../metrics/affinity-counters.js';
import { type KeyNumbers, type PoolCaps, type PoolCounters } from './bounded-pool.types.js';
import { type Circuits } from './circuits.js';
import { type PoolNumbers } from './pool.errors.js';
import { type PoolKey } from './pool-key.js';

export interface PoolMetricsSources {
  readonly pool: {
    readonly counters: PoolCounters;
    readonly numbers: PoolNumbers;
    perKey(): Iterable<KeyNumbers<PoolKey>>;
  };
  readonly bound: { readonly hits: number; readonly reopened: number; readonly stateLost: number };
  readonly circuits: Circuits;
  readonly counters: {
    readonly healthCheckFailures: number;
    readonly sessionsReaped: number;
    readonly poolKeysEvicted: number;
    readonly repeats: number;
    readonly terminated: number;
    readonly orphaned: number;
    readonly detached: number;
    readonly anonymousIdentityCount: number;
  };
  readonly options: PoolCaps;
  readonly affinity: AffinityCounters;
  readonly journal: { readonly late: number };
}

export type PoolMetrics = ReturnType<typeof poolMetrics>;

/** SPEC P-17: every number of the pool, by the names of the seeds. */
export function poolMetrics({ pool, bound, circuits, counters, options, affinity, journal }: PoolMetricsSources) {
  const { misses, opened, ended } = pool.counters;
  const { numbers } = pool;
  const hits = pool.counters.hits + bound.hits;
  return {
    hits,
    misses,
    hitRate: hits + misses === 0 ? 0 : hits / (hits + misses),
    evictions: ended.discarded + ended['made-room'] + ended.evicted,
    healthCheckFailures: counters.healthCheckFailures,
    circuitBreakerTrips: circuits.trips,
    poolKeysEvicted: counters.poolKeysEvicted,
    sessionsReaped: counters.sessionsReaped,
    anonymousIdentityCount: counters.anonymousIdentityCount,
    repeats: counters.repeats,
    boundReopened: bound.reopened,
    stateLost: bound.stateLost,
    poolKeyCount: numbers.keys,
    totalSessions: numbers.total,
    totalLeased: numbers.leased,
    waiting: numbers.waiting,
    created: opened,
    terminated: counters.terminated,
    orphaned: counters.orphaned,
    detached: counters.detached,
    journalLate: journal.late,
    maxTotalKeys: options.maxKeys,
    maxTotalSessions: options.maxTotal,
    sessionAffinity: affinity.snapshot(),
    pools: Object.fromEntries([...pool.perKey()].map(({ key, ...rest }) => [nameOf(key), rest])),
    circuits: circuits.snapshot(),
  };
}

/** Tells keys apart without giving a user or a credential away. */
function nameOf({ parts, bound }: PoolKey): string {
  const [user, url, identity, transport, gatewayId] = parts;
  const who = user.length > 16 ? user.slice(0, 8) : user;
  const hash = identity.length > 16 ? identity.slice(0, 8) : identity;
  const rest = sha256Hex(parts.join('\n')).slice(0, 6);
  return [maskUrl(url), hash, transport, who, gatewayId.slice(0, 8) || 'none', bound ? 'bound' : 'pooled', rest].join(
    '|',
  );
}
