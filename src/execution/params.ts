import { JsonError, scanObject, sliceOf, type Span } from '../common/json-scan.js';
import { readString } from '../common/jsonrpc.js';
import { ExecutionError } from './execution.errors.js';

const NONE = Buffer.from('{}');

/** A string in `params` that names something, and the bytes around it. */
export interface NameInParams {
  readonly name: string;
  /** The same params with another name: the only thing that changes, the rest are the bytes that came (SPEC D-7). */
  readonly withName: (json: Buffer) => Buffer;
}

/** @throws ExecutionError INVALID_PARAMS when it is missing or no string */
export function nameIn(params: Buffer | undefined, member: string): NameInParams {
  if (params === undefined) throw new ExecutionError('INVALID_PARAMS', `params with a ${member} are missing`);
  const span = membersOf(params).get(member);
  if (!span) throw new ExecutionError('INVALID_PARAMS', `params.${member} is missing`);
  return {
    name: stringAt(params, span, member),
    withName: (json) => Buffer.concat([params.subarray(0, span.start), json, params.subarray(span.end)]),
  };
}

/** @throws ExecutionError INVALID_PARAMS when it is there and no string */
export function optionalString(params: Buffer | undefined, member: string): string | undefined {
  const span = membersOf(params ?? NONE).get(member);
  return span && stringAt(params ?? NONE, span, member);
}

function stringAt(params: Buffer, span: Span, member: string): string {
  const raw = sliceOf(params, span);
  if (raw[0] !== 0x22) throw new ExecutionError('INVALID_PARAMS', `params.${member} must be a string`);
  return readString(raw);
}

function membersOf(params: Buffer): Map<string, Span> {
  try {
    return scanObject(params);
  } catch (error) {
    if (!(error instanceof JsonError)) throw error;
    throw new ExecutionError('INVALID_PARAMS', `params: ${error.message}`);
  }
}
