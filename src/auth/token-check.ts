import { errors, type JWTPayload, jwtVerify, type JWTVerifyOptions } from 'jose';
import { type Principal } from '../common/principal.js';
import { AuthError, AuthUnavailableError } from './auth.errors.js';
import { principalOf } from './token-claims.js';
import { type TokenKeys } from './token-keys.js';

export interface TokenRules {
  readonly issuer?: string;
  readonly audience?: string;
  readonly clockToleranceSeconds: number;
}

export interface CheckedToken {
  readonly principal: Principal;
  /** `exp` in milliseconds since the epoch. */
  readonly expiresAt: number;
}

/**
 * Verifies one token: signature with a pinned algorithm, `exp` (required), `nbf`, issuer and audience where configured.
 *
 * @param now milliseconds since the epoch
 * @throws AuthError with one of a fixed set of messages; AuthUnavailableError when the keys cannot be had
 */
export async function checkToken(
  token: string,
  keys: TokenKeys,
  rules: TokenRules,
  now: number,
): Promise<CheckedToken> {
  const options: JWTVerifyOptions = {
    algorithms: [...keys.algorithms],
    requiredClaims: ['exp'],
    clockTolerance: rules.clockToleranceSeconds,
    currentDate: new Date(now),
    issuer: rules.issuer,
    audience: rules.audience,
  };
  let claims: JWTPayload;
  try {
    claims = await verifiedClaims(token, keys, options);
  } catch (error) {
    if (error instanceof AuthUnavailableError) throw error;
    throw AuthError.badToken(problemOf(error));
  }
  return { principal: principalOf(claims), expiresAt: (claims.exp ?? 0) * 1000 };
}

async function verifiedClaims(token: string, keys: TokenKeys, options: JWTVerifyOptions): Promise<JWTPayload> {
  try {
    return (await jwtVerify(token, keys.find, options)).payload;
  } catch (error) {
    if (error instanceof errors.JWKSMultipleMatchingKeys) return tryEach(error, token, options);
    throw error;
  }
}

/** A token without key id, while several keys of its kind are published (common while keys rotate). */
async function tryEach(
  candidates: errors.JWKSMultipleMatchingKeys,
  token: string,
  options: JWTVerifyOptions,
): Promise<JWTPayload> {
  for await (const key of candidates) {
    try {
      return (await jwtVerify(token, key, options)).payload;
    } catch (error) {
      if (!(error instanceof errors.JWSSignatureVerificationFailed)) throw error;
    }
  }
  throw new errors.JWSSignatureVerificationFailed();
}

/** What is wrong with the token, in our words: the library's errors hold its claims. */
function problemOf(error: unknown): string {
  if (error instanceof errors.JWTExpired) return 'the token has expired; get a new one';
  if (error instanceof errors.JWTClaimValidationFailed) return claimProblem(error.claim, error.reason);
  if (error instanceof errors.JOSEAlgNotAllowed) return 'the token is signed with an algorithm that is not allowed';
  if (error instanceof errors.JWSSignatureVerificationFailed || error instanceof errors.JWKSNoMatchingKey) {
    return 'the signature of the token is wrong, or its key is not known here';
  }
  return MALFORMED;
}

const MALFORMED = 'the token is malformed: a signed JWT is expected';

function claimProblem(claim: string, reason: string): string {
  if (claim === 'exp' && reason === 'missing') return 'the token has no expiry (exp)';
  if (claim === 'nbf' && reason === 'check_failed') return 'the token is not valid yet (nbf)';
  if (claim === 'iss') return 'the token is from another issuer (iss) than the one trusted here';
  if (claim === 'aud') return 'the token is for another audience (aud) than this service';
  return MALFORMED;
}
