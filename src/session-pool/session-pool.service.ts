import { type CancelSignal } from '../common/cancellation.js';
import { withDeadline } from '../common/deadline.js';
import { type Log } from '../logging/logger.js';
import { type Metrics } from '../metrics/metrics.js';
import { type Connector, type Ending, type Target, type UpstreamSession } from '../upstream/upstream.port.js';
import { BoundSessions } from './bound-sessions.js';
import { BoundedPool } from './bounded-pool.js';
import { type EndReason, type Lease } from './bounded-pool.types.js';
import { CallGates } from './call-gate.js';
import { Circuits } from './circuits.js';
import { HealthChain } from './health-chain.js';
import { PoolError, type PoolNumbers } from './pool.errors.js';
import { type PoolKey } from './pool-key.js';
import { poolMetrics, type PoolMetrics } from './pool-metrics.js';
import { RepairedUse } from './repaired-use.js';
import { SessionChecks } from './session-checks.js';
import { type SessionJournal } from './session-journal.js';
import { type SessionMappings } from './session-mappings.js';
import { SessionOpener } from './session-opener.js';
import {
  type PoolUse,
  type ServerNotification,
  SessionCounters,
  type SessionPoolOptions,
  type UnpooledHow,
  type UnpooledPurpose,
  type Work,
} from './session-pool.types.js';

/**
 * Upstream sessions: pooled ones lent to one call after the other of an identity, bound ones that belong to a downstream
 * session (SPEC §2). Everybody else needs only `use`.
 */
export class SessionPoolService {
  readonly circuits: Circuits;
  readonly bound: BoundSessions;
  readonly counters = new SessionCounters();
  private readonly pool: BoundedPool<PoolKey, UpstreamSession>;
  private readonly gates: CallGates;
  private readonly opener: SessionOpener;
  private readonly calls: RepairedUse;
  private readonly listeners = new Set<(notification: ServerNotification) => void>();
  private reaper: NodeJS.Timeout | undefined;
  private detaching = false;
  private ending: Promise<void> | undefined;

  constructor(
    readonly options: SessionPoolOptions,
    connector: Connector,
    private readonly metrics: Metrics,
    private readonly log: Log,
    readonly mappings: SessionMappings,
    private readonly journal: SessionJournal,
  ) {
    const { counters } = this;
    this.circuits = new Circuits(options.circuit);
    this.gates = new CallGates(options.calls);
    const heard = (notification: ServerNotification): void => this.tell(notification);
    this.opener = new SessionOpener(
      options.createTimeoutMs,
      connector,
      this.circuits,
      journal,
      metrics,
      counters,
      heard,
      (key) => key.bound && this.bound.lost(key),
    );
    this.pool = new BoundedPool({
      ...options,
      starvingMs: options.acquireTimeoutMs / 2,
      create: (key) => this.opener.open(key),
      destroy: (session, why, key) => this.opener.end(session, this.endingOf(session, why, key)),
      isUsable: (session) => session.lost === undefined,
    });
    this.bound = new BoundSessions({
      acquire: (key) => this.acquire(key, undefined, 'bound'),
      abandon: (key) => this.pool.evictKey(key),
    });
    const chain = new HealthChain({ methods: options.healthCheckMethods, timeoutMs: options.healthCheckTimeoutMs });
    const source = {
      enabled: options.enabled,
      bound: this.bound,
      checks: new SessionChecks(chain, options.healthCheckIntervalMs, counters),
      mappings,
      tryAcquire: (key: PoolKey, borrower: string) => this.pool.tryAcquire(key, borrower),
      acquire: (key: PoolKey, signal: CancelSignal, borrower: string) => this.acquire(key, signal, borrower),
      openUnpooled: <R>(target: Target, work: Work<R>, signal: CancelSignal) =>
        this.openUnpooled(target, 'call', work, signal),
    };
    this.calls = new RepairedUse(source, options.maxPerKey + 1, counters);
  }

  /** Starts the reaper. */
  start(): void {
    this.reaper = setTimeout(() => {
      this.reap();
      this.start();
    }, this.options.reapIntervalMs).unref();
  }

  /**
   * Runs `work` on a session and gives the session back with a verdict, whatever happens. A session that turns out to be
   * dead is replaced, and `work` runs again only where that cannot run a call twice (P-9).
   *
   * @throws PoolError POOL_EXHAUSTED, POOL_CLOSED; CircuitOpenError; UpstreamError; what `place` or `work` threw
   */
  async use<R>(use: PoolUse, work: Work<R>, signal: CancelSignal): Promise<R> {
    const leave = this.gates.tryEnter(use.gatewayId) ?? (await this.enter(use, signal));
    try {
      return await this.calls.run(use, work, signal);
    } finally {
      leave();
    }
  }

  /** Opens a session for one piece of work and terminates it, whatever happens (P-13, registering, refresh). */
  openUnpooled<R>(
    target: Target,
    purpose: UnpooledPurpose,
    work: Work<R>,
    signal: CancelSignal,
    how?: UnpooledHow,
  ): Promise<R> {
    const assertOpen = (): void => {
      if (this.ending) throw PoolError.closed(this.pool.numbers);
    };
    return this.opener.openUnpooled(target, purpose, work, signal, assertOpen, how);
  }

