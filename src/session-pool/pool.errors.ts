import { CodedError, type CodedErrorOptions, type ErrorCode } from '../common/errors.js';
import { type PoolCaps } from './bounded-pool.types.js';

export type PoolErrorCode = Extract<ErrorCode, 'POOL_EXHAUSTED' | 'POOL_CLOSED' | 'POOL_UNAVAILABLE' | 'INTERNAL'>;

/** Numbers of a pool at one moment: `total` = idle + leased + opening + closing. */
export interface PoolNumbers {
  readonly total: number;
  readonly idle: number;
  readonly leased: number;
  readonly opening: number;
  readonly closing: number;
  readonly waiting: number;
  readonly keys: number;
}

/** A failure of the pool itself, with its numbers; never a failure of a server (SPEC P-7). */
export class PoolError extends CodedError<PoolErrorCode> {
  override readonly name = 'PoolError';

  constructor(code: PoolErrorCode, message: string, numbers?: PoolNumbers, options: CodedErrorOptions = {}) {
    super(code, message, { ...options, details: { ...numbers, ...options.details } });
  }

  static closed(numbers: PoolNumbers): PoolError {
    return new PoolError('POOL_CLOSED', 'the session pool is closed (not initialized any more)', numbers);
  }

  static exhausted(numbers: PoolNumbers, caps: PoolCaps, waitedMs: number, cause: unknown): PoolError {
    const waited = Math.round(waitedMs);
    const { total, leased, idle, waiting, keys } = numbers;
    const message =
      `no upstream session came free in ${waited} ms (${total} of ${caps.maxTotal} sessions, ${leased} leased, ` +
      `${idle} idle, ${waiting} waiting; at most ${caps.maxPerKey} per key` +
      `${caps.maxKeys > 0 ? `, ${keys} of ${caps.maxKeys} keys` : ''}); see MCP_SESSION_POOL_MAX_*`;
    return new PoolError('POOL_EXHAUSTED', message, numbers, { cause, details: { waitedMs: waited } });
  }
}

/**
 * The gateway changed, or all sessions were ended, while a call waited for one: it was surely not sent. The pool asks
 * anew where the call goes (SPEC P-14); a caller hears of it only when that happens again and again.
 */
export class TurnedAway extends PoolError {
  constructor(numbers?: PoolNumbers) {
    super('POOL_EXHAUSTED', 'the gateway changed again and again while the call waited for a session', numbers);
  }
}
