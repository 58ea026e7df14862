import { createSecretKey } from 'node:crypto';
import { createRemoteJWKSet, errors, type JWTVerifyGetKey } from 'jose';
import { AuthUnavailableError } from './auth.errors.js';

/** The keys to verify with, and the only algorithms that may be used with them (SPEC S-1). */
export interface TokenKeys {
  readonly algorithms: readonly string[];
  readonly find: JWTVerifyGetKey;
  /** Keys may be withdrawn while we run. */
  readonly remote: boolean;
}

/** No HS256 here: whoever knows a public key could sign with it as if it were a secret. */
const PUBLIC_KEY_ALGORITHMS = [
  ...['RS256', 'RS384', 'RS512'],
  ...['PS256', 'PS384', 'PS512'],
  ...['ES256', 'ES384', 'ES512'],
  'EdDSA',
];

/** The set is read again after this time, so that a withdrawn key is forgotten. */
const KEY_SET_MAX_AGE_MS = 5 * 60_000;

export function sharedSecret(secret: string): TokenKeys {
  const key = createSecretKey(Buffer.from(secret, 'utf8'));
  return { algorithms: ['HS256'], find: () => key, remote: false };
}

export interface KeySetOptions {
  readonly url: string;
  /** Deadline of one fetch; fetches never overlap. */
  readonly timeoutMs: number;
  /** An unknown key id makes the set be read again at most this often. */
  readonly cooldownMs: number;
}

/** `find` rejects with AuthUnavailableError when the set cannot be read. */
export function remoteKeySet({ url, timeoutMs, cooldownMs }: KeySetOptions): TokenKeys {
  const keySet = createRemoteJWKSet(new URL(url), {
    timeoutDuration: timeoutMs,
    cooldownDuration: cooldownMs,
    cacheMaxAge: KEY_SET_MAX_AGE_MS,
  });
  const find: JWTVerifyGetKey = async (header, token) => {
    try {
      return await keySet(header, token);
    } catch (error) {
      if (error instanceof errors.JWKSNoMatchingKey || error instanceof errors.JWKSMultipleMatchingKeys) throw error;
      throw new AuthUnavailableError(error);
    }
  };
  return { algorithms: PUBLIC_KEY_ALGORITHMS, find, remote: true };
}
