import { CodedError } from '../common/errors.js';
import { UpstreamError } from './upstream.errors.js';
import { type CredentialPurpose, type HeaderMap, type Target } from './upstream.port.js';

/**
 * The credentials of this moment; a promise only if their source has to fetch them.
 *
 * @throws CodedError of the source as it is; else UpstreamError UPSTREAM_UNAUTHORIZED: nothing was sent, and nothing is
 *   wrong with the session
 */
export function credentialHeaders(
  { credentials, gatewayName }: Target,
  purpose: CredentialPurpose,
  signal?: AbortSignal,
): HeaderMap | Promise<HeaderMap> {
  try {
    const headers = credentials.headers(purpose, signal);
    if (!(headers instanceof Promise)) return headers;
    return headers.catch((error: unknown) => {
      throw failureOf(error, gatewayName, signal);
    });
  } catch (error) {
    throw failureOf(error, gatewayName, signal);
  }
}

function failureOf(error: unknown, gateway: string, signal: AbortSignal | undefined): unknown {
  // Given up by who asked, and no fault of the source.
  if (error instanceof CodedError || signal?.aborted) return error;
  return new UpstreamError('UPSTREAM_UNAUTHORIZED', `${gateway}: its credentials cannot be had just now`, {
    reason: 'unauthorized',
    execution: 'none',
    sessionSound: true,
    gateway,
    cause: error,
  });
}
