import { JsonError, scanObject, sliceOf, type Span } from './json-scan.js';

const VERSION = Buffer.from('"2.0"');
const QUOTE = 0x22;
const MINUS = 0x2d;
/** Characters; a number is kept as it came, so a longer one is no id that anybody counts with. */
const MAX_NUMBER_ID = 32;

/**
 * A JSON-RPC 2.0 message taken apart without being decoded: every part is a view of the bytes that came (SPEC D-7).
 *
 * - `method` and `id`: a request; `method` alone: a notification; `id` with `result` or `error`: a response.
 */
export interface RpcMessage {
  readonly id?: Buffer;
  readonly method?: string;
  readonly params?: Buffer;
  readonly result?: Buffer;
  readonly error?: Buffer;
}

/**
 * @throws JsonError if the bytes are not one JSON object
 * @throws RpcShapeError if they are, but not a JSON-RPC 2.0 message; it carries the id where there was a usable one
 */
export function readMessage(json: Buffer): RpcMessage {
  const members = scanObject(json);
  const id = partOf(json, members, 'id');
  if (id !== undefined && !isId(id)) throw new RpcShapeError('id must be a string or an integer', undefined);
  if (!isVersion(json, members.get('jsonrpc'))) throw new RpcShapeError('jsonrpc must be "2.0"', id);
  const method = readMethod(partOf(json, members, 'method'), id);
  const result = partOf(json, members, 'result');
  const error = partOf(json, members, 'error');
  if (method === undefined && (id === undefined || (result === undefined) === (error === undefined))) {
    throw new RpcShapeError('neither a request, a notification nor a response', id);
  }
  if (method !== undefined && (result !== undefined || error !== undefined)) {
    throw new RpcShapeError('a request cannot be a response too', id);
  }
  const params = partOf(json, members, 'params');
  if (params && params[0] !== 0x7b && params[0] !== 0x5b) throw new RpcShapeError('params must be an object', id);

  // One by one, and only what is there: conditional spreads cost more here than all the scanning.
  const message: { -readonly [Part in keyof RpcMessage]: RpcMessage[Part] } = {};
  if (id !== undefined) message.id = id;
  if (method !== undefined) message.method = method;
  if (params !== undefined) message.params = params;
  if (result !== undefined) message.result = result;
  if (error !== undefined) message.error = error;
  return message;
}

function partOf(json: Buffer, members: ReadonlyMap<string, Span>, name: string): Buffer | undefined {
  const span = members.get(name);
  return span && sliceOf(json, span);
}

/** Valid JSON, but not what JSON-RPC 2.0 asks for (−32600). */
export class RpcShapeError extends Error {
  override readonly name = 'RpcShapeError';

  constructor(
    message: string,
    readonly id: Buffer | undefined,
  ) {
    super(message);
  }
}

function isVersion(json: Buffer, span: Span | undefined): boolean {
  return span !== undefined && VERSION.compare(json, span.start, span.end) === 0;
}

/** MCP: an id is a string or an integer, never null. */
function isId(id: Buffer): boolean {
  if (id[0] === QUOTE) return true;
  if (id.length > MAX_NUMBER_ID) return false;
  // The scan has checked the grammar, so a sign or a digit begins a number; an integer has nothing but digits after it.
  for (let at = id[0] === MINUS ? 1 : 0; at < id.length; at += 1) {
    const byte = id[at] as number;
    if (byte < 0x30 || byte > 0x39) return false;
  }
  return true;
}

function readMethod(method: Buffer | undefined, id: Buffer | undefined): string | undefined {
  if (method === undefined) return undefined;
  if (method[0] !== 0x22) throw new RpcShapeError('method must be a string', id);
  return readString(method);
}

/** The text of a JSON string given as bytes. @throws JsonError if it is something else */
export function readString(json: Buffer): string {
  if (json[0] !== 0x22) throw new JsonError('expected a string', 0);
  return JSON.parse(json.toString('utf8')) as string;
}

export type Id = number | Buffer;

const NULL_ID = Buffer.from('null');
const CLOSE = Buffer.from('}');

export function requestFrame(id: Id, method: string, params?: Buffer): Buffer {
  return frame(`{"jsonrpc":"2.0","id":${idText(id)},"method":${JSON.stringify(method)}`, params);
}

export function notificationFrame(method: string, params?: Buffer): Buffer {
  return frame(`{"jsonrpc":"2.0","method":${JSON.stringify(method)}`, params);
}

/** A response around a result or error that is passed on as it came. `id` undefined is `null`: it could not be read. */
export function responseFrame(id: Id | undefined, kind: 'result' | 'error', raw: Buffer): Buffer {
  return Buffer.concat(responseParts(id, kind, raw));
}

/** The same, not put together: a large result is not copied. */
export function responseParts(id: Id | undefined, kind: 'result' | 'error', raw: Buffer): Buffer[] {
  return [Buffer.from(`{"jsonrpc":"2.0","id":${idText(id ?? NULL_ID)},"${kind}":`), raw, CLOSE];
}

function frame(head: string, params: Buffer | undefined): Buffer {
  if (params === undefined) return Buffer.from(`${head}}`);
  return Buffer.concat([Buffer.from(`${head},"params":`), params, CLOSE]);
}

function idText(id: Id): string {
  return typeof id === 'number' ? String(id) : id.toString('utf8');
}
