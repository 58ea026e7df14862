import { randomBytes } from 'node:crypto';
import { ANONYMOUS, type Caller, type Principal, sameOwner } from '../../common/principal.js';
import { DownstreamError } from '../downstream.errors.js';

/** What the registry knows of a session. */
export interface RegisteredSession {
  readonly id: string;
  readonly endpoint: string;
  readonly caller: Caller;
  /** In use although nothing comes: it does not expire. */
  readonly busy: boolean;
  /** Milliseconds of the registry's clock. */
  lastUsed: number;
  /** Drops what it keeps for too long. */
  trim(): void;
  /** Called once; what still waits in it hears the reason. */
  end(reason: DownstreamError): void;
}

export interface SessionRegistryOptions<S extends RegisteredSession> {
  /** A session unused that long is gone (sliding, SPEC D-10). */
  readonly ttlMs: number;
  readonly maxPerUser: number;
  readonly maxTotal: number;
  /** Called once for each session that ends, however it ends. */
  onEnded?(session: S): void;
  readonly now?: () => number;
}

const ID_BYTES = 24;
const MAX_SWEEP_MS = 30_000;

/**
 * The downstream sessions of this replica. A session belongs to who opened it: for anybody else it does not exist (S-3).
 */
export class SessionRegistry<S extends RegisteredSession> {
  private readonly sessions = new Map<string, S>();
  private readonly perUser = new Map<string, number>();
  private readonly now: () => number;
  private closed = false;
  private sweeper: NodeJS.Timeout | undefined;

  constructor(private readonly options: SessionRegistryOptions<S>) {
    this.now = options.now ?? (() => performance.now());
  }

  /** An unguessable id of 192 bits, in the characters of SPEC P-5. */
  newId(): string {
    return randomBytes(ID_BYTES).toString('base64url');
  }

  /** @throws DownstreamError SESSION_LIMIT, SHUTTING_DOWN */
  add(session: S): S {
    if (this.closed)
      throw new DownstreamError('SHUTTING_DOWN', 'this replica is shutting down', { retryAfterMs: 1_000 });
    const user = ownerOf(session.caller);
    const own = this.perUser.get(user) ?? 0;
    const { maxPerUser, maxTotal } = this.options;
    // Who has no name cannot be told from others, so only the total limits him.
    if (user !== ANONYMOUS && own >= maxPerUser)
      throw this.full(`you have ${own} open sessions (SESSION_MAX_PER_USER=${maxPerUser})`);
    if (this.sessions.size >= maxTotal) throw this.full(`${maxTotal} sessions are open (SESSION_MAX_TOTAL)`);
    session.lastUsed = this.now();
    this.sessions.set(session.id, session);
    this.perUser.set(user, own + 1);
    this.arm();
    return session;
  }

  /**
   * The session, if it lives, was opened at this endpoint and belongs to the principal; its time starts anew.
   *
   * @throws DownstreamError SESSION_NOT_FOUND, the same for a foreign session as for none
   */
  get(id: string, principal: Principal | undefined, endpoint?: string): S {
    const session = this.sessions.get(id);
    const elsewhere = endpoint !== undefined && session?.endpoint !== endpoint;
    if (!session || elsewhere || this.expired(session) || !sameOwner(session.caller.principal, principal)) {
      throw new DownstreamError('SESSION_NOT_FOUND', 'no such session; start a new one with initialize');
    }
    session.lastUsed = this.now();
    return session;
  }

  /** It is over; a second call does nothing. */
  remove(session: S, why = 'the session has ended'): void {
    if (!this.sessions.delete(session.id)) return;
    session.end(new DownstreamError('SESSION_NOT_FOUND', why));
    this.options.onEnded?.(session);
    const user = ownerOf(session.caller);
    const left = (this.perUser.get(user) ?? 1) - 1;
    if (left > 0) this.perUser.set(user, left);
    else this.perUser.delete(user);
  }

  get size(): number {
    return this.sessions.size;
  }

  [Symbol.iterator](): Iterator<S> {
    return this.sessions.values();
  }

  close(): void {
    this.closed = true;
    clearTimeout(this.sweeper);
    for (const session of [...this.sessions.values()]) this.remove(session, 'this replica is shutting down');
  }

  private arm(): void {
    const { ttlMs } = this.options;
    this.sweeper ??= setTimeout(() => this.sweep(), Math.min(ttlMs / 2, MAX_SWEEP_MS)).unref();
  }

  private sweep(): void {
    this.sweeper = undefined;
    for (const session of [...this.sessions.values()]) {
      if (session.busy) session.lastUsed = this.now();
      if (this.expired(session)) this.remove(session, 'the session has expired (SESSION_TTL_SECONDS)');
      else session.trim();
    }
    if (this.sessions.size > 0) this.arm();
  }

  private expired(session: S): boolean {
    return !session.busy && this.now() - session.lastUsed > this.options.ttlMs;
  }

  private full(what: string): DownstreamError {
    const message = `too many sessions: ${what}; end some with DELETE or try again later`;
    return new DownstreamError('SESSION_LIMIT', message, { retryAfterMs: 10_000 });
  }
}

/** Equal subjects of two issuers or tenants are two owners (SPEC P-3). */
function ownerOf({ principal }: Caller): string {
  return principal ? JSON.stringify([principal.issuer, principal.tenant, principal.subject]) : ANONYMOUS;
}
