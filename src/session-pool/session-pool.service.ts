import { setMaxListeners } from 'node:events';
import { withDeadline } from '../common/deadline.js';
import { ANONYMOUS } from '../common/principal.js';
import { type Log } from '../logging/logger.js';
import { type Metrics } from '../metrics/metrics.js';
import { UpstreamError } from '../upstream/upstream.errors.js';
import { type ConnectOptions, type Connector, type Target, type UpstreamSession } from '../upstream/upstream.port.js';
import { BoundSessions, type BoundUse } from './bound-sessions.js';
import { BoundedPool } from './bounded-pool.js';
import { type Lease, type PoolCaps, type Verdict } from './bounded-pool.types.js';
import { type CallGateOptions, CallGates } from './call-gate.js';
import { type CircuitBreakerOptions } from './circuit-breaker.js';
import { Circuits } from './circuits.js';
import { HealthChain, type HealthMethod } from './health-chain.js';
import { PoolError, type PoolNumbers } from './pool.errors.js';
import { type PoolKey } from './pool-key.js';
import { poolMetrics, type PoolMetrics } from './pool-metrics.js';
import { discards, gotNoAnswer, mayRepeat, notSent, SessionLossAnswer, sessionLossOf } from './repair.js';
import { type SessionMappings } from './session-mappings.js';

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
  readonly drainMs: number;
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
export type UnpooledPurpose = 'registering' | 'refresh' | 'health' | 'call';

type Work<R> = (session: UpstreamSession) => Promise<R>;

/**
 * Upstream sessions: pooled ones lent to one call after the other of an identity, bound ones that belong to a downstream
 * session (SPEC §2). Everybody else needs only `use`.
 */
export class SessionPoolService {
  readonly circuits: Circuits;
  readonly bound: BoundSessions;
  readonly counters = {
    healthCheckFailures: 0,
    sessionsReaped: 0,
    poolKeysEvicted: 0,
    repeats: 0,
    terminated: 0,
    orphaned: 0,
    anonymousIdentityCount: 0,
  };
  private readonly pool: BoundedPool<PoolKey, UpstreamSession>;
  private readonly gates: CallGates;
  private readonly health: HealthChain;
  private readonly unpooled = new Set<UpstreamSession>();
  /** Gateways that answered 405 to the standing stream: not asked again until they change (P-4). */
  private readonly withoutStream = new Set<string>();
  private reaper: NodeJS.Timeout | undefined;
  /** Aborts what is still being opened when the grace of `close()` is over. */
  private readonly ending = new AbortController();
  private closing: Promise<void> | undefined;

  constructor(
    readonly options: SessionPoolOptions,
    private readonly connector: Connector,
    private readonly metrics: Metrics,
    private readonly log: Log,
    readonly mappings: SessionMappings,
  ) {
    setMaxListeners(0, this.ending.signal); // one for each session that is being opened, gone when it is
    this.circuits = new Circuits(options.circuit);
    this.gates = new CallGates(options.calls);
    this.health = new HealthChain({ methods: options.healthCheckMethods, timeoutMs: options.healthCheckTimeoutMs });
    this.pool = new BoundedPool({
      ...options,
      starvingMs: options.acquireTimeoutMs / 2,
      create: (key) => this.open(key),
      destroy: async (session) => {
        this.counters[(await session.close('terminate')) === 'orphaned' ? 'orphaned' : 'terminated'] += 1;
      },
      isUsable: (session) => session.lost === undefined,
    });
    this.bound = new BoundSessions({ acquire: (key) => this.acquire(key, undefined, 'bound') });
  }

  /** Starts the reaper. */
  start(): void {
    this.reaper = setTimeout(() => {
      this.reap();
      this.start();
    }, this.options.reapIntervalMs).unref();
  }

  /**
   * Runs `work` on a session of the key and gives the session back with a verdict, whatever happens. A session that
   * turns out to be dead is replaced, and `work` runs again only where that cannot run a call twice (P-9).
   *
   * @throws PoolError POOL_EXHAUSTED, POOL_CLOSED; CircuitOpenError; UpstreamError; what `place` or `work` threw
   */
  async use<R>(use: PoolUse, work: Work<R>, signal: AbortSignal): Promise<R> {
    const leave = this.gates.tryEnter(use.gatewayId) ?? (await this.enter(use, signal));
    try {
      return await this.useWithRepair(use, work, signal);
    } finally {
      leave();
    }
  }

