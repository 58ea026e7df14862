import { type CancelSignal } from '../../common/cancellation.js';
import { credentialHeaders } from '../credential-headers.js';
import { type Dispatchers } from '../dispatchers.js';
import { Exchange, type ExchangeEvents, header, type ResponseHeaders } from '../http/exchange.js';
import { type CredentialPurpose, type HeaderMap, type Target } from '../upstream.port.js';
import { type SseErrors } from './sse-errors.js';

const MAX_REDIRECTS = 5;
/** These keep method and body; the others make a GET of a POST. */
const KEEPING = [307, 308];
const REDIRECTS = [301, 302, 303, ...KEEPING];

/**
 * The way of one SSE session to its server: credentials asked for with each request (SPEC P-16), TLS of the target, and
 * nothing to any other origin than the registered one (SPEC S-5).
 */
export class SseWire {
  /** Named with every request from the handshake on. */
  protocolVersion: string | undefined;
  private readonly origin: string;

  constructor(
    private readonly target: Target,
    private readonly dispatchers: Dispatchers,
    readonly errors: SseErrors,
  ) {
    this.origin = new URL(target.url).origin;
  }

  /** @param extra protocol headers: they win over credentials, and those over `own` */
  async headers(
    purpose: CredentialPurpose,
    extra: HeaderMap,
    signal: CancelSignal,
    own: HeaderMap = {},
  ): Promise<HeaderMap> {
    const credentials = await credentialHeaders(this.target, purpose, signal);
    const { protocolVersion } = this;
    const version: HeaderMap = protocolVersion === undefined ? {} : { 'mcp-protocol-version': protocolVersion };
    return { ...own, ...credentials, ...version, ...extra };
  }

  /**
   * A GET, or a POST if there is a body. Redirects within the origin are followed; those that change a POST into a GET
   * reach `events` as an answer.
   *
   * @param started is given the exchange before it begins, and the one of each redirect
   * @throws UpstreamError UPSTREAM_NOT_MCP if the URL is of another origin; after a redirect `onFailure` gets it
   */
  start(
    url: URL,
    headers: HeaderMap,
    body: Buffer | null,
    events: ExchangeEvents,
    started: (exchange: Exchange, url: URL) => void,
    hops = 0,
  ): void {
    if (url.origin !== this.origin) throw this.errors.notMcp(`leads to another origin, ${url.origin}`);
    const exchange = new Exchange({
      ...events,
      onHead: (status, head) => {
        const to = hops < MAX_REDIRECTS && this.redirected(status, head, url, body !== null);
        if (!to) return events.onHead(status, head);
        exchange.abort(new Error('redirected'));
        try {
          this.start(to, headers, body, events, started, hops + 1);
        } catch (error) {
          events.onFailure(error as Error, false);
        }
      },
    });
    started(exchange, url);
    const { origin, pathname, search } = url;
    const method = body ? 'POST' : 'GET';
    const dispatcher = this.dispatchers.for(this.target.tls, body ? 'call' : 'stream');
    exchange.start(dispatcher, { origin, path: pathname + search, method, headers, body });
  }

  private redirected(status: number, head: ResponseHeaders, from: URL, isPost: boolean): URL | undefined {
    const location = header(head, 'location');
    if (location === undefined || !(isPost ? KEEPING : REDIRECTS).includes(status)) return undefined;
    return URL.canParse(location, from.href) ? new URL(location, from) : undefined;
  }
}
