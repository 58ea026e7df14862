import { describe, expect, it } from '@jest/globals';
import { BadGatewayException, BadRequestException, HttpException, NotFoundException } from '@nestjs/common';
import { CodedError } from '../common/errors.js';
import { codedErrorOf } from './coded-error-of.js';

const request = { method: 'GET', path: '/x' };

describe('codedErrorOf (SPEC §8)', () => {
  it.each<[unknown, string, RegExp]>([
    [new CodedError('CONFLICT', 'twice'), 'CONFLICT', /^twice$/],
    [new Error('password=geheim'), 'INTERNAL', /^internal error/],
    ['text', 'INTERNAL', /^internal error/],
    [new NotFoundException('Cannot GET /x?key=geheim'), 'NOT_FOUND', /^there is no GET \/x$/],
    [new HttpException('no', 415), 'UNSUPPORTED_MEDIA_TYPE', /^no$/],
    [new HttpException('odd', 418), 'BAD_REQUEST', /^odd$/],
    [new BadGatewayException('geheim'), 'INTERNAL', /^internal error/],
    [
      new BadRequestException('Unexpected token g in geheim', { cause: { type: 'entity.parse.failed' } }),
      'PARSE_ERROR',
      /^the body is not valid JSON$/,
    ],
    [
      new HttpException('too large', 413, { cause: { type: 'entity.too.large', limit: 9 } }),
      'PAYLOAD_TOO_LARGE',
      /9 bytes/,
    ],
    [new HttpException('aborted', 400, { cause: { type: 'request.aborted' } }), 'BAD_REQUEST', /ended before/],
  ])('%s', (thrown, code, message) => {
    const error = codedErrorOf(thrown, request);
    expect(error.code).toBe(code);
    expect(error.message).toMatch(message);
    expect(error.message).not.toContain('geheim');
  });
});
