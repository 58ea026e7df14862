import { CodedError } from '../common/errors.js';
import { UpstreamError } from '../upstream/upstream.errors.js';
import { type UpstreamSession } from '../upstream/upstream.port.js';
import { PoolError, TurnedAway } from './pool.errors.js';
import { type PoolKey } from './pool-key.js';

/**
 * Whether the session that a failed call ran on must end (SPEC P-8, P-9). A call that was given up (cancelled, too slow)
 * says nothing about its session, nor does a server's refusal of one request.
 */
export function discards(error: unknown, signal: AbortSignal): boolean {
  if (signal.aborted) return false;
  if (error instanceof UpstreamError) return !error.sessionSound;
  // A coded error of somebody else, such as the source of the credentials, is not about the way to the server.
  return !(error instanceof CodedError);
}

/**
 * Whether a call was given up because the server was silent for too long. The session stays (one slow call must not cost
 * the others theirs), but the next caller should not find out with his whole deadline that the server hangs.
 */
export function gotNoAnswer(signal: AbortSignal): boolean {
  return signal.reason instanceof UpstreamError && signal.reason.code === 'UPSTREAM_TIMEOUT';
}

export interface AttemptFacts {
  /** The session was opened for this attempt. */
  readonly fresh: boolean;
  /** It has been repeated once already. */
  readonly repeated: boolean;
  readonly repeatable: boolean;
}

/**
 * Whether a failed call may run again (SPEC P-9, taste 1). Three outcomes have three names:
 *
 * - `free`: the session was dead, or there was none yet when the gateway changed, and the call surely did not run: the
 *   next session may try;
 * - `once`: it may have run, but may run twice without harm, and has not been repeated yet;
 * - `no`: anything else, and everything that failed on a session opened just now.
 */
export function mayRepeat(error: unknown, facts: AttemptFacts): 'free' | 'once' | 'no' {
  if (error instanceof TurnedAway) return 'free';
  if (!(error instanceof UpstreamError)) return 'no';
  switch (error.code) {
    case 'UPSTREAM_SESSION_LOST':
      if (error.execution === 'none') return facts.fresh ? 'no' : 'free';
      return facts.repeatable && !facts.repeated ? 'once' : 'no';
    case 'UPSTREAM_INTERRUPTED': // a closed stream, a dead keep-alive socket
      return facts.repeatable && !facts.repeated ? 'once' : 'no';
    case 'UPSTREAM_UNAVAILABLE':
    case 'UPSTREAM_TIMEOUT':
    case 'UPSTREAM_UNAUTHORIZED':
    case 'UPSTREAM_NOT_MCP':
    case 'UPSTREAM_PROTOCOL':
    case 'CANCELLED':
      return 'no';
  }
}

/**
 * The failure of a call that got no session: it was surely not sent, whatever became of the attempt to open one. Who
 * gave up while waiting hears why he did, with the pool's numbers, and not that the pool is exhausted.
 */
export function notSent(error: unknown, signal: AbortSignal): unknown {
  if (signal.aborted && !(signal.reason instanceof CodedError)) {
    return new UpstreamError('CANCELLED', 'the call was cancelled before it was sent', {
      execution: 'none',
      cause: error,
    });
  }
  const failure: unknown = signal.aborted ? signal.reason : error;
  if (!(failure instanceof UpstreamError)) return failure;
  const { message, reason, status, options } = failure;
  const code = failure.code === 'UPSTREAM_INTERRUPTED' ? 'UPSTREAM_UNAVAILABLE' : failure.code;
  const numbers = error instanceof PoolError ? error.options.details : undefined;
  return new UpstreamError(code, message, {
    execution: 'none',
    cause: error,
    details: { ...options.details, ...numbers },
    ...(reason === undefined ? {} : { reason }),
    ...(status === undefined ? {} : { status }),
    ...(options.gateway === undefined ? {} : { gateway: options.gateway }),
    ...(options.retryAfterMs === undefined ? {} : { retryAfterMs: options.retryAfterMs }),
  });
}

/** What transports say of a session that they do not know, and nothing else: the whole text, not a part of it. */
const SESSION_GONE =
  /^(bad request: )?(no valid session id provided|(mcp )?session( id)? (was )?(not found|terminated|expired|unknown|does not exist))[.!]?$/i;
/** Codes that servers use for what their transport refuses; a tool's own error has others. */
const TRANSPORT_CODES = new Set([-32000, -32001, -32600]);
/** An error about a session is short; nothing longer is looked at. */
const MAX_ERROR_BYTES = 512;

/**
 * The server said at HTTP 200, with a JSON-RPC error, that it does not know the session. Its words may as well be a
 * tool's: so the session ends, the call is repeated only where it may run twice, and else this answer is the answer.
 */
export class SessionLossAnswer extends UpstreamError {
  constructor(
    readonly answer: unknown,
    gateway: string,
  ) {
    const message = `${gateway}: the server no longer knows the session`;
    super('UPSTREAM_SESSION_LOST', message, { execution: 'unknown', gateway });
  }
}

/**
 * @returns `result`, unless it is such an error (SPEC P-9)
 * @throws SessionLossAnswer
 */
export function sessionLossOf<R>(result: R, session: UpstreamSession, key: PoolKey): R {
  const reply = result as { kind?: unknown; raw?: unknown } | undefined;
  if (reply?.kind !== 'error' || !(reply.raw instanceof Uint8Array) || reply.raw.length > MAX_ERROR_BYTES)
    return result;
  if (session.sessionId === undefined) return result;
  const error = JSON.parse(Buffer.from(reply.raw).toString('utf8')) as { code?: unknown; message?: unknown } | null;
  const { code, message } = error ?? {};
  if (typeof code !== 'number' || !TRANSPORT_CODES.has(code)) return result;
  if (typeof message !== 'string' || !SESSION_GONE.test(message.trim())) return result;
  throw new SessionLossAnswer(result, key.target.gatewayName);
}
