import { describe, expect, it } from '@jest/globals';
import { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import { CodedError } from '../../common/errors.js';
import { EdgeExchange } from './edge-exchange.js';
import { checkAccept, checkContentType, checkVersionHeader, parseMessage } from './protocol-checks.js';

function exchangeWith(headers: Record<string, string> = {}): EdgeExchange {
  const req = new IncomingMessage(new Socket());
  Object.assign(req.headers, headers);
  return new EdgeExchange(req, new ServerResponse(req), 'r-1');
}

function errorOf(action: () => unknown): CodedError | undefined {
  try {
    action();
    return undefined;
  } catch (error) {
    if (error instanceof CodedError) return error;
    throw error;
  }
}

describe('Accept (D-1: 406)', () => {
  it.each([
    'application/json, text/event-stream',
    'text/event-stream,application/json',
    'text/event-stream;q=0.5, application/json;charset=utf-8, */*',
    'Application/JSON, Text/Event-Stream',
  ])('takes %j', (accept) => {
    expect(errorOf(() => checkAccept(exchangeWith({ accept })))).toBeUndefined();
  });

  it.each(['application/json', 'text/event-stream', '*/*', '', 'text/html'])('refuses %j', (accept) => {
    expect(errorOf(() => checkAccept(exchangeWith({ accept })))?.row.http).toBe(406);
  });

  it('refuses none', () => {
    expect(errorOf(() => checkAccept(exchangeWith()))?.row.http).toBe(406);
  });
});

describe('Content-Type (D-1: 415)', () => {
  it.each(['application/json', 'application/json; charset=utf-8', 'application/json;x=y', 'APPLICATION/JSON ;a'])(
    'takes %j',
    (type) => {
      expect(errorOf(() => checkContentType(exchangeWith({ 'content-type': type })))).toBeUndefined();
    },
  );

  // A page may send text/plain and forms to anybody without asking (CORS); so these must not work.
  it.each([
    'text/plain',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=application/json',
    'text/plain; application/json',
    'application/jsonp',
    'application/json-rpc',
    'application/json, text/plain',
    '',
  ])('refuses %j', (type) => {
    expect(errorOf(() => checkContentType(exchangeWith({ 'content-type': type })))?.row.http).toBe(415);
  });

  it('refuses none', () => {
    expect(errorOf(() => checkContentType(exchangeWith()))?.code).toBe('UNSUPPORTED_MEDIA_TYPE');
  });
});

describe('MCP-Protocol-Version (D-1: 400)', () => {
  const check = (version?: string) =>
    errorOf(() => checkVersionHeader(exchangeWith(version === undefined ? {} : { 'mcp-protocol-version': version })));

  it.each([undefined, '2025-11-25', '2025-06-18', '2025-03-26'])('takes %s', (version) => {
    expect(check(version)).toBeUndefined();
  });

  it.each(['', '2024-11-05', '2026-07-28', '2025-06-18, 2025-06-18', 'latest', '__proto__'])(
    'refuses %j',
    (version) => {
      expect(check(version)).toMatchObject({ code: 'UNSUPPORTED_PROTOCOL_VERSION', row: { http: 400 } });
    },
  );

  it('names what it speaks and does not repeat an endless value', () => {
    const message = check('9'.repeat(10_000))?.message ?? '';
    expect(message).toContain('2025-11-25, 2025-06-18, 2025-03-26');
    expect(message.length).toBeLessThan(200);
  });
});

describe('parseMessage (D-1)', () => {
  const parse = (body: string | Buffer) => {
    const exchange = exchangeWith();
    let method: string | undefined;
    const error = errorOf(() => ({ method } = parseMessage(exchange, Buffer.from(body as string))));
    return { method, code: error?.code, rpc: error?.row.rpc, id: exchange.rpcId?.toString() };
  };

  it('reads a message and notes its id on the exchange', () => {
    expect(parse(' {"jsonrpc":"2.0","id":"é","method":"ping"}\n')).toMatchObject({ method: 'ping', id: '"é"' });
    expect(parse('{"jsonrpc":"2.0","method":"ping"}')).toMatchObject({ method: 'ping', id: undefined });
  });

  it.each([
    '',
    '   ',
    '{',
    '{"jsonrpc":"2.0","id":1,"method":"m"',
    '{"id":1}}',
    "{'a':1}",
    '{"a":NaN}',
    'GET / HTTP/1.1',
  ])('no JSON is −32700: %j', (body) => {
    expect(parse(body)).toMatchObject({ code: 'PARSE_ERROR', rpc: -32700, id: undefined });
  });

  it('what is not UTF-8 is −32700, in the id or deep inside', () => {
    const bad = Buffer.concat([
      Buffer.from('{"jsonrpc":"2.0","id":"'),
      Buffer.of(0xff),
      Buffer.from('","method":"m"}'),
    ]);
    expect(parse(bad)).toMatchObject({ code: 'PARSE_ERROR' });
    expect(parse(Buffer.from([0xff, 0xfe, 0x7b, 0x00]))).toMatchObject({ code: 'PARSE_ERROR' }); // UTF-16
  });

  it.each(['[]', '[{"jsonrpc":"2.0","id":1,"method":"ping"}]', ' \r\n\t[{"jsonrpc":"2.0","id":1,"method":"ping"}]'])(
    'a batch is −32600 and says so: %j',
    (body) => {
      expect(parse(body)).toMatchObject({ code: 'BAD_REQUEST', rpc: -32600 });
    },
  );

  it.each([
    '{"jsonrpc":"1.0","id":9,"method":"m"}',
    '{"id":9,"method":"m"}',
    '{"jsonrpc":"2.0","id":9,"method":5}',
    '{"jsonrpc":"2.0","id":9}',
  ])('JSON that is no message is −32600 with the id: %s', (body) => {
    expect(parse(body)).toMatchObject({ code: 'BAD_REQUEST', rpc: -32600, id: '9' });
  });

  it('an id that is none is not repeated', () => {
    expect(parse('{"jsonrpc":"2.0","id":null,"method":"m"}')).toMatchObject({ code: 'BAD_REQUEST', id: undefined });
    expect(parse('{"jsonrpc":"2.0","id":{"a":1},"method":"m"}')).toMatchObject({ code: 'BAD_REQUEST', id: undefined });
  });

  it('S-6: a million open brackets are refused, in an object too', () => {
    expect(parse(`{"jsonrpc":"2.0","id":1,"method":"m","params":${'['.repeat(1_000_000)}`).code).toBe('PARSE_ERROR');
  });
});
