import { afterEach, describe, expect, it } from '@jest/globals';
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type IncomingMessage, request, type RequestOptions } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { deferred } from '../../../test/support/deferred.js';
import { until } from '../../../test/support/until.js';
import { AuthError } from '../../auth/auth.errors.js';
import { CodedError, toCodedError } from '../../common/errors.js';
import { responseParts } from '../../common/jsonrpc.js';
import { DownstreamError } from '../downstream.errors.js';
import { EdgeExchange } from './edge-exchange.js';

type Handler = (exchange: EdgeExchange) => void | Promise<void>;

const LIMIT = 1_024;
const echo: Handler = async (exchange) => exchange.json(200, [await exchange.body(LIMIT)]);

const cleanUps: (() => void)[] = [];
afterEach(() => {
  for (const cleanUp of cleanUps.splice(0).reverse()) cleanUp();
});

/** A real server; `failures` are what the handler threw. @returns its port */
async function serve(handler: Handler, failures: CodedError[] = []): Promise<number> {
  const server = createServer((req, res) => {
    const exchange = new EdgeExchange(req, res, 'r-1');
    void (async () => handler(exchange))().catch((thrown: unknown) => {
      const error = toCodedError(thrown);
      failures.push(error);
      exchange.refuse(error);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  cleanUps.push(() => void server.close().closeAllConnections());
  return (server.address() as AddressInfo).port;
}

interface Answer {
  readonly status: number | undefined;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

/** A POST; with a list the body goes out in those chunks, without Content-Length. */
async function post(port: number, body: Buffer | Buffer[], options: RequestOptions = {}): Promise<Answer> {
  const outgoing = request({ host: '127.0.0.1', port, method: 'POST', agent: false, ...options });
  outgoing.on('error', () => undefined); // the server may stop reading before we stop writing
  if (Array.isArray(body)) for (const chunk of body) outgoing.write(chunk);
  const answered = once(outgoing, 'response') as Promise<[IncomingMessage]>;
  outgoing.end(Array.isArray(body) ? undefined : body);
  const [response] = await answered;
  const chunks = await response.toArray();
  return { status: response.statusCode, headers: response.headers, body: Buffer.concat(chunks as Buffer[]) };
}

async function rawSocket(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1').on('error', () => undefined);
  cleanUps.push(() => socket.destroy());
  await once(socket, 'connect');
  return socket;
}

const jsonOf = ({ body }: Answer) => JSON.parse(body.toString('utf8')) as { error: { code: number } };
const refuseWith = (error: CodedError, id?: number): Promise<number> =>
  serve((exchange) => {
    exchange.rpcId = id;
    throw error;
  });

describe('body (D-1, S-6)', () => {
  it('gives the bytes in order, from one chunk, many or none', async () => {
    const port = await serve(echo);
    const chunks = Array.from({ length: 64 }, (_, i) => Buffer.alloc(16, i));
    expect((await post(port, chunks)).body).toEqual(Buffer.concat(chunks));
    expect((await post(port, Buffer.concat(chunks))).body).toEqual(Buffer.concat(chunks));
    expect((await post(port, Buffer.alloc(0))).body).toHaveLength(0);
  });

  it('takes exactly the limit and not a byte more, announced or not', async () => {
    const port = await serve(echo);
    for (const wrap of [(body: Buffer) => body, (body: Buffer) => [body.subarray(0, 7), body.subarray(7)]]) {
      expect((await post(port, wrap(Buffer.alloc(LIMIT)))).status).toBe(200);
      expect((await post(port, wrap(Buffer.alloc(LIMIT + 1)))).status).toBe(413);
    }
  });

  it('refuses an announced giant at once, before any of it has come', async () => {
    const failures: CodedError[] = [];
    const socket = await rawSocket(await serve(echo, failures));
    socket.write('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999999\r\n\r\n');
    const answer = String(Buffer.concat(await socket.toArray())); // it ends: the server closes the connection
    expect(answer).toMatch(/^HTTP\/1\.1 413 /);
    expect(answer).toMatch(/connection: close/i);
    expect(answer).toContain('"id":null,"error":{"code":-32600,');
    expect(failures.map(({ code }) => code)).toEqual(['PAYLOAD_TOO_LARGE']);
  });

  it('refuses an endless body at the limit and holds no more of it', async () => {
    const port = await serve(echo);
    const before = process.memoryUsage().arrayBuffers;
    const socket = await rawSocket(port);
    socket.write('POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n');
    const chunk = Buffer.from(`10000\r\n${'x'.repeat(65_536)}\r\n`);
    const answered = once(socket, 'data') as Promise<[Buffer]>;
    socket.write(chunk);
    const [first] = await answered;
    expect(first.toString()).toMatch(/^HTTP\/1\.1 413 /);
    const closed = new Promise((resolve) => socket.once('close', resolve));
    for (let i = 0; i < 100 && !socket.destroyed; i++) socket.write(chunk);
    await closed;
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(30_000_000);
  });

  it('the server lives on after a client that went away half way', async () => {
    const failures: CodedError[] = [];
    const port = await serve(echo, failures);
    const socket = await rawSocket(port);
    socket.write('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf');
    socket.resetAndDestroy();
    await until(() => failures.length === 1, { what: 'the failure' });
    expect(failures[0]?.code).toBe('CANCELLED');
    expect((await post(port, Buffer.from('next'))).body.toString()).toBe('next');
  });

  // The access check may wait for a key set; a client that leaves meanwhile must not leave the request running for ever
  // (drain() would wait for it).
  it('settles for a client that went away before anybody read the body', async () => {
    const [arrived, left] = [deferred(), deferred()];
    const failures: CodedError[] = [];
    const port = await serve(async (exchange) => {
      exchange.req.once('close', () => left.resolve());
      arrived.resolve();
      await left.promise;
      await exchange.body(LIMIT);
    }, failures);
    const socket = await rawSocket(port);
    socket.write('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf');
    await arrived.promise;
    socket.resetAndDestroy();
    await until(() => failures.length === 1, { what: 'the failure', timeoutMs: 2_000 });
    expect(failures[0]?.code).toBe('CANCELLED');
  });

  it('S-6: a huge header is refused by the server with 431, and the next request is answered', async () => {
    const port = await serve(echo);
    const huge = await post(port, Buffer.from('x'), { headers: { 'x-huge': 'h'.repeat(100_000) } });
    expect(huge.status).toBe(431);
    expect((await post(port, Buffer.from('next'))).status).toBe(200);
  });
});

describe('refuse (§8)', () => {
  it("carries the caller's id, the code and the request id", async () => {
    const port = await refuseWith(new DownstreamError('SESSION_NOT_FOUND', 'no "such" session'), 7);
    const answer = await post(port, Buffer.from('x'));
    expect(answer.status).toBe(404);
    expect(answer.headers).toMatchObject({ 'content-type': 'application/json', 'x-request-id': 'r-1' });
    expect(jsonOf(answer)).toEqual({
      jsonrpc: '2.0',
      id: 7,
      error: { code: -32001, message: 'no "such" session', data: { code: 'SESSION_NOT_FOUND', retryable: false } },
    });
  });

  it.each([
    [1, '1'],
    [1_001, '2'],
    [10_000, '10'],
  ])('D-10: %d ms are Retry-After: %s', async (retryAfterMs, seconds) => {
    const port = await refuseWith(new DownstreamError('SESSION_LIMIT', 'm', { retryAfterMs }));
    const answer = await post(port, Buffer.alloc(0));
    expect([answer.status, answer.headers['retry-after']]).toEqual([429, seconds]);
    expect(jsonOf(answer)).toMatchObject({ id: null, error: { data: { retryAfterMs, retryable: true } } });
  });

  it.each<[string, AuthError, number, string]>([
    ['no token', AuthError.noToken('send one'), 401, 'Bearer'],
    ['bad token', AuthError.badToken('a\r\nx: y'), 401, `Bearer error="invalid_token", error_description="a''x: y"`],
    ['missing scope', AuthError.missingScope('mcp:use'), 403, 'Bearer error="insufficient_scope", scope="mcp:use"'],
  ])('S-2: %s is challenged', async (_what, error, status, challenge) => {
    const answer = await post(await refuseWith(error), Buffer.alloc(0));
    expect([answer.status, answer.headers['www-authenticate']]).toEqual([status, challenge]);
  });

  it('D-1: 405 says what is allowed', async () => {
    const allow = 'POST, DELETE';
    const port = await refuseWith(new DownstreamError('METHOD_NOT_ALLOWED', 'm', { details: { allow } }));
    const answer = await post(port, Buffer.alloc(0), { method: 'PUT' });
    expect([answer.status, answer.headers.allow]).toEqual([405, allow]);
  });

  it('has none of these headers without a reason', async () => {
    const port = await refuseWith(new CodedError('INTERNAL', 'm', { details: { allow: 7 } }));
    const { headers } = await post(port, Buffer.alloc(0));
    expect(Object.keys(headers)).toEqual(expect.not.arrayContaining(['allow', 'retry-after', 'www-authenticate']));
  });

  it('keeps the connection where the body was read, and closes it where not', async () => {
    const read = await serve(async (exchange) => {
      await exchange.body(LIMIT);
      throw new DownstreamError('BAD_REQUEST', 'm');
    });
    const headers = { connection: 'keep-alive' };
    expect((await post(read, Buffer.from('x'), { headers })).headers.connection).toBe('keep-alive');
    const unread = await refuseWith(new DownstreamError('BAD_REQUEST', 'm'));
    expect((await post(unread, Buffer.alloc(1_000_000), { headers })).headers.connection).toBe('close');
  });
});

describe('json (D-7)', () => {
  it('writes a large result in its parts, the result itself among them', async () => {
    const raw = Buffer.alloc(20_000_000, '1');
    const written: unknown[] = [];
    const port = await serve((exchange) => {
      const write = exchange.res.write.bind(exchange.res) as (chunk: Buffer) => boolean;
      exchange.res.write = (chunk: Buffer) => (written.push(chunk), write(chunk));
      exchange.json(200, responseParts(7, 'result', raw));
    });
    const { body, headers } = await post(port, Buffer.alloc(0));
    expect(Buffer.concat(responseParts(7, 'result', raw)).equals(body)).toBe(true);
    expect(headers['content-length']).toBe(String(body.length));
    expect(written.includes(raw)).toBe(true);
  });

  it('answers once, and takes no harm from answers to nobody', async () => {
    const done = deferred<EdgeExchange>();
    const port = await serve((exchange) => {
      exchange.fail(new DownstreamError('CANCELLED', 'm'));
      exchange.empty(202);
      exchange.refuse(new DownstreamError('BAD_REQUEST', 'm'));
      done.resolve(exchange);
    });
    const answer = await post(port, Buffer.alloc(0));
    expect([answer.status, jsonOf(answer).error.code]).toEqual([200, -32000]);
    (await done.promise).json(200, []);
  });

  it('D-1: an empty answer has no body and no type', async () => {
    const { status, headers, body } = await post(await serve((exchange) => exchange.empty(202)), Buffer.alloc(0));
    expect([status, headers['content-length'], headers['content-type'], body.length]).toEqual([202, '0', undefined, 0]);
  });
});
