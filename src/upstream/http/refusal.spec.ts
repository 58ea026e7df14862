import { describe, expect, it } from '@jest/globals';
import { isAccepted, refusalOf } from './refusal.js';

const SESSION = { gateway: 'files', sessionId: 'abc' };
const NO_SESSION = { gateway: 'files', sessionId: undefined };

const refuse = (status: number, body: string, at = NO_SESSION as typeof SESSION | typeof NO_SESSION) =>
  refusalOf(status, { 'content-type': 'text/plain' }, Buffer.from(body), at);

describe('refusalOf', () => {
  it.each([
    [404, ''],
    [404, 'Cannot POST /mcp'],
    [400, '{"error":{"message":"Bad Request: No valid session ID provided"}}'],
    [400, 'SESSION terminated'],
  ])('P-9: %d %j on a session id: the session is gone, the request was not executed', (status, body) => {
    expect(refuse(status, body, SESSION)).toMatchObject({ code: 'UPSTREAM_SESSION_LOST', execution: 'none', status });
  });

  it.each([404, 400])('P-9: %d without a session id is about the URL and not about a session', (status) => {
    const error = refuse(status, 'no valid session');
    expect(error).toMatchObject({ code: 'UPSTREAM_NOT_MCP', reason: 'not-mcp', execution: 'none', status });
  });

  it('P-9: a 400 about something else leaves the session alone', () => {
    expect(refuse(400, 'invalid arguments', SESSION).code).toBe('UPSTREAM_NOT_MCP');
  });

  it.each([401, 403])('G-2: %d is unauthorized, on a session too, whatever the body says', (status) => {
    const error = refuse(status, 'session expired', SESSION);
    expect(error).toMatchObject({ code: 'UPSTREAM_UNAUTHORIZED', reason: 'unauthorized', execution: 'none' });
    expect(error.data.retryable).toBe(false);
  });

  it.each([
    ['7', 7_000],
    ['0.5', 500],
    ['0', undefined],
    ['-3', undefined],
    ['Wed, 21 Oct 2026 07:28:00 GMT', undefined],
    ['Infinity', undefined],
    ['', undefined],
    [undefined, undefined],
    [['3', '9'], 3_000],
  ])('P-12: 429 with Retry-After %j is busy, surely not executed', (value, retryAfterMs) => {
    const error = refusalOf(429, { 'retry-after': value }, Buffer.alloc(0), NO_SESSION);
    expect(error).toMatchObject({ code: 'UPSTREAM_UNAVAILABLE', execution: 'none', status: 429 });
    expect(error.data).toEqual({
      code: 'UPSTREAM_UNAVAILABLE',
      retryable: true,
      gateway: 'files',
      ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    });
  });

  it('P-9: a 503 may come from a proxy behind which the call ran: not retryable', () => {
    const error = refusalOf(503, { 'retry-after': '2' }, Buffer.alloc(0), NO_SESSION);
    expect(error).toMatchObject({ code: 'UPSTREAM_UNAVAILABLE', execution: 'unknown' });
    expect(error.data).toMatchObject({ retryable: false, retryAfterMs: 2_000 });
  });

  it.each([301, 302, 307, 308])('S-5: %d is not followed', (status) => {
    const error = refuse(status, '', SESSION);
    expect(error).toMatchObject({ code: 'UPSTREAM_NOT_MCP', reason: 'not-mcp', execution: 'none' });
    expect(error.message).toContain('redirects');
  });

  it.each([500, 502, 504, 599])('P-9: %d says nothing about execution', (status) => {
    const error = refuse(status, 'boom', SESSION);
    expect(error).toMatchObject({ code: 'UPSTREAM_PROTOCOL', execution: 'unknown', status });
    expect([error.message, error.data.retryable]).toEqual([`files: the server failed (HTTP ${status}): boom`, false]);
  });

  it('G-2: an HTML page with 200 is no MCP, and says so with its type and its start', () => {
    const page = Buffer.from(`<!DOCTYPE html>\n<html>\t<title>Hi</title>${'x'.repeat(10_000)}`);
    const error = refusalOf(200, { 'content-type': 'text/html' }, page, NO_SESSION);
    expect(error).toMatchObject({ code: 'UPSTREAM_NOT_MCP', reason: 'not-mcp', execution: 'unknown' });
    expect(error.message).toMatch(/HTTP 200, text\/html\): <!DOCTYPE html> <html> <title>Hi<\/title>x+$/);
    expect(error.message.length).toBeLessThan(300);
  });

  it('G-3: 405 to the first POST was not executed; an answer without type and body is told as such', () => {
    const error = refusalOf(405, {}, Buffer.alloc(0), NO_SESSION);
    expect(error).toMatchObject({ status: 405, execution: 'none' });
    expect(error.message).toBe('files: the answer is not MCP (HTTP 405, no content type)');
  });

  it('survives a body that is no text', () => {
    expect(refuse(418, '\u0000\u0001').status).toBe(418);
    expect(refusalOf(500, {}, Buffer.alloc(1_000, 0xff), NO_SESSION).message.length).toBeLessThan(300);
  });

  it('always carries the gateway and the reason for the caller (§8)', () => {
    expect(refuse(404, '').data).toEqual({
      code: 'UPSTREAM_NOT_MCP',
      retryable: false,
      gateway: 'files',
      reason: 'not-mcp',
    });
  });
});

it('isAccepted: 2xx and nothing else', () => {
  expect([199, 200, 202, 204, 299, 300, 101, 0].filter(isAccepted)).toEqual([200, 202, 204, 299]);
});
