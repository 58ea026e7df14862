import { type JWTPayload } from 'jose';
import { type Principal } from '../common/principal.js';
import { AuthError } from './auth.errors.js';

/**
 * The principal that verified claims speak for (SPEC P-1, S-2). Frozen, because the cache hands the same object to
 * every request.
 *
 * @throws AuthError when no claim names a user
 */
export function principalOf(claims: JWTPayload): Principal {
  const subject = firstText(claims.sub, claims['email'], claims['user_id']);
  if (subject === undefined) throw AuthError.badToken('the token names no user: it needs sub, email or user_id');

  const tenant = firstText(claims['tenant_id'], claims['tenant'], claims['tid']);
  const issuer = firstText(claims.iss);
  return Object.freeze({
    subject,
    ...(tenant === undefined ? {} : { tenant }),
    ...(issuer === undefined ? {} : { issuer }),
    scopes: Object.freeze(scopesOf(claims)),
  });
}

/** `scope` is a text with spaces; `scp` a text or a list. */
function scopesOf(claims: JWTPayload): string[] {
  const listed = typeof claims['scope'] === 'string' ? claims['scope'] : claims['scp'];
  const texts: unknown[] = Array.isArray(listed) ? listed : [listed];
  const words = texts.flatMap((text) => (typeof text === 'string' ? text.split(' ') : []));
  return [...new Set(words.filter((word) => word !== ''))];
}

function firstText(...values: unknown[]): string | undefined {
  return values.find((value): value is string => typeof value === 'string' && value !== '');
}
