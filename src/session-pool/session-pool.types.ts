import { type ConnectOptions, type UpstreamSession } from '../upstream/upstream.port.js';
import { type BoundUse } from './bound-owner.js';
import { type PoolCaps } from './bounded-pool.types.js';
import { type CallGateOptions } from './call-gate.js';
import { type CircuitBreakerOptions } from './circuit-breaker.js';
import { type HealthMethod } from './health-chain.js';
import { type PoolKey } from './pool-key.js';

export interface SessionPoolOptions extends PoolCaps {
  /** `false`: every call opens and closes a session of its own (SPEC P-13). */
  readonly enabled: boolean;
  readonly ttlMs: number;
  readonly idleEvictionMs: number;
  readonly acquireTimeoutMs: number;
  readonly createTimeoutMs: number;
  /** A session that was idle that long is looked at before it is used. */
  readonly healthCheckIntervalMs: number;
  readonly healthCheckMethods: readonly HealthMethod[];
  readonly healthCheckTimeoutMs: number;
  readonly leaseWarningMs: number;
  /** Pause between two looks for what has expired. */
  readonly reapIntervalMs: number;
  /** How long `close()` waits for leased sessions. */
  readonly closeGraceMs: number;
  /** A drain leaves bound sessions at their servers, for the replica that goes on with them (SPEC P-11). */
  readonly detachAtDrain: boolean;
  readonly circuit: CircuitBreakerOptions;
  readonly calls: CallGateOptions;
}

/** Which session a call gets. */
export interface PoolPlace {
  readonly key: PoolKey;
  /** Given with a bound key: whose session it is (SPEC P-4). */
  readonly bound?: Omit<BoundUse, 'key'>;
}

/** One piece of work for one session. */
export interface PoolUse {
  readonly gatewayId: string;
  /** For messages. */
  readonly gatewayName: string;
  /** Asked anew for each attempt, so that a gateway that has changed meanwhile is met as it is now (SPEC P-14). */
  place(): PoolPlace;
  /** Whether it may run twice without harm: reads, tools marked `readOnlyHint` or `idempotentHint` (SPEC P-9). */
  readonly repeatable: boolean;
  /** For the warning about leases held too long: what it is, and for whom. Never a secret. */
  readonly borrower: string;
}

/** Why a session is opened outside of the pool. */
export type UnpooledPurpose = 'registering' | 'refresh' | 'watch' | 'health' | 'call';

/** How such a session differs from one that only asks and answers. */
export type UnpooledHow = Pick<ConnectOptions, 'listen' | 'observer'>;

/** A notification of a server, on whichever session it came (SPEC N-1). */
export interface ServerNotification {
  readonly gatewayId: string;
  readonly method: string;
}

export type Work<R> = (session: UpstreamSession) => Promise<R>;

/** What happened, in whole numbers; one object for all parts of the pool. */
export class SessionCounters {
  healthCheckFailures = 0;
  sessionsReaped = 0;
  poolKeysEvicted = 0;
  repeats = 0;
  terminated = 0;
  orphaned = 0;
  detached = 0;
  anonymousIdentityCount = 0;
}
