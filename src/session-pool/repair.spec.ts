import { describe, expect, it } from '@jest/globals';
import { CodedError } from '../common/errors.js';
import { type Execution, UpstreamError, type UpstreamErrorCode } from '../upstream/upstream.errors.js';
import { type Target, type UpstreamSession } from '../upstream/upstream.port.js';
import { PoolKey } from './pool-key.js';
import { PoolError } from './pool.errors.js';
import { type AttemptFacts, discards, mayRepeat, notSent, sessionLossOf } from './repair.js';

const failure = (code: UpstreamErrorCode, execution: Execution = 'unknown'): UpstreamError =>
  new UpstreamError(code, 'it failed', { execution });

describe('may the call run again (P-9)', () => {
  const used: AttemptFacts = { fresh: false, repeated: false, repeatable: false };
  const safe: AttemptFacts = { ...used, repeatable: true };
  type Verdict = ReturnType<typeof mayRepeat>;

  it.each<[UpstreamErrorCode, Execution, Verdict, Verdict]>([
    // code, execution, of a call that changes state, of one that is safe to repeat
    ['UPSTREAM_SESSION_LOST', 'none', 'free', 'free'],
    ['UPSTREAM_SESSION_LOST', 'unknown', 'no', 'once'],
    ['UPSTREAM_INTERRUPTED', 'unknown', 'no', 'once'],
    ['UPSTREAM_UNAVAILABLE', 'none', 'no', 'no'],
    ['UPSTREAM_UNAVAILABLE', 'unknown', 'no', 'no'],
    ['UPSTREAM_TIMEOUT', 'none', 'no', 'no'],
    ['UPSTREAM_TIMEOUT', 'unknown', 'no', 'no'],
    ['UPSTREAM_UNAUTHORIZED', 'none', 'no', 'no'],
    ['UPSTREAM_NOT_MCP', 'none', 'no', 'no'],
    ['UPSTREAM_PROTOCOL', 'unknown', 'no', 'no'],
    ['CANCELLED', 'unknown', 'no', 'no'],
  ])('%s, execution %s: %s; if safe: %s', (code, execution, changing, repeatable) => {
    expect(mayRepeat(failure(code, execution), used)).toBe(changing);
    expect(mayRepeat(failure(code, execution), safe)).toBe(repeatable);
  });

  it('a safe call is repeated once and not again', () => {
    for (const code of ['UPSTREAM_SESSION_LOST', 'UPSTREAM_INTERRUPTED'] as const) {
      expect(mayRepeat(failure(code), { ...safe, repeated: true })).toBe('no');
    }
  });

  it('a session opened just now that is lost at once proves that the next would be, too', () => {
    expect(mayRepeat(failure('UPSTREAM_SESSION_LOST', 'none'), { ...safe, fresh: true })).toBe('no');
  });

  it.each([new Error('socket'), new CodedError('INTERNAL', 'x'), new CodedError('POOL_EXHAUSTED', 'x'), 'text'])(
    'what is no failure of the way to the server is never repeated: %s',
    (error) => expect(mayRepeat(error, safe)).toBe('no'),
  );
});

describe('must the session end (P-8)', () => {
  const quiet = new AbortController().signal;
  const aborted = AbortSignal.abort();

  it.each<UpstreamErrorCode>([
    'UPSTREAM_SESSION_LOST',
    'UPSTREAM_INTERRUPTED',
    'UPSTREAM_UNAVAILABLE',
    'UPSTREAM_UNAUTHORIZED',
    'UPSTREAM_NOT_MCP',
    'UPSTREAM_PROTOCOL',
    'UPSTREAM_TIMEOUT',
  ])('%s: yes, unless the caller had given up', (code) => {
    expect(discards(failure(code), quiet)).toBe(true);
    expect(discards(failure(code), aborted)).toBe(false);
  });

  it("a server's refusal of one request leaves it alone", () => {
    const refused = new UpstreamError('UPSTREAM_UNAVAILABLE', 'busy', { execution: 'none', sessionSound: true });
    expect(discards(refused, quiet)).toBe(false);
  });

  it('what nobody foresaw ends it: better one session too many than a broken one for the next caller', () => {
    expect(discards(new Error('bug'), quiet)).toBe(true);
  });
});

