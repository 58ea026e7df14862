import { isUtf8 } from 'node:buffer';
import { checkJson, JsonError, scanArray, sliceOf, type Span } from '../../common/json-scan.js';
import { readMessage, type RpcMessage, RpcShapeError } from '../../common/jsonrpc.js';
import { DownstreamError } from '../downstream.errors.js';
import { isSupported, PROTOCOL_VERSIONS } from '../protocol.js';
import { type EdgeExchange } from './edge-exchange.js';

/** MCP, Transports: the client must take both kinds of answer. */
export function checkAccept(exchange: EdgeExchange): void {
  const accept = (exchange.header('accept') ?? '').toLowerCase();
  if (accept.includes('application/json') && accept.includes('text/event-stream')) return;
  throw new DownstreamError('NOT_ACCEPTABLE', 'send Accept: application/json, text/event-stream');
}

/** Of a GET: the only thing that it can bring is an event stream. */
export function checkAcceptStream(exchange: EdgeExchange): void {
  const accept = (exchange.header('accept') ?? '').toLowerCase();
  if (/text\/event-stream|text\/\*|\*\/\*/.test(accept)) return;
  throw new DownstreamError('NOT_ACCEPTABLE', 'send Accept: text/event-stream');
}

export function checkContentType(exchange: EdgeExchange): void {
  const type = exchange.header('content-type') ?? '';
  if (type === 'application/json' || /^application\/json\s*(;|$)/i.test(type)) return;
  throw new DownstreamError('UNSUPPORTED_MEDIA_TYPE', 'send Content-Type: application/json');
}

/** An absent header means the negotiated revision, or 2025-03-26 (MCP, Transports, "Protocol Version Header"). */
export function checkVersionHeader(exchange: EdgeExchange): void {
  const version = exchange.header('mcp-protocol-version');
  if (version === undefined || isSupported(version)) return;
  const message = `MCP-Protocol-Version ${JSON.stringify(version.slice(0, 40))} is not one of ${PROTOCOL_VERSIONS.join(', ')}`;
  throw new DownstreamError('UNSUPPORTED_PROTOCOL_VERSION', message);
}

/** In a batch there must be some end. */
const MAX_BATCH = 100;
const ARRAY = 0x5b;

/** Whether a body holds several messages, as one revision allows. */
export function isBatch(body: Buffer): boolean {
  return (body[0] === ARRAY || (body[0] ?? 0) <= 0x20) && body.find((byte) => byte > 0x20) === ARRAY;
}

/**
 * The one JSON-RPC message of a body. Notes the id on the exchange as soon as it is known.
 *
 * @throws DownstreamError PARSE_ERROR (−32700), BAD_REQUEST (−32600) for a batch or what is not JSON-RPC
 */
export function parseMessage(exchange: EdgeExchange, body: Buffer): RpcMessage {
  if (!isUtf8(body)) throw new DownstreamError('PARSE_ERROR', 'the body is not UTF-8');
  if (!isBatch(body)) return parseOne(exchange, body);
  throw new DownstreamError('BAD_REQUEST', 'batches are not supported: send one message a request');
}

/** The messages of a batch. Whether the revision has batches is for the caller to say. @throws as `parseMessage` */
export function parseBatch(exchange: EdgeExchange, body: Buffer): RpcMessage[] {
  if (!isUtf8(body)) throw new DownstreamError('PARSE_ERROR', 'the body is not UTF-8');
  const spans = elementsOf(body);
  if (spans.length === 0 || spans.length > MAX_BATCH) {
    throw new DownstreamError('BAD_REQUEST', `a batch holds 1 to ${MAX_BATCH} messages`);
  }
  const messages = spans.map((span) => parseOne(exchange, sliceOf(body, span)));
  exchange.rpcId = undefined; // no single id can stand for them
  return messages;
}

function elementsOf(body: Buffer): Span[] {
  try {
    return scanArray(body);
  } catch (error) {
    if (error instanceof JsonError) throw notAMessage(error, body);
    throw error;
  }
}

function parseOne(exchange: EdgeExchange, json: Buffer): RpcMessage {
  try {
    const message = readMessage(json);
    exchange.rpcId = message.id;
    return message;
  } catch (error) {
    if (error instanceof JsonError) throw notAMessage(error, json);
    if (!(error instanceof RpcShapeError)) throw error;
    exchange.rpcId = error.id;
    throw new DownstreamError('BAD_REQUEST', `not a JSON-RPC 2.0 message: ${error.message}`);
  }
}

/** JSON that is no object, or names a member twice, is a bad request; only what is no JSON is a parse error. */
function notAMessage(error: JsonError, body: Buffer): DownstreamError {
  try {
    checkJson(body);
  } catch {
    return new DownstreamError('PARSE_ERROR', `the body is not JSON: ${error.message}`);
  }
  return new DownstreamError('BAD_REQUEST', `not a JSON-RPC 2.0 message: ${error.message}`);
}
