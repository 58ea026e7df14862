import { JsonError, scanObject, sliceOf } from './json-scan.js';

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
  const part = (name: string): Buffer | undefined => {
    const span = members.get(name);
    return span && sliceOf(json, span);
  };
  const id = readId(part('id'));
  const version = part('jsonrpc');
  if (version?.toString('latin1') !== '"2.0"') throw new RpcShapeError('jsonrpc must be "2.0"', id);
  const method = readMethod(part('method'), id);
  const result = part('result');
  const error = part('error');
  if (method === undefined && (id === undefined || (result === undefined) === (error === undefined))) {
    throw new RpcShapeError('neither a request, a notification nor a response', id);
  }
  if (method !== undefined && (result !== undefined || error !== undefined)) {
    throw new RpcShapeError('a request cannot be a response too', id);
  }
  const params = part('params');
  if (params && params[0] !== 0x7b && params[0] !== 0x5b) throw new RpcShapeError('params must be an object', id);
  return {
    ...(id === undefined ? {} : { id }),
    ...(method === undefined ? {} : { method }),
    ...(params === undefined ? {} : { params }),
    ...(result === undefined ? {} : { result }),
    ...(error === undefined ? {} : { error }),
  };
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

function readId(id: Buffer | undefined): Buffer | undefined {
  if (id === undefined) return undefined;
  const first = id[0] ?? 0;
  // MCP: an id is a string or an integer, never null.
  if (first === 0x22 || (/^-?\d+$/.test(id.toString('latin1')) && id.length <= 32)) return id;
  throw new RpcShapeError('id must be a string or an integer', undefined);
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
