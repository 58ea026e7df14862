import { HttpException } from '@nestjs/common';
import { type Request as ExpressRequest } from 'express';
import { CodedError, type ErrorCode, toCodedError } from '../common/errors.js';

/** What body-parser says of a body (its `type`). */
interface BodyError {
  readonly type?: unknown;
  readonly limit?: unknown;
}

const BY_STATUS: Readonly<Record<number, ErrorCode>> = {
  401: 'UNAUTHORIZED',
  403: 'FORBIDDEN',
  404: 'NOT_FOUND',
  405: 'METHOD_NOT_ALLOWED',
  406: 'NOT_ACCEPTABLE',
  408: 'REQUEST_TIMEOUT',
  409: 'CONFLICT',
  413: 'PAYLOAD_TOO_LARGE',
  415: 'UNSUPPORTED_MEDIA_TYPE',
};

/** Whatever was thrown on the way to an answer of REST, as a coded error (SPEC §8). */
export function codedErrorOf(thrown: unknown, request: Pick<ExpressRequest, 'method' | 'path'>): CodedError {
  if (!(thrown instanceof HttpException)) return toCodedError(thrown);
  const fromBody = bodyProblem(thrown.cause);
  if (fromBody) return fromBody;
  const status = thrown.getStatus();
  if (status >= 500) return toCodedError(thrown);
  const code = BY_STATUS[status] ?? 'BAD_REQUEST';
  // Nest's own words for a missing route repeat the whole URL, query and all.
  const message = status === 404 ? `there is no ${request.method} ${request.path}` : thrown.message;
  return new CodedError(code, message, { cause: thrown });
}

function bodyProblem(cause: unknown): CodedError | undefined {
  if (typeof cause !== 'object' || cause === null) return undefined;
  const { type, limit } = cause as BodyError;
  switch (type) {
    case 'entity.too.large':
      return new CodedError('PAYLOAD_TOO_LARGE', `the body has more than ${String(limit)} bytes (MAX_BODY_BYTES)`, {
        details: { limit },
      });
    case 'entity.parse.failed':
      // Without the parser's words: they quote the body, which may hold a password.
      return new CodedError('PARSE_ERROR', 'the body is not valid JSON');
    case 'encoding.unsupported':
    case 'charset.unsupported':
      return new CodedError('UNSUPPORTED_MEDIA_TYPE', 'the encoding of the body is not supported: send UTF-8 JSON');
    case 'request.aborted':
    case 'request.size.invalid':
      return new CodedError('BAD_REQUEST', 'the body ended before its content-length');
    default:
      return undefined;
  }
}
