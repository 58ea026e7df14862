/**
 * The one table of errors: code → HTTP status, JSON-RPC code, may the caller try again (SPEC §8, STYLE rule 15).
 *
 * `http` is used on REST, and on MCP endpoints only for what is refused *before* execution; a call that was accepted
 * fails as HTTP 200 with a JSON-RPC error. `rpc` is −32000 unless the protocol names a code of its own.
 */
export const ERROR_TABLE = {
  // the request itself
  BAD_REQUEST: { http: 400, rpc: -32600, retryable: false },
  PARSE_ERROR: { http: 400, rpc: -32700, retryable: false },
  INVALID_PARAMS: { http: 400, rpc: -32602, retryable: false },
  METHOD_NOT_FOUND: { http: 404, rpc: -32601, retryable: false },
  METHOD_NOT_ALLOWED: { http: 405, rpc: -32000, retryable: false },
  NOT_ACCEPTABLE: { http: 406, rpc: -32000, retryable: false },
  PAYLOAD_TOO_LARGE: { http: 413, rpc: -32600, retryable: false },
  UNSUPPORTED_MEDIA_TYPE: { http: 415, rpc: -32000, retryable: false },
  UNSUPPORTED_PROTOCOL_VERSION: { http: 400, rpc: -32000, retryable: false },
  REQUEST_TIMEOUT: { http: 408, rpc: -32000, retryable: true },
  // access
  UNAUTHORIZED: { http: 401, rpc: -32001, retryable: false },
  FORBIDDEN: { http: 403, rpc: -32003, retryable: false },
  ORIGIN_NOT_ALLOWED: { http: 403, rpc: -32003, retryable: false },
  AUTH_UNAVAILABLE: { http: 503, rpc: -32000, retryable: true },
  HOST_NOT_ALLOWED: { http: 403, rpc: -32003, retryable: false },
  // sessions
  SESSION_REQUIRED: { http: 400, rpc: -32000, retryable: false },
  SESSION_NOT_FOUND: { http: 404, rpc: -32001, retryable: false },
  SESSION_LIMIT: { http: 429, rpc: -32000, retryable: true },
  SHUTTING_DOWN: { http: 503, rpc: -32000, retryable: true },
  // catalogue
  NOT_FOUND: { http: 404, rpc: -32602, retryable: false },
  CONFLICT: { http: 409, rpc: -32602, retryable: false },
  UNKNOWN_TOOL: { http: 404, rpc: -32602, retryable: false },
  UNKNOWN_PROMPT: { http: 404, rpc: -32602, retryable: false },
  RESOURCE_NOT_FOUND: { http: 404, rpc: -32002, retryable: false },
  TOOL_DISABLED: { http: 409, rpc: -32602, retryable: false },
  PROMPT_DISABLED: { http: 409, rpc: -32602, retryable: false },
  RESOURCE_DISABLED: { http: 409, rpc: -32002, retryable: false },
  GATEWAY_DISABLED: { http: 409, rpc: -32000, retryable: false },
  // pool
  POOL_EXHAUSTED: { http: 503, rpc: -32000, retryable: true },
  POOL_CLOSED: { http: 503, rpc: -32000, retryable: true },
  POOL_UNAVAILABLE: { http: 503, rpc: -32000, retryable: false },
  CIRCUIT_OPEN: { http: 503, rpc: -32000, retryable: true },
  // upstream
  UPSTREAM_UNAVAILABLE: { http: 502, rpc: -32000, retryable: true },
  UPSTREAM_TIMEOUT: { http: 504, rpc: -32000, retryable: true },
  UPSTREAM_UNAUTHORIZED: { http: 502, rpc: -32000, retryable: false },
  UPSTREAM_NOT_MCP: { http: 502, rpc: -32000, retryable: false },
  UPSTREAM_PROTOCOL: { http: 502, rpc: -32000, retryable: false },
  UPSTREAM_SESSION_LOST: { http: 502, rpc: -32000, retryable: true },
  UPSTREAM_ERROR: { http: 502, rpc: -32000, retryable: false },
  UPSTREAM_INTERRUPTED: { http: 502, rpc: -32000, retryable: false },
  CANCELLED: { http: 499, rpc: -32000, retryable: false },
  // everything we did not foresee
  INTERNAL: { http: 500, rpc: -32603, retryable: false },
} as const satisfies Record<string, ErrorRow>;

export interface ErrorRow {
  readonly http: number;
  readonly rpc: number;
  readonly retryable: boolean;
}

export type ErrorCode = keyof typeof ERROR_TABLE;

export interface CodedErrorOptions {
  readonly cause?: unknown;
  /** Overrides the table where this one case is known better (a call that may have run is not retryable). */
  readonly retryable?: boolean;
  readonly retryAfterMs?: number;
  /** Name of the gateway that the error is about. */
  readonly gateway?: string;
  /** Extra members for the caller: numbers of the pool, every problem of an input. Never a secret. */
  readonly details?: Readonly<Record<string, unknown>>;
}

/** Base of every error that a caller may see: a stable code, a message that says what to do, never a secret. */
export class CodedError<C extends ErrorCode = ErrorCode> extends Error {
  override readonly name: string = 'CodedError';

  constructor(
    readonly code: C,
    message: string,
    readonly options: CodedErrorOptions = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
  }

  get row(): ErrorRow {
    return ERROR_TABLE[this.code];
  }

  /** `data` of a JSON-RPC error and the extra members of a problem document (SPEC §8). */
  get data(): Record<string, unknown> {
    const { retryable = this.row.retryable, retryAfterMs, gateway, details } = this.options;
    return {
      ...details, // first: none of them may stand in for the code
      code: this.code,
      retryable,
      ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
      ...(gateway === undefined ? {} : { gateway }),
    };
  }
}

/** Whatever was thrown, as a coded error; the unforeseen becomes `INTERNAL` without its text (it may hold anything). */
export function toCodedError(error: unknown): CodedError {
  if (error instanceof CodedError) return error as CodedError;
  return new CodedError('INTERNAL', 'internal error; the log has it under this request id', { cause: error });
}
