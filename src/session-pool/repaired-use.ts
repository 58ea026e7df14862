import { ANONYMOUS } from '../common/principal.js';
import { type Target, type UpstreamSession } from '../upstream/upstream.port.js';
import { type BoundSessions } from './bound-sessions.js';
import { type Lease, type Verdict } from './bounded-pool.types.js';
import { TurnedAway } from './pool.errors.js';
import { type PoolKey } from './pool-key.js';
import { discards, gotNoAnswer, mayRepeat, notSent, SessionLossAnswer, sessionLossOf } from './repair.js';
import { type SessionChecks } from './session-checks.js';
import { type SessionMappings } from './session-mappings.js';
import { type PoolPlace, type PoolUse, type SessionCounters, type Work } from './session-pool.types.js';

/** A gateway that changes more often while one call waits is not getting anywhere. */
const MAX_TURNED_AWAY = 20;

/** What one attempt needs of the pool. */
export interface SessionSource {
  /** `false`: a session for each call (SPEC P-13). */
  readonly enabled: boolean;
  readonly bound: BoundSessions;
  readonly checks: SessionChecks;
  readonly mappings: SessionMappings;
  /** An idle session, now; else undefined. */
  tryAcquire(key: PoolKey, borrower: string): Lease<UpstreamSession> | undefined;
  acquire(key: PoolKey, signal: AbortSignal, borrower: string): Promise<Lease<UpstreamSession>>;
  openUnpooled<R>(target: Target, work: Work<R>, signal: AbortSignal): Promise<R>;
}

/** Told when there is a session, before the work begins on it. */
type Note = (fresh: boolean) => void;

/**
 * Runs work on sessions and gives them back with a verdict, whatever happens; a session that turns out to be dead is
 * replaced, and the work runs again only where that cannot run a call twice (SPEC P-8, P-9).
 */
export class RepairedUse {
  constructor(
    private readonly source: SessionSource,
    /** No more than there can be dead sessions of one key, and one. */
    private readonly maxAttempts: number,
    private readonly counters: SessionCounters,
  ) {}

  async run<R>(use: PoolUse, work: Work<R>, signal: AbortSignal): Promise<R> {
    let repeated = false;
    let turnedAway = 0;
    for (let attempt = 1; ; attempt += 1) {
      let lent: 'fresh' | 'used' | undefined;
      try {
        const place = use.place();
        if (attempt === 1 && place.key.parts[2] === ANONYMOUS) this.counters.anonymousIdentityCount += 1;
        return await this.attempt(use.borrower, place, work, signal, (fresh) => (lent = fresh ? 'fresh' : 'used'));
      } catch (error) {
        // Whatever failed before there was a session, the call itself was not sent.
        const repeatable = use.repeatable || lent === undefined;
        const again = mayRepeat(error, { fresh: lent !== 'used', repeated, repeatable });
        const turned = error instanceof TurnedAway;
        if (turned) turnedAway += 1;
        const tooOften = turnedAway > MAX_TURNED_AWAY || attempt - turnedAway > this.maxAttempts;
        if (again === 'no' || tooOften || signal.aborted) {
          if (error instanceof SessionLossAnswer) return error.answer as R; // the server's own words
          throw lent === undefined ? notSent(error, signal) : error;
        }
        // A dead session that was surely not asked costs no repetition: there may be several of them, one after another.
        if (again === 'once') repeated = true;
        if (!turned) this.counters.repeats += 1;
      }
    }
  }

  private attempt<R>(
    borrower: string,
    { key, bound }: PoolPlace,
    work: Work<R>,
    signal: AbortSignal,
    note: Note,
  ): Promise<R> {
    const { source } = this;
    const noted = async (session: UpstreamSession, fresh: boolean, idleMs: number): Promise<R> => {
      note(fresh);
      if (!fresh && source.checks.needed(session, idleMs))
        await source.checks.assertSound(session, key.target.gatewayName, signal);
      return sessionLossOf(await work(session), session, key);
    };
    if (!source.enabled) return source.openUnpooled(key.target, (session) => noted(session, true, 0), signal);
    if (!bound) return this.onPooled(key, noted, signal, borrower);
    source.mappings.note(bound.sessionHash, key.parts);
    return source.bound.use({ ...bound, key }, noted, signal, (error) => discards(error, signal));
  }

  private async onPooled<R>(
    key: PoolKey,
    work: (session: UpstreamSession, fresh: boolean, idleMs: number) => Promise<R>,
    signal: AbortSignal,
    borrower: string,
  ): Promise<R> {
    const lease = this.source.tryAcquire(key, borrower) ?? (await this.source.acquire(key, signal, borrower));
    let verdict: Verdict = 'discard'; // unless we learn that the session is sound
    try {
      const result = await work(lease.resource, lease.fresh, lease.idleMs);
      verdict = 'reuse';
      return result;
    } catch (error) {
      if (!discards(error, signal)) verdict = gotNoAnswer(signal) ? 'suspect' : 'reuse';
      throw error;
    } finally {
      lease.release(verdict);
    }
  }
}
