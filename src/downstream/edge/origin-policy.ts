import { type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import { Inject, Injectable } from '@nestjs/common';
import { SETTINGS } from '../../config/config.module.js';
import { isLoopback, type Settings } from '../../config/settings.js';
import { DownstreamError } from '../downstream.errors.js';

/**
 * Against DNS rebinding and foreign pages (MCP, Transports, "Security Warning"; SPEC D-1, S-7): a request that carries
 * an `Origin` comes from a page, and only known pages may ask; on a loopback address only a loopback `Host` is right.
 */
@Injectable()
export class OriginPolicy {
  private readonly origins: ReadonlySet<string>;
  private readonly hosts: Set<string>;
  private readonly anyHost: boolean;

  constructor(@Inject(SETTINGS) settings: Settings) {
    this.origins = new Set(settings.ALLOWED_ORIGINS.map((origin) => origin.toLowerCase().replace(/\/$/, '')));
    this.hosts = new Set(settings.ALLOWED_HOSTS.flatMap((host) => [host.toLowerCase(), nameOf(host)])); // a port is forgiven
    if (settings.PUBLIC_URL !== undefined) this.hosts.add(nameOf(new URL(settings.PUBLIC_URL).host));
    this.anyHost = this.hosts.size === 0 && !isLoopback(settings.HOST);
  }

  /**
   * @param probe whether the request is for a probe: those come with whatever Host the prober likes
   * @throws DownstreamError ORIGIN_NOT_ALLOWED, HOST_NOT_ALLOWED
   */
  check(headers: IncomingHttpHeaders, probe = false): void {
    const { origin, host = '' } = headers;
    if (!probe && !this.anyHost && !this.hosts.has(nameOf(host)) && !isLoopback(nameOf(host))) {
      throw new DownstreamError('HOST_NOT_ALLOWED', 'this Host is not ours; see ALLOWED_HOSTS');
    }
    if (origin === undefined || this.origins.has(origin.toLowerCase())) return;
    // What is no URL (`null`, of a sandboxed page) is nobody's.
    if (isLoopback(nameOf(host)) && URL.canParse(origin) && new URL(origin).host === host.toLowerCase()) return;
    throw new DownstreamError('ORIGIN_NOT_ALLOWED', 'this Origin may not call us; see ALLOWED_ORIGINS');
  }

  /**
   * For a request with an `Origin`: tells the browser that the page may read the answer, if it may (Fetch, "CORS
   * protocol").
   *
   * @returns whether it was only the browser's question before the request, which is answered now
   */
  preflight({ method, headers }: IncomingMessage, res: ServerResponse): boolean {
    res.setHeader('vary', 'Origin');
    if (!this.allows(headers)) return false; // whoever handles it refuses it
    res.setHeader('access-control-allow-origin', headers.origin ?? '');
    res.setHeader('access-control-expose-headers', CORS_EXPOSED);
    if (method !== 'OPTIONS') return false;
    res.writeHead(204, CORS_REQUEST).end();
    return true;
  }

  private allows(headers: IncomingHttpHeaders): boolean {
    try {
      this.check(headers);
      return true;
    } catch {
      return false;
    }
  }
}

/** What pages of an allowed origin may send and see (SPEC §8). */
const CORS_REQUEST = {
  'access-control-allow-methods': 'GET, POST, PATCH, DELETE, OPTIONS',
  'access-control-allow-headers':
    'authorization, content-type, accept, mcp-session-id, mcp-protocol-version, last-event-id',
  'access-control-max-age': '600',
};
const CORS_EXPOSED = 'Mcp-Session-Id, WWW-Authenticate';

/** `name` of `name:port`, brackets of IPv6 taken off. */
function nameOf(host: string): string {
  const bare = host.toLowerCase().replace(/:\d+$/, '');
  return bare.startsWith('[') && bare.endsWith(']') ? bare.slice(1, -1) : bare;
}
