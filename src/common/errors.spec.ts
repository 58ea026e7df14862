import { describe, expect, it } from '@jest/globals';
import { CodedError, ERROR_TABLE, type ErrorCode, toCodedError } from './errors.js';

const rows = Object.entries(ERROR_TABLE);

describe('table of errors (SPEC §8)', () => {
  it.each<[string, ErrorCode, number, number]>([
    ['D-1', 'ORIGIN_NOT_ALLOWED', 403, -32003],
    ['D-1', 'NOT_ACCEPTABLE', 406, -32000],
    ['D-1', 'UNSUPPORTED_MEDIA_TYPE', 415, -32000],
    ['D-1', 'PAYLOAD_TOO_LARGE', 413, -32600],
    ['D-1', 'PARSE_ERROR', 400, -32700],
    ['D-1', 'SESSION_REQUIRED', 400, -32000],
    ['D-1', 'SESSION_NOT_FOUND', 404, -32001],
    ['D-1', 'UNSUPPORTED_PROTOCOL_VERSION', 400, -32000],
    ['D-1', 'METHOD_NOT_ALLOWED', 405, -32000],
    ['D-6', 'METHOD_NOT_FOUND', 404, -32601],
    ['D-6', 'UNKNOWN_TOOL', 404, -32602],
    ['D-10', 'SESSION_LIMIT', 429, -32000],
    ['G-2', 'CONFLICT', 409, -32602],
    ['G-2', 'UPSTREAM_UNAVAILABLE', 502, -32000],
    ['G-2', 'UPSTREAM_UNAUTHORIZED', 502, -32000],
    ['G-2', 'UPSTREAM_NOT_MCP', 502, -32000],
    ['P-7', 'POOL_EXHAUSTED', 503, -32000],
    ['P-12', 'CIRCUIT_OPEN', 503, -32000],
    ['S-2', 'UNAUTHORIZED', 401, -32001],
    ['S-2', 'FORBIDDEN', 403, -32003],
    ['A-10', 'SHUTTING_DOWN', 503, -32000],
    ['§8', 'INTERNAL', 500, -32603],
  ])('%s: %s is HTTP %d and JSON-RPC %d', (_id, code, http, rpc) => {
    expect(ERROR_TABLE[code]).toMatchObject({ http, rpc });
  });

  it('every HTTP status is an error, every JSON-RPC code is reserved for protocols', () => {
    for (const [code, { http, rpc }] of rows) {
      expect([code, http >= 400 && http < 600]).toEqual([code, true]);
      expect([code, rpc >= -32768 && rpc <= -32000]).toEqual([code, true]);
    }
  });

  it('a fault of the caller is never called retryable, but for a limit or a slow body', () => {
    const retryable = rows.filter(([, row]) => row.http < 500 && row.retryable).map(([code]) => code);
    expect(retryable).toEqual(['REQUEST_TIMEOUT', 'SESSION_LIMIT']);
  });

  it('what may have run is never called retryable (P-9)', () => {
    expect(ERROR_TABLE.UPSTREAM_INTERRUPTED.retryable).toBe(false);
  });
});

describe('CodedError', () => {
  it('gives the table row and the data that go with its code', () => {
    const error = new CodedError('SESSION_LIMIT', 'full', { retryAfterMs: 250, gateway: 'g', details: { total: 3 } });
    expect(error.row).toBe(ERROR_TABLE.SESSION_LIMIT);
    expect(error.data).toEqual({ code: 'SESSION_LIMIT', retryable: true, retryAfterMs: 250, gateway: 'g', total: 3 });
  });

  it('leaves out what is not known, and the cause always', () => {
    const error = new CodedError('INTERNAL', 'm', { cause: new Error('password=1') });
    expect(error.cause).toBeInstanceOf(Error);
    expect(JSON.stringify([error.data, error.message])).toBe('[{"code":"INTERNAL","retryable":false},"m"]');
    expect(new CodedError('INTERNAL', 'm')).not.toHaveProperty('cause');
  });

  it('one case may know better than the table whether to try again', () => {
    expect(new CodedError('UPSTREAM_TIMEOUT', 'm', { retryable: false }).data.retryable).toBe(false);
  });

  it('§8: the code is stable: no detail overrides it', () => {
    const details = { code: 'ECONNREFUSED', retryable: true, retryAfterMs: 1, gateway: 'other', extra: 1 };
    const error = new CodedError('CONFLICT', 'm', { gateway: 'g', retryAfterMs: 9, details });
    expect(error.data).toEqual({ code: 'CONFLICT', retryable: false, retryAfterMs: 9, gateway: 'g', extra: 1 });
  });
});

describe('toCodedError', () => {
  it('passes a coded error on', () => {
    const error = new CodedError('NOT_FOUND', 'm');
    expect(toCodedError(error)).toBe(error);
  });

  it.each<[string, unknown]>([
    ['an error', new Error('SELECT secret FROM t')],
    ['a string', 'secret'],
    ['nothing', undefined],
    ['null', null],
    ['what only looks like one', { code: 'NOT_FOUND', message: 'secret' }],
  ])('makes INTERNAL of %s, without its text', (_what, thrown) => {
    const error = toCodedError(thrown);
    expect(error.code).toBe('INTERNAL');
    expect(`${error.message} ${JSON.stringify(error.data)}`).not.toContain('secret');
    if (thrown !== undefined) expect(error.cause).toBe(thrown);
  });
});
