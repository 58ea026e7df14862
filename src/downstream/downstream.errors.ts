import { CodedError, type CodedErrorOptions, type ErrorCode } from '../common/errors.js';

export type DownstreamErrorCode = Extract<
  ErrorCode,
  | 'BAD_REQUEST'
  | 'PARSE_ERROR'
  | 'INVALID_PARAMS'
  | 'NOT_FOUND'
  | 'METHOD_NOT_ALLOWED'
  | 'NOT_ACCEPTABLE'
  | 'PAYLOAD_TOO_LARGE'
  | 'UNSUPPORTED_MEDIA_TYPE'
  | 'UNSUPPORTED_PROTOCOL_VERSION'
  | 'ORIGIN_NOT_ALLOWED'
  | 'HOST_NOT_ALLOWED'
  | `SESSION_${string}`
  | 'SHUTTING_DOWN'
  | 'CANCELLED'
>;

/** While this replica drains. */
export function shuttingDown(): DownstreamError {
  const message = 'this replica is shutting down; try again, another one will answer';
  return new DownstreamError('SHUTTING_DOWN', message, { retryAfterMs: 1_000 });
}

/** A client's request that the protocol does not allow (SPEC D-1, D-10). Refused before anything is executed. */
export class DownstreamError extends CodedError<DownstreamErrorCode> {
  override readonly name = 'DownstreamError';

  constructor(code: DownstreamErrorCode, message: string, options: CodedErrorOptions = {}) {
    super(code, message, options);
  }
}
