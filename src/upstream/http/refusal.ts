import { UpstreamError } from '../upstream.errors.js';
import { header, type ResponseHeaders } from './exchange.js';

export interface RefusalContext {
  readonly gateway: string;
  readonly sessionId: string | undefined;
}

const EXCERPT = 200;

export function isAccepted(status: number): boolean {
  return status >= 200 && status < 300;
}

/**
 * What an HTTP answer that is no JSON-RPC answer means (SPEC P-9, G-2, G-3).
 *
 * 404 on a session id, and 400 that speaks of the session (many servers), say that the session is gone and the request
 * was not executed. A 5xx says nothing about execution.
 */
export function refusalOf(status: number, headers: ResponseHeaders, body: Buffer, at: RefusalContext): UpstreamError {
  const { gateway, sessionId } = at;
  const common = { gateway, status };
  const excerpt = body.toString('utf8', 0, EXCERPT).replace(/\s+/g, ' ').trim();
  if (sessionId !== undefined && (status === 404 || (status === 400 && /session/i.test(excerpt)))) {
    const message = `${gateway}: the server no longer knows the session (HTTP ${status})`;
    return new UpstreamError('UPSTREAM_SESSION_LOST', message, { ...common, execution: 'none' });
  }
  if (status === 401 || status === 403) {
    const message = `${gateway}: the server refuses our credentials (HTTP ${status}); see the gateway's auth`;
    return new UpstreamError('UPSTREAM_UNAUTHORIZED', message, {
      ...common,
      reason: 'unauthorized',
      execution: 'none',
    });
  }
  const sound = { ...common, sessionSound: true };
  if (status === 429 || status === 503) return busy(status, headers, sound);
  if (status >= 300 && status < 400) {
    const message = `${gateway}: the server redirects (HTTP ${status}); register the URL it redirects to`;
    return new UpstreamError('UPSTREAM_NOT_MCP', message, { ...common, reason: 'not-mcp', execution: 'none' });
  }
  if (status >= 500) {
    const message = `${gateway}: the server failed (HTTP ${status}): ${excerpt}`;
    return new UpstreamError('UPSTREAM_PROTOCOL', message, { ...sound, reason: 'not-mcp', execution: 'unknown' });
  }
  const type = header(headers, 'content-type') ?? 'no content type';
  const message = `${gateway}: the answer is not MCP (HTTP ${status}, ${type})${excerpt ? `: ${excerpt}` : ''}`;
  const execution = isAccepted(status) ? 'unknown' : 'none';
  return new UpstreamError('UPSTREAM_NOT_MCP', message, { ...sound, reason: 'not-mcp', execution });
}

function busy(
  status: number,
  headers: ResponseHeaders,
  common: { gateway: string; status: number; sessionSound: boolean },
): UpstreamError {
  const seconds = Number(header(headers, 'retry-after'));
  return new UpstreamError('UPSTREAM_UNAVAILABLE', `${common.gateway}: the server is busy (HTTP ${status})`, {
    ...common,
    execution: status === 429 ? 'none' : 'unknown',
    ...(Number.isFinite(seconds) && seconds > 0 ? { retryAfterMs: seconds * 1000 } : {}),
  });
}
