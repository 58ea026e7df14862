import { AsyncLocalStorage } from 'node:async_hooks';
import { SSEClientTransport } from '@modelcontextprotocol/sdk/client/sse.js';
import { type JSONRPCMessage } from '@modelcontextprotocol/sdk/types.js';
import { withDeadline } from '../../common/deadline.js';
import { CodedError } from '../../common/errors.js';
import { UpstreamError } from '../upstream.errors.js';
import { type Post } from './post.js';
import { type SseErrors } from './sse-errors.js';
import { type SseHttp } from './sse-http.js';

export interface ChannelEvents {
  onMessage(message: JSONRPCMessage): void;
  /** The stream has gone. At most once; the channel is closed by then. */
  onEnd(error: UpstreamError): void;
}

/** What the SDK is told to send: it knows the endpoint; the body are the bytes of the `Post`. */
const STAND_IN = { jsonrpc: '2.0', method: 'notifications/post' } as const;

/**
 * The SDK's HTTP+SSE transport (2024-11-05) with the one habit taken away that a pool cannot live with: the
 * `eventsource` package under it reconnects by itself, into a *new* session that nobody has initialized
 * (PROTOCOL §3.3). Here a stream is opened once, and any error of it ends the channel.
 *
 *   new -> opening -> open -> ended        any -> ended
 */
export class SseChannel {
  private readonly transport: SSEClientTransport;
  /** Tells our `fetch` which `Post` the SDK calls it for. */
  private readonly posting = new AsyncLocalStorage<Post>();
  private readonly ended = new AbortController();
  private opened = false;
  private refusal: CodedError | undefined;

  constructor(
    url: string,
    private readonly http: SseHttp,
    private readonly errors: SseErrors,
    private readonly events: ChannelEvents,
  ) {
    this.transport = new SSEClientTransport(new URL(url), {
      fetch: (to, init) => this.post(new URL(to), new Headers(init?.headers)),
      eventSourceInit: { fetch: (to, init) => this.stream(new URL(to), init) },
    });
  }

  /**
   * Opens the stream and waits for its `endpoint` event, `timeoutMs` at most.
   *
   * @throws UpstreamError with a reason (SPEC G-2); the channel has ended then
   */
  async open(timeoutMs: number, signal: AbortSignal | undefined): Promise<void> {
    this.transport.onmessage = (message) => this.events.onMessage(message);
    this.transport.onerror = (error) => this.broken(error);
    const late = (): UpstreamError => this.noEndpoint(timeoutMs);
    await withDeadline(timeoutMs, signal, late, (limit) => this.start(limit));
    this.opened = true;
  }

  /**
   * @returns when the server has taken the message (2xx); its answer, if any, comes on the stream
   * @throws UpstreamError, or what the credentials' source threw; whether that ends the session is for the session to say (`fail`)
   */
  async send(post: Post): Promise<void> {
    try {
      await this.posting.run(post, () => this.transport.send(STAND_IN));
    } catch (error) {
      throw error instanceof CodedError ? error : this.errors.notMcp((error as Error).message, error);
    }
  }

  /** From now on every request names the negotiated revision. */
  useProtocolVersion(version: string): void {
    this.transport.setProtocolVersion(version);
  }

  /** Ends the channel for a reason. POSTs in flight go on: their own status may say that they were not executed. */
  fail(error: CodedError): void {
    if (this.ended.signal.aborted) return;
    this.end(error);
    this.events.onEnd(error instanceof UpstreamError ? error : this.errors.lost(error.message, error));
  }

  /** Ends the channel and all its HTTP requests without a word. */
  close(): void {
    const closed = this.errors.lost('the session was closed');
    if (!this.ended.signal.aborted) this.end(closed);
    this.http.abort(closed);
  }

  private start(limit: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const { signal } = this.ended;
      signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
      const giveUp = (): void => this.fail(this.givenUp(limit.reason));
      if (limit.aborted) return giveUp();
      limit.addEventListener('abort', giveUp, { once: true });
      this.transport.start().then(resolve, (error: Error) => this.broken(error));
    });
  }

  private end(error: CodedError): void {
    this.ended.abort(error);
    void this.transport.close();
    // The eventsource package arms its reconnect timer right *after* it has reported an error: close once more, then.
    queueMicrotask(() => void this.transport.close());
  }

  /** Whatever the SDK reports. */
  private broken(error: Error): void {
    if (error instanceof CodedError) return; // of a POST: `send` tells its caller
    if (!this.opened) return this.fail(this.refusal ?? this.errors.notMcp(error.message, error));
    this.fail(this.errors.lost(`the event stream ended or broke (${error.message})`, error));
  }

  private async stream(url: URL, init: RequestInit): Promise<Response> {
    try {
      return await this.http.openStream(url, new Headers(init.headers), init.signal ?? this.ended.signal);
    } catch (error) {
      // The eventsource package makes a text of it and forgets the rest.
      this.refusal ??= error as CodedError;
      throw error;
    }
  }

  private post(url: URL, headers: Headers): Promise<Response> {
    const post = this.posting.getStore();
    if (!post) throw new TypeError('a POST that nobody asked for');
    return this.http.post(url, headers, post);
  }

  private givenUp(reason: unknown): UpstreamError {
    return reason instanceof UpstreamError ? reason : this.errors.cancelled('none', reason);
  }

  private noEndpoint(timeoutMs: number): UpstreamError {
    if (!this.http.streaming) return this.errors.timeout(`no event stream in ${timeoutMs} ms`, 'none');
    return this.errors.notMcp(`an event stream, but no endpoint event in ${timeoutMs} ms`);
  }
}
