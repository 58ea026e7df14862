import { randomBytes } from 'node:crypto';
import { ANONYMOUS, type Caller, type Principal, sameOwner } from '../common/principal.js';
import { DownstreamError } from './downstream.errors.js';
import { type ProtocolVersion } from './protocol.js';

/** A client's session with this service. */
export interface DownstreamSession {
  readonly id: string;
  /** SHA-256 of the id: what its bound upstream sessions are keyed by (SPEC P-1). */
  readonly hash: string;
  /** By identity, without the session: for upstream sessions that are shared. */
  readonly caller: Caller;
  readonly protocolVersion: ProtocolVersion;
  readonly clientInfo: Readonly<Record<string, unknown>>;
  readonly clientCapabilities: Readonly<Record<string, unknown>>;
  /** Milliseconds of the registry's clock. */
  lastUsed: number;
}

export interface SessionRegistryOptions {
  /** A session unused that long is gone (sliding, SPEC D-10). */
  readonly ttlMs: number;
  readonly maxPerUser: number;
  readonly maxTotal: number;
  /** Called once for each session that ends, however it ends. */
  onEnded?(session: DownstreamSession): void;
  readonly now?: () => number;
}

const ID_BYTES = 24;
const MAX_SWEEP_MS = 30_000;

/**
 * The downstream sessions of this replica. A session belongs to who opened it: for anybody else it does not exist (S-3).
 */
export class SessionRegistry {
  private readonly sessions = new Map<string, DownstreamSession>();
  private readonly perUser = new Map<string, number>();
  private readonly now: () => number;
  private closed = false;
  private sweeper: NodeJS.Timeout | undefined;

  constructor(private readonly options: SessionRegistryOptions) {
    this.now = options.now ?? (() => performance.now());
  }

  /** An unguessable id of 192 bits, in the characters of SPEC P-5. */
  newId(): string {
    return randomBytes(ID_BYTES).toString('base64url');
  }

  /** @throws DownstreamError SESSION_LIMIT */
  add(session: Omit<DownstreamSession, 'lastUsed'>): DownstreamSession {
    if (this.closed)
      throw new DownstreamError('SHUTTING_DOWN', 'this replica is shutting down', { retryAfterMs: 1_000 });
    const user = ownerOf(session.caller);
    const own = this.perUser.get(user) ?? 0;
    const { maxPerUser, maxTotal, ttlMs } = this.options;
    // Who has no name cannot be told from others, so only the total limits him.
    if (user !== ANONYMOUS && own >= maxPerUser)
      throw this.full(`you have ${own} open sessions (SESSION_MAX_PER_USER=${maxPerUser})`);
    if (this.sessions.size >= maxTotal) throw this.full(`${maxTotal} sessions are open (SESSION_MAX_TOTAL)`);
    const added = { ...session, lastUsed: this.now() };
    this.sessions.set(session.id, added);
    this.perUser.set(user, own + 1);
    this.sweeper ??= setTimeout(() => this.sweep(), Math.min(ttlMs / 2, MAX_SWEEP_MS)).unref();
    return added;
  }

  /**
   * The session, if it lives and belongs to the principal; its time starts anew.
   *
   * @throws DownstreamError SESSION_NOT_FOUND, the same for a foreign session as for none
   */
  get(id: string, principal: Principal | undefined): DownstreamSession {
    const session = this.sessions.get(id);
    if (!session || this.expired(session) || !sameOwner(session.caller.principal, principal)) {
      throw new DownstreamError('SESSION_NOT_FOUND', 'no such session; start a new one with initialize');
    }
    session.lastUsed = this.now();
    return session;
  }

  remove(session: DownstreamSession): void {
    if (!this.sessions.delete(session.id)) return;
    this.options.onEnded?.(session);
    const user = ownerOf(session.caller);
    const left = (this.perUser.get(user) ?? 1) - 1;
    if (left > 0) this.perUser.set(user, left);
    else this.perUser.delete(user);
  }

  get size(): number {
    return this.sessions.size;
  }

  close(): void {
    this.closed = true;
    clearTimeout(this.sweeper);
    this.sessions.clear();
    this.perUser.clear();
  }

  private sweep(): void {
    this.sweeper = undefined;
    for (const session of [...this.sessions.values()]) if (this.expired(session)) this.remove(session);
    if (this.sessions.size === 0) return;
    this.sweeper = setTimeout(() => this.sweep(), Math.min(this.options.ttlMs / 2, MAX_SWEEP_MS)).unref();
  }

  private expired(session: DownstreamSession): boolean {
    return this.now() - session.lastUsed > this.options.ttlMs;
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
