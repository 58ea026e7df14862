import { type CancelSignal, reasonOf, throwIfAborted } from '../../common/cancellation.js';
import { withDeadline } from '../../common/deadline.js';
import { CodedError } from '../../common/errors.js';
import { type ResponseHeaders } from '../http/exchange.js';
import { isAccepted, refusalOf } from '../http/refusal.js';
import { toUpstreamError } from '../network-errors.js';
import { type UpstreamError } from '../upstream.errors.js';
import { type HeaderMap } from '../upstream.port.js';
import { type Post } from './post.js';
import { type SseWire } from './sse-wire.js';

/** Of a refusal's body; the rest is not read. */
const EXCERPT_BYTES = 4_096;
/** The body of an accepted POST is of no interest, but reading it keeps the socket usable. */
const DRAIN_MS = 1_000;
const HEADERS = { 'content-type': 'application/json' };

/** The POSTs of one SSE session, each with a deadline. */
export class SsePosts {
  private readonly inFlight = new Set<Post>();

  constructor(
    private readonly wire: SseWire,
    private readonly timeoutMs: number,
  ) {}

  /**
   * @returns when the server has taken the message (2xx)
   * @throws UpstreamError, or what the credentials' source threw
   */
  async send(url: URL, post: Post): Promise<void> {
    this.inFlight.add(post);
    const late = (): UpstreamError =>
      this.wire.errors.timeout(`a message was not taken in ${this.timeoutMs} ms`, post.sent ? 'unknown' : 'none');
    try {
      await withDeadline(this.timeoutMs, post.giveUp, late, async (limit) => {
        const headers = await this.wire.headers(post.purpose, HEADERS, limit, post.headers);
        throwIfAborted(limit);
        await this.taken(url, post, headers, limit);
      });
    } catch (error) {
      throw this.failureOf(error, post);
    } finally {
      this.inFlight.delete(post);
    }
  }

  /** Ends every POST that has no answer yet. */
  abort(reason: UpstreamError): void {
    for (const post of this.inFlight) post.giveUp.abort(reason);
  }

  private taken(url: URL, post: Post, headers: HeaderMap, limit: CancelSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      let refused: ((body: Buffer) => UpstreamError) | undefined;
      let drain: NodeJS.Timeout | undefined;
      const chunks: Buffer[] = [];
      let size = 0;
      const abort = (): void => {
        post.exchange?.abort(reasonOf(limit));
        reject(reasonOf(limit));
      };
      limit.addEventListener('abort', abort, { once: true });
      const events = {
        onHead: (status: number, head: ResponseHeaders) => {
          if (!isAccepted(status)) return void (refused = (body) => this.refusal(url, status, head, body));
          limit.removeEventListener('abort', abort);
          drain = setTimeout(() => post.exchange?.abort(new Error('not needed')), DRAIN_MS).unref();
          resolve();
        },
        onChunk: (chunk: Buffer) => {
          if (!refused) return;
          chunks.push(chunk);
          size += chunk.length;
          if (size < EXCERPT_BYTES) return;
          post.exchange?.abort(new Error('not needed'));
          reject(refused(Buffer.concat(chunks)));
        },
        onEnd: () => {
          clearTimeout(drain);
          if (refused) reject(refused(Buffer.concat(chunks)));
        },
        onFailure: (error: Error) => {
          clearTimeout(drain);
          reject(refused ? refused(Buffer.concat(chunks)) : error);
        },
      };
      this.wire.start(url, headers, post.body, events, (exchange) => (post.exchange = exchange));
    });
  }

  /** The id of an SSE session stands in the URL of the POST. */
  private refusal(url: URL, status: number, head: ResponseHeaders, body: Buffer): UpstreamError {
    return refusalOf(status, head, body, { gateway: this.wire.errors.gateway, sessionId: url.search });
  }

  private failureOf(error: unknown, post: Post): CodedError {
    if (error instanceof CodedError) return error as CodedError;
    const execution = post.sent ? 'unknown' : 'none';
    const { errors } = this.wire;
    if (post.giveUp.aborted) return errors.cancelled(execution, error);
    return toUpstreamError(error, { gateway: errors.gateway, url: errors.url, execution });
  }
}
