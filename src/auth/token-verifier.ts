import { hash } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { type Principal } from '../common/principal.js';
import { AuthError } from './auth.errors.js';
import { type AuthMode } from './scopes.js';
import { checkToken, type CheckedToken } from './token-check.js';
import { remoteKeySet, sharedSecret, type TokenKeys } from './token-keys.js';

export interface TokenVerifierOptions {
  readonly mode: AuthMode;
  /** HS256 secret. Exactly one of `secret` and `jwksUrl` in mode `jwt`. */
  readonly secret?: string;
  readonly jwksUrl?: string;
  readonly issuer?: string;
  readonly audience?: string;
  /** 0 to 60, default 30 (SPEC S-1). */
  readonly clockToleranceSeconds?: number;
  /** Verified tokens to remember, default 10 000. */
  readonly cacheSize?: number;
  /** Deadline for one fetch of the key set, default 5 000. */
  readonly jwksTimeoutMs?: number;
  /** An unknown key id makes the key set be read again at most this often, default 10 000. */
  readonly jwksCooldownMs?: number;
  /** Milliseconds since the epoch; for tests. */
  readonly now?: () => number;
}

interface Remembered {
  readonly principal: Principal;
  readonly until: number;
}

/** So long a verified token outlives the withdrawal of its key, at most (and the key set itself as long again). */
const REMOTE_KEY_TRUST_MS = 5 * 60_000;

/**
 * Turns an `Authorization` header into the principal that it speaks for (SPEC S-1).
 *
 * - A token is kept nowhere: verified ones are remembered by their SHA-256, until `exp` at the latest.
 * - Parallel verifications of one token are one. A failed verification is not remembered.
 * - A token that is remembered costs one hash, and the answer comes synchronously.
 */
export class TokenVerifier {
  private readonly keys: TokenKeys | undefined;
  private readonly tolerance: number;
  private readonly now: () => number;
  private readonly remembered: LRUCache<string, Remembered>;
  private readonly flights = new Map<string, Promise<Principal>>();

  constructor(private readonly options: TokenVerifierOptions) {
    this.keys = keysFor(options);
    this.tolerance = toleranceOf(options);
    this.now = options.now ?? Date.now;
    this.remembered = new LRUCache({ max: options.cacheSize ?? 10_000 });
  }

  /**
   * @returns undefined in mode `none`, whatever the header says
   * @throws AuthError (`UNAUTHORIZED`), thrown for a bad header and rejected for a bad token; AuthUnavailableError
   *   (rejected) when the key set cannot be read
   */
  verify(authorization: string | undefined): Principal | undefined | Promise<Principal> {
    if (this.keys === undefined) return undefined;
    const token = bearerToken(authorization);
    const key = hash('sha256', token, 'base64');
    const known = this.remembered.get(key);
    if (known !== undefined && known.until > this.now()) return known.principal;
    return this.flights.get(key) ?? this.start(key, token, this.keys);
  }

  private start(key: string, token: string, keys: TokenKeys): Promise<Principal> {
    const rules = { ...this.options, clockToleranceSeconds: this.tolerance };
    const flight = checkToken(token, keys, rules, this.now())
      .then((checked) => this.remember(key, checked, keys.remote))
      .finally(() => this.flights.delete(key));
    this.flights.set(key, flight);
    return flight;
  }

  private remember(key: string, { principal, expiresAt }: CheckedToken, remoteKey: boolean): Principal {
    const now = this.now();
    const until = remoteKey ? Math.min(expiresAt, now + REMOTE_KEY_TRUST_MS) : expiresAt;
    // A token in the tolerance after its `exp` is good for this once and checked anew the next time.
    if (until > now) this.remembered.set(key, { principal, until });
    else this.remembered.delete(key);
    return principal;
  }
}

const HOW_TO = 'send the header Authorization: Bearer <token>';

/** The one token of the header; the scheme in any case (RFC 9110 §11.1). */
function bearerToken(authorization: string | undefined): string {
  if (authorization === undefined || authorization === '') throw AuthError.noToken(`no token: ${HOW_TO}`);
  if (!/^bearer(?: |$)/i.test(authorization)) throw AuthError.noToken(`only bearer tokens are taken: ${HOW_TO}`);

  const token = authorization.slice('bearer '.length).trim();
  if (token === '' || /[\s,]/.test(token)) throw AuthError.badToken(`exactly one token is expected: ${HOW_TO}`);
  return token;
}

function keysFor(options: TokenVerifierOptions): TokenKeys | undefined {
  const { mode, secret, jwksUrl, jwksTimeoutMs = 5_000, jwksCooldownMs = 10_000 } = options;
  if (mode === 'none') return undefined;
  if (secret !== undefined && jwksUrl !== undefined) throw new RangeError('secret and jwksUrl exclude each other');
  if (secret !== undefined) return sharedSecret(secret);
  if (jwksUrl !== undefined)
    return remoteKeySet({ url: jwksUrl, timeoutMs: jwksTimeoutMs, cooldownMs: jwksCooldownMs });
  throw new RangeError('mode jwt needs secret or jwksUrl');
}

function toleranceOf({ clockToleranceSeconds = 30 }: TokenVerifierOptions): number {
  if (clockToleranceSeconds >= 0 && clockToleranceSeconds <= 60) return clockToleranceSeconds;
  throw new RangeError('clockToleranceSeconds must be 0 to 60');
}
