import { type CancelSignal } from '../../common/cancellation.js';
import { CodedError } from '../../common/errors.js';
import { notificationFrame, responseFrame, type RpcMessage } from '../../common/jsonrpc.js';
import { type ConnectorOptions } from '../connector-options.js';
import { type Dispatchers } from '../dispatchers.js';
import { Inbox } from '../inbox.js';
import { replyOf } from '../server-messages.js';
import { UpstreamError } from '../upstream.errors.js';
import {
  type ConnectOptions,
  type Ending,
  type EndResult,
  type RawJson,
  type RequestOptions,
  type ServerInfo,
  type SessionObserver,
  type Target,
  type UpstreamMessage,
  type UpstreamReply,
  type UpstreamSession,
} from '../upstream.port.js';
import { Post } from './post.js';
import { SseCall } from './sse-call.js';
import { SseChannel } from './sse-channel.js';
import { SseErrors } from './sse-errors.js';
import { SseWire } from './sse-wire.js';

/**
 * How an answer begins whose id comes before its result, as JSON-RPC libraries of many languages write it. From the first
 * byte on, so that no text inside a result can look like it.
 */
const ANSWER =
  /^\s*\{\s*(?:"jsonrpc"\s*:\s*"2\.0"\s*,\s*)?"id"\s*:\s*(\d+)\s*,\s*(?:"jsonrpc"\s*:\s*"2\.0"\s*,\s*)?"(?:result|error)"/;

/**
 * A session over HTTP+SSE (MCP 2024-11-05): one stream for everything the server says, a POST for each message of ours.
 *
 * - The stream *is* the session: whatever ends it sets `lost`, and nothing is repaired here (that is the pool's).
 * - A server's message never has an `origin`: over SSE nothing says to which of our requests it belongs.
 */
export class SseSession implements UpstreamSession {
  readonly transport = 'sse';
  server: ServerInfo = { protocolVersion: '', capabilities: {}, serverInfo: {} };
  lost: UpstreamError | undefined;
  private readonly channel: SseChannel;
  private readonly errors: SseErrors;
  private readonly calls = new Map<number, SseCall>();
  private lastId = 0;
  private readonly inbox: Inbox;
  private readonly observer: SessionObserver | undefined;
  private closing: Promise<EndResult> | undefined;

  constructor(
    target: Target,
    dispatchers: Dispatchers,
    private readonly limits: ConnectorOptions,
    { observer, clientCapabilities }: ConnectOptions = {},
  ) {
    this.observer = observer;
    this.inbox = new Inbox({
      expectsListener: clientCapabilities !== undefined,
      ...(observer ? { observer } : {}),
      respond: (id, reply) => this.respond(id, reply),
    });
    this.errors = new SseErrors(target);
    this.channel = new SseChannel(new SseWire(target, dispatchers, this.errors), limits, {
      onMessage: (message) => this.receive(message),
      onOversize: (head) => this.tooLarge(head),
      onEnd: (error) => this.ended(error),
    });
  }

  /** Opens the stream. The handshake is the connector's. */
  open(signal: CancelSignal | undefined): Promise<void> {
    return this.channel.open(signal);
  }

  initialized(server: ServerInfo): void {
    this.server = server;
    this.channel.useProtocolVersion(server.protocolVersion);
  }

  async request(method: string, params: RawJson | undefined, options: RequestOptions = {}): Promise<UpstreamReply> {
    if (this.lost) throw this.gone(this.lost);
    const { signal } = options;
    if (signal?.aborted) throw this.cancellation(signal.reason, 'none');
    const id = (this.lastId += 1);
    options.onId?.(id);
    return new Promise<UpstreamReply>((resolve, reject) => {
      const cancel = (): void => this.cancel(call, signal?.reason);
      const call = new SseCall(id, method, params, options.headers, (outcome) => {
        signal?.removeEventListener('abort', cancel);
        this.calls.delete(id);
        if (outcome instanceof CodedError) reject(outcome);
        else resolve(outcome);
      });
      this.calls.set(id, call);
      signal?.addEventListener('abort', cancel, { once: true });
      call.delivered = this.deliver(call);
    });
  }

  async notify(method: string, params?: RawJson, signal?: CancelSignal): Promise<void> {
    await this.postOnly(notificationFrame(method, params), signal);
  }

  async respond(id: RawJson, reply: UpstreamReply): Promise<void> {
    await this.postOnly(responseFrame(id, reply.kind, reply.raw));
  }

  onMessage(listener: (message: UpstreamMessage) => void): void {
    this.inbox.listen(listener);
  }

  /** Both endings are one here: the protocol has no DELETE, the end of the stream is the end of the session. */
  close(_ending: Ending): Promise<EndResult> {
    this.closing ??= this.end();
    return this.closing;
  }

  private async deliver(call: SseCall): Promise<void> {
    try {
      await this.channel.send(call.post);
      call.accepted = true;
      // The stream went while the POST was under way: nothing will bring the answer.
      if (this.lost) call.settle(this.errors.interrupted('the session ended during the call', 'unknown'));
    } catch (error) {
      call.settle(error as CodedError);
      // An answered call has no use for its POST any more, nor is the session ill because of it.
      if (!call.answered) this.note(error as CodedError, call.post);
    }
  }

  private async postOnly(body: Buffer, signal?: CancelSignal): Promise<void> {
    if (this.lost) throw this.gone(this.lost);
    if (signal?.aborted) throw this.cancellation(signal.reason, 'none');
    const post = new Post(body, 'housekeeping');
    const giveUp = (): void => post.giveUp.abort(signal?.reason);
    signal?.addEventListener('abort', giveUp, { once: true });
    try {
      await this.channel.send(post);
    } catch (error) {
      this.note(error as CodedError, post);
      throw error;
    } finally {
      signal?.removeEventListener('abort', giveUp);
    }
  }

  /** Which failures of a POST end the session: the server does not know it, does not want us, or cannot be reached. */
  private note(error: CodedError, post: Post): void {
    if (this.closing || post.giveUp.aborted) return; // our own doing, whatever the code
    if (!(error instanceof UpstreamError) || error.sessionSound) return;
    if (error.code === 'UPSTREAM_SESSION_LOST' || error.code === 'UPSTREAM_UNAUTHORIZED') this.channel.fail(error);
    else if (error.status === undefined) this.channel.fail(this.errors.lost(`given up: ${error.message}`, error));
  }

  private cancel(call: SseCall, reason: unknown): void {
    const { sent } = call.post;
    const cancellation = this.cancellation(reason, sent ? 'unknown' : 'none');
    call.settle(cancellation);
    if (!sent) return call.post.giveUp.abort(cancellation);
    if (call.method === 'initialize') return; // MCP, Cancellation: clients must not
    const why = reason instanceof UpstreamError ? reason.message : 'cancelled by the client';
    const params = Buffer.from(JSON.stringify({ requestId: call.id, reason: why }));
    // Not before the request itself was taken: two POSTs may overtake each other.
    void call.delivered.then(() => this.notify('notifications/cancelled', params)).catch(() => undefined);
  }

  private cancellation(reason: unknown, execution: 'none' | 'unknown'): UpstreamError {
    return reason instanceof UpstreamError ? reason : this.errors.cancelled(execution, reason);
  }

  private receive(message: RpcMessage): void {
    if (this.closing) return;
    if (message.method !== undefined) return this.inbox.deliver(message, undefined);
    // No such call: of a cancelled one, to be ignored.
    this.calls.get(Number(message.id?.toString('latin1')))?.settle(replyOf(message));
  }

  /** Fails the one call that it answers, if its beginning says which; else any may wait for it, and the session ends. */
  private tooLarge(head: Buffer): void {
    const id = ANSWER.exec(head.toString('latin1'))?.[1];
    if (id === undefined) return this.channel.fail(this.errors.tooLarge(this.limits.maxResponseBytes));
    this.calls.get(Number(id))?.settle(this.errors.tooLarge(this.limits.maxResponseBytes, true));
  }

  /** The stream has gone, or a POST said that the session has. */
  private ended(error: UpstreamError): void {
    if (!this.lost) {
      this.lost = error;
      this.observer?.lost?.();
    }
    for (const call of [...this.calls.values()]) {
      // After a refused POST the others in flight get their own refusals, which say "not executed": more than we know.
      if (error.status !== undefined && call.post.sent && !call.accepted) continue;
      if (error.code === 'RESULT_TOO_LARGE' && call.post.sent) call.settle(error);
      else this.interrupt(call, error.message);
    }
  }

  private interrupt(call: SseCall, why: string): void {
    const { sent, giveUp } = call.post;
    if (sent) return call.settle(this.errors.interrupted(`${why}; the call may have run`, 'unknown'));
    const lost = this.errors.lost(why);
    call.settle(lost);
    giveUp.abort(lost);
  }

  private gone(cause: UpstreamError): UpstreamError {
    if (cause.code === 'UPSTREAM_UNAUTHORIZED') return cause;
    return this.errors.lost(cause.message, cause);
  }

  /** Nothing here waits for the server, so the clean-up time-out has nothing to bound. */
  private async end(): Promise<EndResult> {
    this.lost ??= this.errors.lost('the session was closed');
    for (const call of [...this.calls.values()]) this.interrupt(call, 'the session was closed during the call');
    this.channel.close();
    return 'terminated'; // the server sees the end of its stream
  }
}
