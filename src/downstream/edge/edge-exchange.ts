import { type IncomingMessage, type ServerResponse } from 'node:http';
import { AuthError, challenge } from '../../auth/auth.errors.js';
import { type CodedError, toCodedError } from '../../common/errors.js';
import { settledWithin } from '../../common/deadline.js';
import { type Id, readMessage, responseFrame, RpcShapeError } from '../../common/jsonrpc.js';
import { problemOf } from '../../common/problem.js';
import { type Log } from '../../logging/logger.js';
import { DownstreamError } from '../downstream.errors.js';
import { errorBody } from '../error-body.js';

/** Where the id of a refused request is looked for, and for how long. */
const MAX_ID_BODY = 64 * 1024;
const ID_WAIT_MS = 250;
/** How long we listen to a client that is still sending what we have refused. */
const LINGER_MS = 2_000;
const JSON_TYPE = 'application/json';
/** Up to this size one write of a copy is cheaper than several writes. */
const COPY_BELOW = 16 * 1024;

/** One HTTP request on the lean edge and its one answer. */
export class EdgeExchange {
  /** Known as soon as the body has been read, so that every refusal can carry it (SPEC §8). */
  rpcId: Id | undefined;
  private bodyTaken = false;

  constructor(
    readonly req: IncomingMessage,
    readonly res: ServerResponse,
    readonly requestId: string,
  ) {}

  header(name: string): string | undefined {
    const value = this.req.headers[name];
    return Array.isArray(value) ? value[0] : value;
  }

  /** Answers with bytes that are JSON already, in parts that are not put together. */
  json(status: number, parts: readonly Buffer[], headers: Record<string, string> = {}): void {
    if (this.res.headersSent || this.res.destroyed) return;
    let length = 0;
    for (const part of parts) length += part.length;
    this.res.writeHead(status, {
      'content-type': JSON_TYPE,
      'content-length': length,
      'x-request-id': this.requestId,
      ...headers,
    });
    if (headers.connection === 'close') return this.closeAfter(Buffer.concat(parts, length));
    if (length <= COPY_BELOW) return void this.res.end(asLatin1(parts), 'latin1');
    for (let i = 0; i < parts.length - 1; i++) this.res.write(parts[i]);
    this.res.end(parts[parts.length - 1]);
  }

  /**
   * The answer to a request whose body is still coming. Closing at once would reset the connection, and the client
   * would never see the answer (RFC 9112, 9.6): for a while what comes is read and dropped.
   */
  private closeAfter(body: Buffer): void {
    const { req, res } = this;
    res.write(body);
    const close = (): void => {
      clearTimeout(timer);
      res.end();
    };
    const timer = setTimeout(close, LINGER_MS);
    req.once('end', close).once('close', close).resume();
  }

  empty(status: number, headers: Record<string, string> = {}): void {
    if (this.res.headersSent || this.res.destroyed) return;
    this.res.writeHead(status, { 'x-request-id': this.requestId, 'content-length': 0, ...headers });
    this.res.end();
  }

  /** Refused before execution: an HTTP status, and a JSON-RPC body with the caller's id where it is known. */
  refuse(error: CodedError): void {
    this.json(error.row.http, [responseFrame(this.rpcId, 'error', errorBody(error))], this.refusalHeaders(error));
  }

  /** Refuses because of whatever was thrown; the log has what the caller must not see. */
  async refuseFor(thrown: unknown, log: Log): Promise<void> {
    const error = toCodedError(thrown);
    const { requestId } = this;
    if (error.code === 'INTERNAL') log.error({ err: thrown, requestId }, 'unforeseen error on an MCP endpoint');
    else log.debug({ requestId, code: error.code }, error.message);
    await this.findId(); // the refusal carries the caller's id wherever it can be had (SPEC §8)
    this.refuse(error);
  }

  private refusalHeaders(error: CodedError): Record<string, string> {
    const headers: Record<string, string> = {};
    const { retryAfterMs } = error.options;
    if (retryAfterMs !== undefined) headers['retry-after'] = String(Math.ceil(retryAfterMs / 1000));
    if (error instanceof AuthError && error.code === 'UNAUTHORIZED') headers['www-authenticate'] = challenge(error);
    if (error instanceof AuthError && error.code === 'FORBIDDEN') headers['www-authenticate'] = challenge(error);
    const allow = error.options.details?.allow;
    if (typeof allow === 'string') headers.allow = allow;
    // What is left of the body is not read any more, so the connection cannot be used again.
    if (!this.req.complete) headers.connection = 'close';
    return headers;
  }

  /** Failed after it was accepted: HTTP 200 with a JSON-RPC error (SPEC §8). */
  fail(error: CodedError): void {
    this.json(200, [responseFrame(this.rpcId, 'error', errorBody(error))]);
  }

  /** Refused on the way to Express, where errors are problem documents. */
  problem(error: CodedError): void {
    const status = error.row.http;
    const body = JSON.stringify(problemOf(error, pathOf(this.req), this.requestId));
    this.json(status, [Buffer.from(body)], {
      ...this.refusalHeaders(error),
      'content-type': 'application/problem+json',
    });
  }

  /**
   * Reads the caller's id out of a body that nobody has read, for the refusal: a short one only, and not for long.
   * Whatever goes wrong, the id stays unknown.
   */
  async findId(): Promise<void> {
    if (this.rpcId !== undefined || this.bodyTaken || this.req.method !== 'POST') return;
    const body = await settledWithin(this.body(MAX_ID_BODY), ID_WAIT_MS);
    if (body) this.rpcId = idOf(body);
  }

  /**
   * The whole body.
   *
   * @throws DownstreamError PAYLOAD_TOO_LARGE, CANCELLED when the client goes away
   */
  async body(maxBytes: number): Promise<Buffer> {
    this.bodyTaken = true;
    // Gone while the access check was waiting: no event will ever come any more.
    if (this.req.destroyed) throw gone();
    const announced = Number(this.req.headers['content-length'] ?? 0);
    if (announced > maxBytes) throw tooLarge(maxBytes);
    const chunks: Buffer[] = [];
    let length = 0;
    return new Promise<Buffer>((resolve, reject) => {
      // `close` comes after every request; an error is made only where it means something (its stack is what costs).
      const cutOff = (): void => {
        if (!this.req.readableEnded) reject(gone());
      };
      this.req
        .on('data', (chunk: Buffer) => {
          length += chunk.length;
          if (length <= maxBytes) return void chunks.push(chunk);
          this.req.pause().removeAllListeners('data');
          reject(tooLarge(maxBytes));
        })
        .on('end', () => resolve(chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks, length)))
        .on('error', cutOff)
        .on('close', cutOff);
    });
  }
}

/** The same bytes as text: Node sends head and text in one write, but head and buffer in two. */
function asLatin1(parts: readonly Buffer[]): string {
  let text = '';
  for (const part of parts) text += part.toString('latin1');
  return text;
}

function idOf(body: Buffer): Id | undefined {
  try {
    return readMessage(body).id;
  } catch (error) {
    return error instanceof RpcShapeError ? error.id : undefined;
  }
}

function pathOf({ url = '' }: IncomingMessage): string {
  return url.split('?', 1)[0] as string;
}

function tooLarge(maxBytes: number): DownstreamError {
  return new DownstreamError('PAYLOAD_TOO_LARGE', `the body is larger than ${maxBytes} bytes (MAX_BODY_BYTES)`);
}

function gone(): DownstreamError {
  return new DownstreamError('CANCELLED', 'the client went away before its request was complete');
}
