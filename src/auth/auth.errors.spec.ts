import { describe, expect, it } from '@jest/globals';
import { AuthError, AuthUnavailableError, challenge } from './auth.errors.js';

describe('challenge (S-2, RFC 6750 §3)', () => {
  it('names no error when no token was sent', () => {
    expect(challenge(AuthError.noToken('no token'))).toBe('Bearer');
  });

  it('says that the token is of no use, and why', () => {
    expect(challenge(AuthError.badToken('the token has expired'))).toBe(
      'Bearer error="invalid_token", error_description="the token has expired"',
    );
  });

  it('names the scope that is missing', () => {
    const error = AuthError.missingScope('gateways:write');
    expect(challenge(error)).toBe('Bearer error="insufficient_scope", scope="gateways:write"');
    expect(error.row.http).toBe(403);
    expect(error.data).toMatchObject({ code: 'FORBIDDEN', retryable: false, scope: 'gateways:write' });
  });

  it('lets no message end the quoted string or the header', () => {
    expect(challenge(AuthError.badToken('a"b\\c\r\nSet-Cookie: é'))).toBe(
      `Bearer error="invalid_token", error_description="a'b'c''Set-Cookie: '"`,
    );
  });
});

it('an unreadable key set is worth a retry, and no 401', () => {
  const error = new AuthUnavailableError(new Error('refused'));
  expect(error.row.http).toBe(503);
  expect(error.data).toMatchObject({ code: 'AUTH_UNAVAILABLE', retryable: true, retryAfterMs: 5_000 });
});