  /** Opens a session for one piece of work and terminates it, whatever happens (P-13, registering, refresh). */
  async openUnpooled<R>(target: Target, purpose: UnpooledPurpose, work: Work<R>, signal: AbortSignal): Promise<R> {
    if (this.closing) throw PoolError.closed(this.pool.numbers);
    this.metrics.unpooledSessions.inc({ purpose });
    // Without the pool calls still go through the circuit; a failed registration says nothing about a known server.
    const open = (): Promise<UpstreamSession> => this.connect(target, {}, signal);
    const session = await (purpose === 'call' ? this.circuits.run(target, open, signal) : open());
    this.unpooled.add(session);
    try {
      if (this.closing !== undefined) throw PoolError.closed(this.pool.numbers); // closed while it was connecting
      return await work(session);
    } finally {
      this.unpooled.delete(session);
      if ((await session.close('terminate')) === 'orphaned') this.metrics.unpooledOrphans.inc({ purpose });
    }
  }

  /**
   * The pool itself, for those who must have one (P-13).
   *
   * @throws PoolError POOL_UNAVAILABLE "not initialized" when it is switched off or closed
   */
  requirePool(): this {
    if (this.options.enabled && !this.closing) return this;
    const why = this.options.enabled ? 'it has been closed' : 'MCP_SESSION_POOL_ENABLED=false';
    throw new PoolError('POOL_UNAVAILABLE', `the session pool is not initialized: ${why}`, this.pool.numbers);
  }

  /** A downstream session has ended: its bound upstream sessions end. @param sessionHash SHA-256 of its id */
  endDownstream(sessionHash: string): void {
    this.mappings.forget(sessionHash);
    this.bound.end(sessionHash);
  }

  /** SPEC P-14, on this replica: sessions that are idle end at once, leased ones when they come back. */
  evictGateway(gatewayId: string): void {
    this.withoutStream.delete(gatewayId);
    this.circuits.forget(gatewayId);
    this.bound.evictGateway(gatewayId);
    this.pool.evict((key) => key.gatewayId === gatewayId);
  }

  /** Ends every idle session now and every leased one when it comes back; the pool stays open. */
  drain(): void {
    this.bound.endAll();
    this.pool.evict(() => true);
  }

  /** Waiters fail, idle sessions end, leased ones within the drain time. Remembered. */
  close(): Promise<void> {
    this.closing ??= this.end();
    return this.closing;
  }

  get numbers(): PoolNumbers {
    return this.pool.numbers;
  }

  /** SPEC P-17. Nothing in it is a secret, a raw URL with a query or a whole user hash. */
  getMetrics(): PoolMetrics {
    const { pool, bound, circuits, counters, options } = this;
    return poolMetrics({ pool, bound: bound.counters, circuits, counters, options, affinity: this.metrics.affinity });
  }

  private async useWithRepair<R>(use: PoolUse, work: Work<R>, signal: AbortSignal): Promise<R> {
    let repeated = false;
    // No more than there can be dead sessions of the key, and one.
    for (let attempts = 0; ; attempts += 1) {
      let lent: 'fresh' | 'used' | undefined;
      try {
        const place = use.place();
        if (attempts === 0 && place.key.parts[2] === ANONYMOUS) this.counters.anonymousIdentityCount += 1;
        return await this.attempt(use, place, work, signal, (fresh) => (lent = fresh ? 'fresh' : 'used'));
      } catch (error) {
        // Whatever failed before there was a session, the call itself was not sent.
        const repeatable = use.repeatable || lent === undefined;
        const again = mayRepeat(error, { fresh: lent !== 'used', repeated, repeatable });
        if (again === 'no' || attempts > this.options.maxPerKey || signal.aborted) {
          if (error instanceof SessionLossAnswer) return error.answer as R; // the server's own words
          throw lent === undefined ? notSent(error, signal) : error;
        }
        // A dead session that was surely not asked costs no repetition: there may be several of them, one after another.
        if (again === 'once') repeated = true;
        this.counters.repeats += 1;
      }
    }
  }

  private async attempt<R>(
    { borrower }: PoolUse,
    { key, bound }: PoolPlace,
    work: Work<R>,
    signal: AbortSignal,
    note: (fresh: boolean) => void,
  ): Promise<R> {
    const checked = async (session: UpstreamSession): Promise<R> => sessionLossOf(await work(session), session, key);
    if (!this.options.enabled) {
      const noted = (session: UpstreamSession): Promise<R> => (note(true), checked(session));
      return this.openUnpooled(key.target, 'call', noted, signal);
    }
    const gone = (error: unknown): boolean => discards(error, signal);
    if (bound) {
      this.mappings.note(bound.sessionHash, key.parts);
      const lookedAt = async (session: UpstreamSession, fresh: boolean, idleMs: number): Promise<R> => {
        note(fresh);
        if (!fresh) await this.assertSound(session, idleMs, key, signal);
        return checked(session);
      };
      return this.bound.use({ ...bound, key }, lookedAt, signal, gone);
    }
    const lease = this.pool.tryAcquire(key, borrower) ?? (await this.acquire(key, signal, borrower));
    note(lease.fresh);
    let verdict: Verdict = 'discard'; // unless we learn that the session is sound
    try {
      if (!lease.fresh) await this.assertSound(lease.resource, lease.idleMs, key, signal);
      const result = await checked(lease.resource);
      verdict = 'reuse';
      return result;
    } catch (error) {
      if (!gone(error)) verdict = gotNoAnswer(signal) ? 'suspect' : 'reuse';
      throw error;
    } finally {
      lease.release(verdict);
    }
  }

