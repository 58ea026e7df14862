import { abortable } from '../common/deadline.js';
import { UpstreamError } from '../upstream/upstream.errors.js';
import { type UpstreamSession } from '../upstream/upstream.port.js';
import { type Health, type HealthChain } from './health-chain.js';
import { type SessionCounters } from './session-pool.types.js';

interface Check {
  readonly result: Promise<Health>;
  waiting: number;
}

/**
 * Looks at sessions that were idle for long before they are used (SPEC P-10). One check for a session at a time: every
 * call that comes meanwhile waits for it. It belongs to the session and not to the call that came first, so that one
 * may give up without harm to the others.
 */
export class SessionChecks {
  private readonly running = new Map<UpstreamSession, Check>();

  constructor(
    private readonly chain: HealthChain,
    /** Idle that long: looked at; milliseconds. */
    private readonly intervalMs: number,
    private readonly counters: SessionCounters,
  ) {}

  /** Whether a call has to wait for a check; on the way of every call, so without a promise. */
  needed(session: UpstreamSession, idleMs: number): boolean {
    return idleMs >= this.intervalMs || (this.running.size > 0 && this.running.has(session));
  }

  /** @throws UpstreamError UPSTREAM_SESSION_LOST if the session does not pass; not when `signal` aborts first */
  async assertSound(session: UpstreamSession, gateway: string, signal: AbortSignal): Promise<void> {
    const check = this.running.get(session) ?? this.start(session);
    check.waiting += 1;
    // Whoever has given up has learnt nothing: his call ends by its own signal.
    const health = await abortable(check.result, signal).catch(() => 'healthy');
    check.waiting -= 1;
    if (health === 'healthy' || signal.aborted) return;
    const message = `${gateway}: an idle session did not pass its health check`;
    throw new UpstreamError('UPSTREAM_SESSION_LOST', message, { execution: 'none', gateway });
  }

  private start(session: UpstreamSession): Check {
    const check: Check = { result: this.check(session, () => check.waiting === 0), waiting: 0 };
    this.running.set(session, check);
    return check;
  }

  private async check(session: UpstreamSession, unwanted: () => boolean): Promise<Health> {
    const health = await this.chain.check(session);
    this.running.delete(session);
    if (health === 'unhealthy') {
      this.counters.healthCheckFailures += 1;
      if (unwanted()) void session.close('terminate'); // nobody is there to hear of it: the pool sees that it is lost
    }
    return health;
  }
}
