import { STATUS_CODES } from 'node:http';
import { type CodedError } from './errors.js';

/**
 * A coded error as a problem document (RFC 9457, SPEC §8).
 *
 * @param instance path of the request, without the query: that may hold what nobody should read in a log
 */
export function problemOf(error: CodedError, instance: string, requestId: string): Record<string, unknown> {
  const { http: status } = error.row;
  return {
    // What the caller may add comes first, so that no detail can hide a member of the document.
    ...error.data,
    type: 'about:blank',
    title: STATUS_CODES[status] ?? 'Client Closed Request',
    status,
    code: error.code,
    detail: error.message,
    instance,
    requestId,
  };
}