  private async assertSound(
    session: UpstreamSession,
    idleMs: number,
    key: PoolKey,
    signal: AbortSignal,
  ): Promise<void> {
    if (idleMs < this.options.healthCheckIntervalMs) return;
    // Whoever has given up has learnt nothing: his call ends by its own signal.
    if ((await this.health.check(session, signal)) === 'healthy' || signal.aborted) return;
    this.counters.healthCheckFailures += 1;
    const { gatewayName: gateway } = key.target;
    const message = `${gateway}: an idle session did not pass its health check`;
    throw new UpstreamError('UPSTREAM_SESSION_LOST', message, { execution: 'none', gateway });
  }

  private async enter(use: PoolUse, signal: AbortSignal): Promise<() => void> {
    const { acquireTimeoutMs } = this.options;
    const expired = (): Error => new Error(`waited ${acquireTimeoutMs} ms`);
    return withDeadline(acquireTimeoutMs, signal, expired, (limit) =>
      this.gates.enter(use.gatewayId, limit, use.gatewayName),
    );
  }

  private async acquire(key: PoolKey, signal: AbortSignal | undefined, who: string): Promise<Lease<UpstreamSession>> {
    const { acquireTimeoutMs } = this.options;
    const expired = (): Error => new Error(`waited ${acquireTimeoutMs} ms`);
    return withDeadline(acquireTimeoutMs, signal, expired, (limit) => this.pool.acquire(key, limit, who));
  }

  /** A session for the pool: through the circuit of its server, with its standing stream if it is bound (P-4). */
  private async open({ target, bound, uncounted, clientCapabilities }: PoolKey): Promise<UpstreamSession> {
    if (uncounted) this.metrics.unpooledSessions.inc({ purpose: 'health' });
    const listen = bound && !this.withoutStream.has(target.gatewayId);
    const declared = clientCapabilities && { clientCapabilities };
    const session = await this.circuits.run(target, () =>
      this.connect(target, { listen, ...declared }, this.ending.signal),
    );
    // Its answer may come after the first call: who opens next should know of it all the same.
    void session.standingStreamReady?.then(() => {
      if (session.standingStream === 'unsupported') this.withoutStream.add(target.gatewayId);
    });
    return session;
  }

  private async connect(target: Target, how: ConnectOptions, signal?: AbortSignal): Promise<UpstreamSession> {
    const { createTimeoutMs } = this.options;
    const { gatewayName: gateway } = target;
    const late = (): Error =>
      new UpstreamError('UPSTREAM_TIMEOUT', `${gateway}: no session in ${createTimeoutMs} ms`, {
        reason: 'timeout',
        execution: 'none',
        gateway,
      });
    return withDeadline(createTimeoutMs, signal, late, (limit) =>
      this.connector.connect(target, { ...how, signal: limit }),
    );
  }

  private reap(): void {
    const { sessions, keys } = this.pool.reap(this.options.idleEvictionMs);
    this.counters.sessionsReaped += sessions;
    this.counters.poolKeysEvicted += keys;
    for (const { key, borrower, heldMs } of this.pool.longLeases(this.options.leaseWarningMs)) {
      if (key.bound) continue; // held by design
      const fields = { gateway: key.target.gatewayName, borrower, heldMs: Math.round(heldMs) };
      this.log.warn(fields, 'an upstream session is leased for long (MCP_SESSION_POOL_LEASE_WARNING)');
    }
  }

  private async end(): Promise<void> {
    clearTimeout(this.reaper);
    const others = [...this.unpooled].map((session) => session.close('terminate'));
    const closed = this.pool.close(this.options.drainMs);
    this.bound.endAll();
    const timer = setTimeout(() => this.ending.abort(PoolError.closed(this.pool.numbers)), this.options.drainMs);
    await Promise.all([closed, ...others]);
    clearTimeout(timer);
  }
}
