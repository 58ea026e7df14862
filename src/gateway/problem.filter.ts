import { randomUUID } from 'node:crypto';
import { type ArgumentsHost, Catch, type ExceptionFilter, Logger } from '@nestjs/common';
import { type Request as ExpressRequest, type Response as ExpressResponse } from 'express';
import { AuthError, challenge } from '../auth/auth.errors.js';
import { type CodedError } from '../common/errors.js';
import { problemOf } from '../common/problem.js';
import { codedErrorOf } from './coded-error-of.js';
import { stackOf } from './stack-of.js';

/** Every error on REST as `application/problem+json` (RFC 9457, SPEC §8); never a stack, never an unforeseen text. */
@Catch()
export class ProblemFilter implements ExceptionFilter {
  private readonly logger = new Logger('REST');

  catch(thrown: unknown, host: ArgumentsHost): void {
    const http = host.switchToHttp();
    const request = http.getRequest<ExpressRequest>();
    const response = http.getResponse<ExpressResponse>();
    const error = codedErrorOf(thrown, request);
    const requestId = requestIdOf(response);
    this.log(error, thrown, requestId);
    if (response.headersSent) return void response.destroy();
    const { retryAfterMs } = error.options;
    if (retryAfterMs !== undefined) response.setHeader('Retry-After', Math.ceil(retryAfterMs / 1000));
    if (error instanceof AuthError) response.setHeader('WWW-Authenticate', challenge(error));
    const { http: status } = error.row;
    const body = problemOf(error, request.path, requestId);
    response.status(status).type('application/problem+json').send(JSON.stringify(body));
  }

  private log(error: CodedError, thrown: unknown, requestId: string): void {
    if (error.code !== 'INTERNAL') return this.logger.debug(`${error.code} (request ${requestId}): ${error.message}`);
    this.logger.error(`unforeseen error (request ${requestId})`, stackOf(thrown));
  }
}

/** The edge sets it on every answer; without the edge (in a test of this room) it is made here. */
function requestIdOf(response: ExpressResponse): string {
  const given = response.getHeader('x-request-id');
  if (typeof given === 'string') return given;
  const made = randomUUID();
  if (!response.headersSent) response.setHeader('x-request-id', made);
  return made;
}
