import { isUtf8 } from 'node:buffer';
import { CodedError } from '../common/errors.js';
import { checkJson, JsonError, scanObject } from '../common/json-scan.js';

const NO_ARGUMENTS = Buffer.from('{}');
const CLOSE = Buffer.from('}');

/**
 * The `params` of `tools/call` around arguments that stay the bytes that came (SPEC D-7).
 *
 * @param body the JSON object of the arguments; undefined or empty: there are none
 * @throws CodedError PARSE_ERROR, INVALID_PARAMS
 */
export function callParams(name: string, body: Buffer | undefined): Buffer {
  const args = body?.length ? body : NO_ARGUMENTS;
  expectObject(args);
  return Buffer.concat([Buffer.from(`{"name":${JSON.stringify(name)},"arguments":`), args, CLOSE]);
}

function expectObject(json: Buffer): void {
  if (!isUtf8(json)) throw new CodedError('PARSE_ERROR', 'the body is not UTF-8');
  try {
    scanObject(json);
  } catch (error) {
    if (!(error instanceof JsonError)) throw error;
    throw isJson(json)
      ? new CodedError('INVALID_PARAMS', `the body must be the JSON object of the tool's arguments: ${error.message}`)
      : new CodedError('PARSE_ERROR', 'the body is not valid JSON');
  }
}

function isJson(json: Buffer): boolean {
  try {
    checkJson(json);
    return true;
  } catch {
    return false;
  }
}

/**
 * A JSON-RPC error that the server itself answered, as REST tells it. Always 502, also for −32602: whose fault it was is
 * the server's word, not ours, and `rpcCode` has it.
 *
 * @param raw the bytes of `error`
 */
export function upstreamError(raw: Buffer): CodedError {
  const { code, message, data } = membersOf(raw);
  const rpcMessage = typeof message === 'string' ? message : '';
  return new CodedError('UPSTREAM_ERROR', `the MCP server answered with an error: ${rpcMessage || '(no message)'}`, {
    details: {
      rpcCode: typeof code === 'number' ? code : null,
      rpcMessage,
      ...(data === undefined ? {} : { rpcData: data }),
    },
  });
}

function membersOf(raw: Buffer): { code?: unknown; message?: unknown; data?: unknown } {
  const value = JSON.parse(raw.toString('utf8')) as unknown;
  return typeof value === 'object' && value !== null ? value : {};
}
