import { type CancelSignal } from '../../common/cancellation.js';
import { withDeadline } from '../../common/deadline.js';
import { type CodedError } from '../../common/errors.js';
import { type RpcMessage } from '../../common/jsonrpc.js';
import { type ConnectorOptions } from '../connector-options.js';
import { UpstreamError } from '../upstream.errors.js';
import { type Post } from './post.js';
import { type SseErrors } from './sse-errors.js';
import { SsePosts } from './sse-posts.js';
import { SseStream } from './sse-stream.js';
import { type SseWire } from './sse-wire.js';

export interface ChannelEvents {
  onMessage(message: RpcMessage): void;
  /** An event is too large and is skipped. @param head how its data begins */
  onOversize(head: Buffer): void;
  /** The stream has gone. At most once; the channel is closed by then. */
  onEnd(error: UpstreamError): void;
}

/**
 * Both directions of an HTTP+SSE session: the stream, and the POSTs to the endpoint that it names. Any end of the stream
 * ends the channel.
 *
 *   new -> opening -> open -> ended        any -> ended
 */
export class SseChannel {
  private readonly stream: SseStream;
  private readonly posts: SsePosts;
  private readonly errors: SseErrors;
  private endpoint: URL | undefined;
  private ended: CodedError | undefined;
  /** Of `open`, while it waits. */
  private opening: { resolve(): void; reject(error: CodedError): void } | undefined;

  constructor(
    private readonly wire: SseWire,
    private readonly limits: ConnectorOptions,
    private readonly events: ChannelEvents,
  ) {
    this.errors = wire.errors;
    this.posts = new SsePosts(wire, limits.transportTimeoutMs);
    this.stream = new SseStream(wire, limits.maxResponseBytes, {
      onEndpoint: (url) => {
        this.endpoint = url;
        this.opening?.resolve();
      },
      onMessage: (message) => this.events.onMessage(message),
      onOversize: (head) => this.events.onOversize(head),
      onEnd: (error) => this.fail(error),
    });
  }

  /**
   * Opens the stream and waits for its `endpoint` event, `transportTimeoutMs` at most.
   *
   * @throws UpstreamError with a reason (SPEC G-2); the channel has ended then
   */
  async open(signal: CancelSignal | undefined): Promise<void> {
    const { transportTimeoutMs } = this.limits;
    const late = (): UpstreamError => this.noEndpoint(transportTimeoutMs);
    await withDeadline(transportTimeoutMs, signal, late, (limit) => this.start(limit));
  }

  /**
   * @returns when the server has taken the message (2xx); its answer, if any, comes on the stream
   * @throws UpstreamError, or what the credentials' source threw; whether that ends the session is for the session to say (`fail`)
   */
  async send(post: Post): Promise<void> {
    if (!this.endpoint) throw this.errors.lost('no endpoint is known yet');
    await this.posts.send(this.endpoint, post);
  }

  /** From now on every request names the negotiated revision. */
  useProtocolVersion(version: string): void {
    this.wire.protocolVersion = version;
  }

  /** Ends the channel for a reason. POSTs in flight go on: their own status may say that they were not executed. */
  fail(error: CodedError): void {
    if (this.ended) return;
    this.end(error);
    this.events.onEnd(error instanceof UpstreamError ? error : this.errors.lost(error.message, error));
  }

  /** Ends the channel and all its HTTP requests without a word. */
  close(): void {
    const closed = this.errors.lost('the session was closed');
    if (!this.ended) this.end(closed);
    this.posts.abort(closed);
  }

  private start(limit: CancelSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.ended) return reject(this.ended);
      this.opening = { resolve, reject };
      const giveUp = (): void => this.fail(this.givenUp(limit.reason));
      if (limit.aborted) return giveUp();
      limit.addEventListener('abort', giveUp, { once: true });
      void this.stream.open(limit);
    });
  }

  private end(error: CodedError): void {
    this.ended = error;
    this.stream.close(error);
    this.opening?.reject(error);
  }

  private givenUp(reason: unknown): UpstreamError {
    return reason instanceof UpstreamError ? reason : this.errors.cancelled('none', reason);
  }

  private noEndpoint(timeoutMs: number): UpstreamError {
    if (!this.stream.streaming) return this.errors.timeout(`no event stream in ${timeoutMs} ms`, 'none');
    return this.errors.notMcp(`an event stream, but no endpoint event in ${timeoutMs} ms`);
  }
}