describe('a call that got no session (P-7)', () => {
  const quiet = new AbortController().signal;
  const numbers = { total: 3, leased: 3, idle: 0, opening: 0, closing: 0, waiting: 1, keys: 1 };
  const exhausted = new PoolError('POOL_EXHAUSTED', 'nothing came free', numbers);

  it('was not sent: an opening that was cut off may be tried again by the caller', () => {
    const error = new UpstreamError('UPSTREAM_INTERRUPTED', 'cut off', { execution: 'unknown', gateway: 'files' });
    expect(error.data).toMatchObject({ retryable: false });
    const told = notSent(error, quiet) as UpstreamError;
    expect(told.data).toEqual({ code: 'UPSTREAM_UNAVAILABLE', retryable: true, gateway: 'files' });
    expect([told.message, told.execution, told.cause]).toEqual(['cut off', 'none', error]);
  });

  it('whose time was up hears that, with the numbers of the pool', () => {
    const late = new UpstreamError('UPSTREAM_TIMEOUT', 'too slow', { execution: 'unknown', reason: 'timeout' });
    const told = notSent(exhausted, AbortSignal.abort(late)) as UpstreamError;
    expect(told.data).toEqual({ code: 'UPSTREAM_TIMEOUT', retryable: true, reason: 'timeout', ...numbers });
  });

  it('that was cancelled is cancelled', () => {
    const cancelled = new CodedError('CANCELLED', 'the client went away');
    expect(notSent(exhausted, AbortSignal.abort(cancelled))).toBe(cancelled);
  });

  it('an abort without a reason of ours is a cancel', () => {
    expect(notSent(exhausted, AbortSignal.abort())).toMatchObject({ code: 'CANCELLED', execution: 'none' });
  });

  it('else keeps its failure: an exhausted pool, what nobody foresaw', () => {
    const bug = new Error('bug');
    expect(notSent(exhausted, quiet)).toBe(exhausted);
    expect(notSent(bug, quiet)).toBe(bug);
  });

  it('keeps status and time to wait of a server that is busy', () => {
    const busy = new UpstreamError('UPSTREAM_UNAVAILABLE', 'busy', {
      execution: 'unknown',
      status: 503,
      retryAfterMs: 700,
    });
    const told = notSent(busy, quiet) as UpstreamError;
    expect(told.data).toMatchObject({ retryable: true, retryAfterMs: 700 });
    expect(told.status).toBe(503);
  });
});

describe('a session lost at HTTP 200 (P-9)', () => {
  const target = { gatewayId: 'g', gatewayName: 'files', url: 'http://x/mcp', transport: 'streamablehttp' };
  const key = PoolKey.shared(target as Target);
  const session = { sessionId: 's' } as UpstreamSession;
  const reply = (error: unknown): { kind: 'error'; raw: Buffer } => ({
    kind: 'error',
    raw: Buffer.from(JSON.stringify(error)),
  });

  it.each([
    { code: -32000, message: 'Session not found' },
    { code: -32001, message: 'session terminated' },
    { code: -32600, message: 'Bad Request: session expired' },
    { code: -32000, message: 'Bad Request: No valid session ID provided' },
    { code: -32001, message: 'Session does not exist' },
  ])('$message ($code): lost; it may be a tool that says so, so the words are kept', (error) => {
    const answer = reply(error);
    const thrown = catchOf(() => sessionLossOf(answer, session, key));
    expect(thrown).toMatchObject({ code: 'UPSTREAM_SESSION_LOST', execution: 'unknown', answer });
    expect(String(thrown)).toContain('files');
  });

  it.each([
    ['a tool about sessions of its own', { code: -32602, message: 'Session not found' }],
    ['another error of the transport', { code: -32000, message: 'Bad Request: no such thing' }],
    ['a login of the tool', { code: -32000, message: 'login session has expired' }],
    ['a browser of the tool', { code: -32001, message: 'Browser session 7 not found' }],
    ['a session that is mentioned', { code: -32000, message: 'this session may not call that tool' }],
    ['no object', null],
    ['a number as message', { code: -32000, message: 5 }],
    ['a long one', { code: -32000, message: `Session not found ${'x'.repeat(4_000)}` }],
  ])('%s is the answer of the server', (_what, error) => {
    const answer = reply(error);
    expect(sessionLossOf(answer, session, key)).toBe(answer);
  });

  it('a result is never looked at, nor an error on a session without an id', () => {
    const result = { kind: 'result', raw: Buffer.from('{"code":-32000,"message":"session not found"}') };
    expect(sessionLossOf(result, session, key)).toBe(result);
    const error = reply({ code: -32000, message: 'session not found' });
    expect(sessionLossOf(error, {} as UpstreamSession, key)).toBe(error);
    expect(sessionLossOf(undefined, session, key)).toBeUndefined();
  });
});

function catchOf(work: () => unknown): unknown {
  try {
    work();
  } catch (error) {
    return error;
  }
  throw new Error('nothing was thrown');
}
