import { maskUrl } from '../common/mask-url.js';
import { type Execution, type ReasonClass, UpstreamError, type UpstreamErrorCode } from './upstream.errors.js';

export interface FailureContext {
  /** Name of the gateway, for the message. */
  readonly gateway: string;
  readonly url: string;
  /** What is known of the request at this moment. */
  readonly execution: Execution;
}

/**
 * A failure of the socket, of TLS or of the HTTP parser as a coded error with its reason class (SPEC G-2).
 * The innermost cause with a `code` decides; the text never holds a query or a password.
 */
export function toUpstreamError(error: unknown, context: FailureContext): UpstreamError {
  if (error instanceof UpstreamError) return error;
  const { code, message } = rootCause(error);
  const reason = reasonOf(code);
  const where = maskUrl(context.url);
  // A connection that could not be made carried nothing, whatever the caller believed; but Linux reports a peer that
  // died on an open connection as EHOSTUNREACH too, on read or write.
  const execution = neverConnected(code) && !/^(read|write) E\w+UNREACH/.test(message) ? 'none' : context.execution;
  return new UpstreamError(
    codeOf(reason, execution),
    `${context.gateway}: ${explain(reason, where, code ?? message)}`,
    {
      reason,
      execution,
      gateway: context.gateway,
      cause: error,
    },
  );
}

function codeOf(reason: ReasonClass, execution: Execution): UpstreamErrorCode {
  if (reason === 'timeout') return 'UPSTREAM_TIMEOUT';
  if (reason === 'not-mcp') return 'UPSTREAM_NOT_MCP';
  return execution === 'unknown' ? 'UPSTREAM_INTERRUPTED' : 'UPSTREAM_UNAVAILABLE';
}

function explain(reason: ReasonClass, where: string, detail: string): string {
  switch (reason) {
    case 'refused':
      return `${where} refuses connections; is the server running there? (${detail})`;
    case 'dns':
      return `the host name of ${where} cannot be resolved (${detail})`;
    case 'tls':
      return `no TLS connection to ${where}: ${detail}; see the gateway's tls.ca, tls.cert, tls.serverName`;
    case 'timeout':
      return `${where} did not answer in time (${detail})`;
    case 'not-mcp':
      return `${where} does not speak HTTP as an MCP server does (${detail})`;
    case 'unauthorized':
      return `${where} refuses our credentials (${detail})`;
    case 'network':
      return `the connection to ${where} broke (${detail})`;
  }
}

/** By its shape and not by `instanceof`: an error may come from another realm (a worker, a test's sandbox). */
interface ErrorShape {
  readonly name?: unknown;
  readonly code?: unknown;
  readonly message?: unknown;
  readonly cause?: unknown;
  readonly errors?: unknown;
}

function rootCause(error: unknown): { code: string | undefined; message: string } {
  let code: string | undefined;
  let message = String(error);
  let at: unknown = error;
  for (let depth = 0; typeof at === 'object' && at !== null && depth < 8; depth += 1) {
    const here = at as ErrorShape;
    if (typeof here.message === 'string' && (depth === 0 || typeof here.code === 'string')) message = here.message;
    if (typeof here.code === 'string') code = here.code;
    else if (here.name === 'HTTPParserError') code = 'HPE_INVALID'; // undici 7 gives no code to some of them
    // Happy eyeballs report one error for each address; the first stands for all.
    at = Array.isArray(here.errors) ? (here.errors as unknown[])[0] : here.cause;
  }
  return { code, message };
}

const REASONS: Readonly<Record<string, ReasonClass>> = {
  ECONNREFUSED: 'refused',
  EHOSTUNREACH: 'refused',
  ENETUNREACH: 'refused',
  EADDRNOTAVAIL: 'refused',
  ENOTFOUND: 'dns',
  EAI_AGAIN: 'dns',
  EAI_FAIL: 'dns',
  ETIMEDOUT: 'timeout',
  UND_ERR_CONNECT_TIMEOUT: 'timeout',
  UND_ERR_HEADERS_TIMEOUT: 'timeout',
  UND_ERR_BODY_TIMEOUT: 'timeout',
  EPROTO: 'tls',
};

function reasonOf(code: string | undefined): ReasonClass {
  if (code === undefined) return 'network';
  const known = REASONS[code];
  if (known) return known;
  if (code.startsWith('HPE_')) return 'not-mcp';
  return /^(ERR_TLS|ERR_SSL|CERT_|DEPTH_|SELF_SIGNED|UNABLE_TO|ERR_OSSL|HOSTNAME_)/.test(code) ? 'tls' : 'network';
}

const NEVER_CONNECTED = new Set(['refused', 'dns', 'tls']);

function neverConnected(code: string | undefined): boolean {
  return code === 'UND_ERR_CONNECT_TIMEOUT' || NEVER_CONNECTED.has(reasonOf(code));
}
