import { type CodedError } from '../common/errors.js';

/** A coded error as the bytes of a JSON-RPC `error` (SPEC §8). */
export function errorBody(error: CodedError): Buffer {
  return Buffer.from(JSON.stringify({ code: error.row.rpc, message: error.message, data: error.data }));
}