  /**
   * The pool itself, for those who must have one (P-13).
   *
   * @throws PoolError POOL_UNAVAILABLE "not initialized" when it is switched off or closed
   */
  requirePool(): this {
    if (this.options.enabled && !this.ending) return this;
    const why = this.options.enabled ? 'it has been closed' : 'MCP_SESSION_POOL_ENABLED=false';
    throw new PoolError('POOL_UNAVAILABLE', `the session pool is not initialized: ${why}`, this.pool.numbers);
  }

  /** A downstream session has ended: its bound upstream sessions end. @param sessionHash SHA-256 of its id */
  endDownstream(sessionHash: string): void {
    this.mappings.forget(sessionHash);
    this.bound.end(sessionHash);
  }

  /**
   * SPEC P-14, on this replica: sessions that are idle end at once, leased ones when they come back; calls that wait for
   * one ask anew where they go.
   */
  evictGateway(gatewayId: string): void {
    this.opener.forget(gatewayId);
    this.bound.evictGateway(gatewayId);
    this.pool.evict((key) => key.gatewayId === gatewayId);
  }

  /** Ends every idle session now and every leased one when it comes back; the pool stays open. */
  evictAll(): void {
    this.bound.renewAll();
    this.pool.evict(() => true);
  }

  /**
   * The closing of a replica whose sessions go on elsewhere (P-11): as `close()`, except that bound sessions are left at
   * their servers where another replica can take them over. Remembered; a pool that is closing already just closes.
   *
   * @param graceMs how long leased sessions may stay in use
   */
  drain(graceMs: number): Promise<void> {
    this.detaching ||= this.options.detachAtDrain && this.ending === undefined;
    this.ending ??= this.end(graceMs);
    return this.ending;
  }

  /** Waiters fail, idle sessions end, leased ones within the grace. Remembered. */
  close(): Promise<void> {
    this.ending ??= this.end(this.options.closeGraceMs);
    return this.ending;
  }

  /** What servers say, on whichever session (SPEC N-1). A listener must not throw and not wait. @returns ends it */
  onNotification(listener: (notification: ServerNotification) => void): () => void {
    this.listeners.add(listener);
    return () => void this.listeners.delete(listener);
  }

  get numbers(): PoolNumbers {
    return this.pool.numbers;
  }

  /** SPEC P-17. Nothing in it is a secret, a raw URL with a query or a whole user hash. */
  getMetrics(): PoolMetrics {
    const { pool, bound, circuits, counters, options, journal } = this;
    const { affinity } = this.metrics;
    return poolMetrics({ pool, bound: bound.counters, circuits, counters, options, affinity, journal });
  }

  private tell(notification: ServerNotification): void {
    for (const listener of this.listeners) listener(notification);
  }

  private async enter(use: PoolUse, signal: CancelSignal): Promise<() => void> {
    return this.inTime(signal, (limit) => this.gates.enter(use.gatewayId, limit, use.gatewayName));
  }

  private acquire(key: PoolKey, signal: CancelSignal | undefined, who: string): Promise<Lease<UpstreamSession>> {
    return this.inTime(signal, (limit) => this.pool.acquire(key, limit, who));
  }

  private inTime<R>(signal: CancelSignal | undefined, work: (limit: CancelSignal) => Promise<R>): Promise<R> {
    const { acquireTimeoutMs } = this.options;
    return withDeadline(acquireTimeoutMs, signal, () => new Error(`waited ${acquireTimeoutMs} ms`), work);
  }

  private endingOf(session: UpstreamSession, why: EndReason, key: PoolKey): Ending {
    const goesOn = this.detaching && why === 'closed' && key.bound;
    return goesOn && session.sessionId !== undefined && session.lost === undefined ? 'detach' : 'terminate';
  }

  private reap(): void {
    this.bound.reap();
    const { sessions, keys } = this.pool.reap(this.options.idleEvictionMs);
    this.counters.sessionsReaped += sessions;
    this.counters.poolKeysEvicted += keys;
    void this.journal.sync();
    for (const { key, borrower, heldMs } of this.pool.longLeases(this.options.leaseWarningMs)) {
      if (key.bound) continue; // held by design
      const fields = { gateway: key.target.gatewayName, borrower, heldMs: Math.round(heldMs) };
      this.log.warn(fields, 'an upstream session is leased for long (MCP_SESSION_POOL_LEASE_WARNING)');
    }
  }

  private async end(graceMs: number): Promise<void> {
    clearTimeout(this.reaper);
    const others = this.opener.endUnpooled();
    const closed = this.pool.close(graceMs);
    this.bound.releaseAll();
    const timer = setTimeout(() => this.opener.abort(PoolError.closed(this.pool.numbers)), graceMs);
    await Promise.all([closed, others]);
    clearTimeout(timer);
    await this.journal.sync();
  }
}
