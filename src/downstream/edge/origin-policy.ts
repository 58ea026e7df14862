import { type IncomingHttpHeaders } from 'node:http';
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
  private readonly hosts: ReadonlySet<string>;
  private readonly anyHost: boolean;

  constructor(@Inject(SETTINGS) settings: Settings) {
    this.origins = new Set(settings.ALLOWED_ORIGINS.map((origin) => origin.toLowerCase().replace(/\/$/, '')));
    this.hosts = new Set(settings.ALLOWED_HOSTS.flatMap((host) => [host.toLowerCase(), nameOf(host)])); // a port is forgiven
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
    if (isLoopback(nameOf(host)) && URL.canParse(origin) && new URL(origin).host === host.toLowerCase()) return;
    throw new DownstreamError('ORIGIN_NOT_ALLOWED', 'this Origin may not call us; see ALLOWED_ORIGINS');
  }
}

/** `name` of `name:port`, brackets of IPv6 taken off. */
function nameOf(host: string): string {
  const bare = host.toLowerCase().replace(/:\d+$/, '');
  return bare.startsWith('[') && bare.endsWith(']') ? bare.slice(1, -1) : bare;
}
