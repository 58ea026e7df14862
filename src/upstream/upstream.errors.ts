import { CodedError, type CodedErrorOptions, type ErrorCode } from '../common/errors.js';

/** `UPSTREAM_ERROR` is none of them: there the way was sound, and the server's answer an error. */
export type UpstreamErrorCode = Exclude<Extract<ErrorCode, `UPSTREAM_${string}` | 'CANCELLED'>, 'UPSTREAM_ERROR'>;

/** Why a server could not be registered or reached (SPEC G-2). */
export type ReasonClass = 'refused' | 'dns' | 'tls' | 'timeout' | 'unauthorized' | 'not-mcp' | 'network';

/**
 * Whether the server may have run the request. `none`: it was surely not executed (nothing was written, or the server
 * said that it does not know the session). `unknown`: it was written and no answer came.
 */
export type Execution = 'none' | 'unknown';

export interface UpstreamErrorOptions extends CodedErrorOptions {
  readonly reason?: ReasonClass;
  readonly execution: Execution;
  /** HTTP status of the server, where there was one. */
  readonly status?: number;
  /** The server itself refused this one request; the session with it is as good as before. */
  readonly sessionSound?: boolean;
}

/** A failure of the way to a server, never a JSON-RPC error that the server itself answered. */
export class UpstreamError extends CodedError<UpstreamErrorCode> {
  override readonly name = 'UpstreamError';
  readonly reason: ReasonClass | undefined;
  readonly execution: Execution;
  readonly status: number | undefined;
  readonly sessionSound: boolean;

  constructor(code: UpstreamErrorCode, message: string, options: UpstreamErrorOptions) {
    super(code, message, {
      ...options,
      details: { ...(options.reason ? { reason: options.reason } : {}), ...options.details },
      // A request that may have run must not be called retryable: the caller would run it twice.
      ...(options.execution === 'unknown' ? { retryable: false } : {}),
    });
    this.reason = options.reason;
    this.execution = options.execution;
    this.status = options.status;
    this.sessionSound = options.sessionSound ?? false;
  }
}
