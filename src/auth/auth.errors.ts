import { CodedError } from '../common/errors.js';

export type AuthErrorCode = 'UNAUTHORIZED' | 'FORBIDDEN';

/** What the challenge says beyond "send a token"; the words are those of RFC 6750 §3.1. */
export type ChallengeReason =
  { readonly error: 'invalid_token' } | { readonly error: 'insufficient_scope'; readonly scope: string };

/**
 * Refused at the door (SPEC S-1, S-2). The message comes from a fixed set and never has a cause: the errors of the JWT
 * library carry the claims of the token.
 */
export class AuthError extends CodedError<AuthErrorCode> {
  override readonly name = 'AuthError';

  private constructor(
    code: AuthErrorCode,
    message: string,
    /** Undefined when no bearer token was sent: then the challenge names no error (RFC 6750 §3). */
    readonly reason?: ChallengeReason,
  ) {
    super(code, message, reason?.error === 'insufficient_scope' ? { details: { scope: reason.scope } } : {});
  }

  /** No bearer token came. */
  static noToken(message: string): AuthError {
    return new AuthError('UNAUTHORIZED', message);
  }

  /** A bearer token came and is of no use. */
  static badToken(message: string): AuthError {
    return new AuthError('UNAUTHORIZED', message, { error: 'invalid_token' });
  }

  /** The token is good, and `scope` is what it lacks. */
  static missingScope(scope: string): AuthError {
    const message = `this needs a token with the scope ${scope}`;
    return new AuthError('FORBIDDEN', message, { error: 'insufficient_scope', scope });
  }
}

/**
 * The token may be good, but the key set that would show it cannot be had. Not a 401: a client that gets a 401 throws
 * its token away and logs its user in again, which would not help.
 */
export class AuthUnavailableError extends CodedError<'AUTH_UNAVAILABLE'> {
  override readonly name = 'AuthUnavailableError';

  constructor(cause: unknown) {
    const message = 'tokens cannot be checked now: the key set at JWKS_URL cannot be read; try again later';
    super('AUTH_UNAVAILABLE', message, { cause, retryAfterMs: 5_000 });
  }
}

/** The value of `WWW-Authenticate` that goes with the error (RFC 6750 §3). */
export function challenge(error: AuthError): string {
  const { reason } = error;
  if (reason === undefined) return 'Bearer';
  switch (reason.error) {
    case 'invalid_token':
      return `Bearer error="invalid_token", error_description="${quotable(error.message)}"`;
    case 'insufficient_scope':
      return `Bearer error="insufficient_scope", scope="${quotable(reason.scope)}"`;
  }
}

/** RFC 6750 allows printable ASCII without `"` and `\`; anything else could end the quoted string or the header. */
function quotable(text: string): string {
  return text.replace(/[^\x20\x21\x23-\x5b\x5d-\x7e]/g, "'");
}
