import { withDeadline } from '../common/deadline.js';
import { type Metrics } from '../metrics/metrics.js';
import { UpstreamError } from '../upstream/upstream.errors.js';
import { type Connector, type Target, type UpstreamSession } from '../upstream/upstream.port.js';
import { BoundedPool } from './bounded-pool.js';
import { type Lease, type PoolCaps, type Verdict } from './bounded-pool.types.js';
import { PoolError, type PoolNumbers } from './pool.errors.js';
import { type PoolKey } from './pool-key.js';

export interface SessionPoolOptions extends PoolCaps {
  /** `false`: every call opens and closes a session of its own (SPEC P-13). */
  readonly enabled: boolean;
  readonly ttlMs: number;
  readonly acquireTimeoutMs: number;
  readonly createTimeoutMs: number;
  /** Pause between two looks for expired sessions. */
  readonly reapIntervalMs: number;
  /** A key unused that long loses its sessions. */
  readonly idleEvictionMs: number;
  /** How long `close()` waits for leased sessions. */
  readonly drainMs: number;
}

/** Why a session is opened outside of the pool. */
export type UnpooledPurpose = 'registering' | 'refresh' | 'health' | 'call';

/**
 * Upstream sessions, lent to one call after the other of the same identity (SPEC P-1, P-6, P-8).
 * Most callers need only `use`.
 */
export class SessionPoolService {
  private readonly pool: BoundedPool<PoolKey, UpstreamSession>;
  private readonly unpooled = new Set<UpstreamSession>();
  private reaper: NodeJS.Timeout | undefined;
  private closing: Promise<void> | undefined;

  constructor(
    private readonly options: SessionPoolOptions,
    private readonly connector: Connector,
    private readonly metrics: Metrics,
  ) {
    this.pool = new BoundedPool({
      ...options,
      create: (key) => this.open(key.target),
      destroy: (session) => session.close('terminate'),
      isUsable: (session) => session.lost === undefined,
    });
  }

  /** Starts the reaper. */
  start(): void {
    this.reaper = setTimeout(() => {
      this.pool.reap(this.options.idleEvictionMs);
      this.start();
    }, this.options.reapIntervalMs).unref();
  }

  /**
   * Runs `work` on a session of the key and gives the session back with a verdict, whatever happens.
   *
   * @throws PoolError POOL_EXHAUSTED, POOL_CLOSED; UpstreamError if no session could be opened; what `work` threw
   */
  async use<R>(key: PoolKey, work: (session: UpstreamSession) => Promise<R>, signal: AbortSignal): Promise<R> {
    if (!this.options.enabled) return this.openUnpooled(key.target, 'call', work, signal);
    const lease = this.pool.tryAcquire(key) ?? (await this.acquire(key, signal));
    let verdict: Verdict = 'discard'; // unless we learn that the session is sound
    try {
      const result = await work(lease.resource);
      verdict = 'reuse';
      return result;
    } catch (error) {
      if (!killsSession(error, signal)) verdict = 'reuse';
      throw error;
    } finally {
      lease.release(verdict);
    }
  }

  /** Opens a session for one piece of work and terminates it, whatever happens (P-13, registering, refresh). */
  async openUnpooled<R>(
    target: Target,
    purpose: UnpooledPurpose,
    work: (session: UpstreamSession) => Promise<R>,
    signal: AbortSignal,
  ): Promise<R> {
    if (this.closing) throw PoolError.closed(this.pool.numbers);
    this.metrics.unpooledSessions.inc({ purpose });
    const session = await this.open(target, signal);
    this.unpooled.add(session);
    try {
      return await work(session);
    } finally {
      this.unpooled.delete(session);
      await session.close('terminate');
    }
  }

  /** SPEC P-14, on this replica: idle sessions of the gateway end at once, leased ones when they come back. */
  evictGateway(gatewayId: string): void {
    this.pool.evict((key) => key.gatewayId === gatewayId);
  }

  /** Waiters fail, idle sessions end, leased ones within the drain time. Remembered. */
  close(): Promise<void> {
    this.closing ??= this.end();
    return this.closing;
  }

  get numbers(): PoolNumbers {
    return this.pool.numbers;
  }

  /** SPEC P-17, as far as this version counts. */
  getMetrics() {
    const { counters, numbers } = this.pool;
    const { hits, misses, opened, ended } = counters;
    return {
      hits,
      misses,
      hitRate: hits + misses === 0 ? 0 : hits / (hits + misses),
      evictions: ended.discarded + ended['made-room'] + ended.evicted,
      sessionsReaped: ended.expired,
      created: opened,
      terminated: Object.values(ended).reduce((sum, count) => sum + count, 0),
      poolKeyCount: numbers.keys,
      totalSessions: numbers.total,
      totalLeased: numbers.leased,
      waiting: numbers.waiting,
      maxTotalKeys: this.options.maxKeys,
      maxTotalSessions: this.options.maxTotal,
    };
  }

  private async acquire(key: PoolKey, signal: AbortSignal): Promise<Lease<UpstreamSession>> {
    const { acquireTimeoutMs } = this.options;
    const expired = (): Error => new Error(`waited ${acquireTimeoutMs} ms`);
    return withDeadline(acquireTimeoutMs, signal, expired, (limit) => this.pool.acquire(key, limit));
  }

  private async open(target: Target, signal?: AbortSignal): Promise<UpstreamSession> {
    const { createTimeoutMs } = this.options;
    const { gatewayName: gateway } = target;
    const late = (): Error =>
      new UpstreamError('UPSTREAM_TIMEOUT', `${gateway}: no session in ${createTimeoutMs} ms`, {
        reason: 'timeout',
        execution: 'none',
        gateway,
      });
    return withDeadline(createTimeoutMs, signal, late, (limit) => this.connector.connect(target, { signal: limit }));
  }

  private async end(): Promise<void> {
    clearTimeout(this.reaper);
    const others = [...this.unpooled].map((session) => session.close('terminate'));
    await Promise.all([this.pool.close(this.options.drainMs), ...others]);
  }
}

/**
 * SPEC P-8, P-9: a failure of the way to the server ends the session. A call that was given up (cancelled, too slow)
 * says nothing about it, nor does a server's refusal of one request; a JSON-RPC error is an answer and never comes here.
 */
function killsSession(error: unknown, signal: AbortSignal): boolean {
  return !signal.aborted && !(error instanceof UpstreamError && error.sessionSound);
}
