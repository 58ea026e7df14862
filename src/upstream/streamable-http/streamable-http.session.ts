import { type CancelSignal } from '../../common/cancellation.js';
import { type Dispatcher } from 'undici';
import { CodedError } from '../../common/errors.js';
import { notificationFrame, requestFrame, responseFrame, type RpcMessage } from '../../common/jsonrpc.js';
import { type ConnectorOptions } from '../connector-options.js';
import { type Dispatchers, type SocketUse } from '../dispatchers.js';
import { credentialHeaders } from '../credential-headers.js';
import { toUpstreamError } from '../network-errors.js';
import { Inbox } from '../inbox.js';
import { replyOf } from '../server-messages.js';
import { type Execution, UpstreamError, type UpstreamErrorCode } from '../upstream.errors.js';
import {
  type ConnectOptions,
  type CredentialPurpose,
  type Ending,
  type EndResult,
  type HeaderMap,
  type RawJson,
  type RequestOptions,
  type ServerInfo,
  type SessionObserver,
  type StandingStreamState,
  type Target,
  type UpstreamMessage,
  type UpstreamReply,
  type UpstreamSession,
} from '../upstream.port.js';
import { header, type ResponseHeaders } from '../http/exchange.js';
import { OneWay, POST_HEADERS } from './one-way.js';
import { PostCall } from './post-call.js';
import { StandingStream } from './standing-stream.js';
import { type Wire } from './wire.js';

/**
 * A session over streamable HTTP (MCP 2025-11-25, 2025-06-18, 2025-03-26), straight on `undici`.
 *
 * - Concurrent requests share the session; each has its own POST and, if the server wants, its own stream.
 * - What a server says is delivered with the request on whose stream it came (SPEC D-8).
 * - The first sign that the server has forgotten the session sets `lost`; nothing is repaired here (that is the pool's).
 */
export class StreamableHttpSession implements UpstreamSession, Wire {
  readonly transport = 'streamablehttp';
  server: ServerInfo = { protocolVersion: '', capabilities: {}, serverInfo: {} };
  sessionId: string | undefined;
  lost: UpstreamError | undefined;
  private readonly calls = new Map<number, PostCall>();
  private readonly oneWay: OneWay;
  private readonly origin: string;
  private readonly path: string;
  private lastId = 0;
  private readonly inbox: Inbox;
  private readonly observer: SessionObserver | undefined;
  private stream: StandingStream | undefined;
  private closing: Promise<EndResult> | undefined;

  constructor(
    private readonly target: Target,
    private readonly dispatchers: Dispatchers,
    private readonly limits: ConnectorOptions,
    { observer, clientCapabilities }: ConnectOptions = {},
  ) {
    this.observer = observer;
    this.inbox = new Inbox({
      expectsListener: clientCapabilities !== undefined,
      ...(observer ? { observer } : {}),
      respond: (id, reply) => this.respond(id, reply),
    });
    this.oneWay = new OneWay(this, limits, (error) => this.noteLoss(error));
    const url = new URL(target.url);
    this.origin = url.origin;
    this.path = url.pathname + url.search;
  }

  get gateway(): string {
    return this.target.gatewayName;
  }

  get url(): string {
    return this.target.url;
  }

  get maxResponseBytes(): number {
    return this.limits.maxResponseBytes;
  }

  get standingStream(): StandingStreamState | undefined {
    return this.stream?.current;
  }

  get standingStreamReady(): Promise<void> | undefined {
    return this.stream?.ready;
  }

  async request(method: string, params: RawJson | undefined, options: RequestOptions = {}): Promise<UpstreamReply> {
    if (this.lost) throw this.gone(this.lost);
    const id = (this.lastId += 1);
    options.onId?.(id);
    const body = requestFrame(id, method, params);
    return new Promise<UpstreamReply>((resolve, reject) => {
      const { signal } = options;
      const cancel = (): void => this.cancel(call, method, signal?.reason);
      const call = new PostCall(this, id, options.onPause, (outcome, headers) => {
        signal?.removeEventListener('abort', cancel);
        this.calls.delete(id);
        this.adoptSession(method, headers);
        if (!(outcome instanceof CodedError)) return resolve(outcome);
        this.noteLoss(outcome);
        reject(outcome);
      });
      this.calls.set(id, call);
      if (signal?.aborted) return cancel();
      signal?.addEventListener('abort', cancel, { once: true });
      this.post(call, body, options);
    });
  }

  async notify(method: string, params?: RawJson, signal?: CancelSignal): Promise<void> {
    await this.postOnly(notificationFrame(method, params), method, signal);
  }

  async respond(id: RawJson, reply: UpstreamReply): Promise<void> {
    await this.postOnly(responseFrame(id, reply.kind, reply.raw), 'a response');
  }

  onMessage(listener: (message: UpstreamMessage) => void): void {
    this.inbox.listen(listener);
  }

  /** Opens the standing stream; resolves when the server has said whether it has one. */
  async listen(): Promise<void> {
    this.stream ??= new StandingStream(this, {
      onOpen: () => this.observer?.listening?.(),
      onSessionLost: () => this.noteLoss(this.error('UPSTREAM_SESSION_LOST', 'session unknown', 'none')),
    });
    this.stream.open();
    await this.stream.ready;
  }

  close(ending: Ending): Promise<EndResult> {
    this.closing ??= this.end(ending);
    return this.closing;
  }

  // --- Wire: what calls and the stream need

  dispatcher(use: SocketUse): Dispatcher {
    return this.dispatchers.for(this.target.tls, use);
  }

  options(method: 'POST' | 'GET' | 'DELETE', headers: HeaderMap, body: Buffer | null): Dispatcher.DispatchOptions {
    return { origin: this.origin, path: this.path, method, headers, body };
  }

  headers(
    purpose: CredentialPurpose,
    extra: HeaderMap,
    signal?: CancelSignal,
  ): Record<string, string> | Promise<Record<string, string>> {
    const credentials = credentialHeaders(this.target, purpose, signal);
    return credentials instanceof Promise
      ? credentials.then((known) => this.merge(known, extra))
      : this.merge(credentials, extra);
  }

  deliver(message: RpcMessage, origin: number | undefined): void {
    if (this.closing) return;
    this.inbox.deliver(message, origin);
  }

  answered(message: RpcMessage): void {
    this.calls.get(Number(message.id?.toString('latin1')))?.settle(replyOf(message));
  }

  error(code: UpstreamErrorCode, what: string, execution: Execution, cause?: unknown): UpstreamError {
    return new UpstreamError(code, `${this.gateway}: ${what}`, { execution, gateway: this.gateway, cause });
  }

  // --- inside

  private merge(credentials: HeaderMap, extra: HeaderMap): Record<string, string> {
    const { server, sessionId } = this;
    const headers: Record<string, string> = Object.assign({}, credentials, extra);
    if (sessionId !== undefined) headers['mcp-session-id'] = sessionId;
    if (server.protocolVersion !== '') headers['mcp-protocol-version'] = server.protocolVersion;
    return headers;
  }

  private post(call: PostCall, body: Buffer, { signal, headers: own }: RequestOptions): void {
    const fail = (error: unknown): void => {
      if (error instanceof CodedError) return call.settle(error);
      call.settle(toUpstreamError(error, { gateway: this.gateway, url: this.url, execution: 'none' }));
    };
    try {
      const headers = this.headers('call', own ? { ...own, ...POST_HEADERS } : POST_HEADERS, signal);
      if (headers instanceof Promise) headers.then((known) => call.send(body, known)).catch(fail);
      else call.send(body, headers);
    } catch (error) {
      fail(error);
    }
  }

  /** MCP, Utilities, "Cancellation"; then both ends of the stream are closed, which the SDKs forget (PROTOCOL §3.4). */
  private cancel(call: PostCall, method: string, reason: unknown): void {
    const execution = call.maybeExecuted ? 'unknown' : 'none';
    const known = reason instanceof UpstreamError ? reason : undefined;
    call.settle(known ?? this.error('CANCELLED', 'the call was cancelled', execution, reason));
    if (execution === 'none' || method === 'initialize' || this.lost) return call.abort();
    const params = Buffer.from(
      JSON.stringify({ requestId: call.id, reason: known?.message ?? 'cancelled by the client' }),
    );
    void this.notify('notifications/cancelled', params)
      .catch(() => undefined)
      .finally(() => call.abort());
  }

  private async postOnly(body: Buffer, what: string, signal?: CancelSignal): Promise<void> {
    if (this.lost) throw this.gone(this.lost);
    await this.oneWay.post(body, what, signal);
  }

  private adoptSession(method: string, headers: ResponseHeaders): void {
    if (method === 'initialize') this.sessionId = header(headers, 'mcp-session-id');
  }

  private noteLoss(error: CodedError): void {
    if (!(error instanceof UpstreamError) || error.sessionSound) return;
    if (this.lost || (error.code !== 'UPSTREAM_SESSION_LOST' && error.code !== 'UPSTREAM_UNAUTHORIZED')) return;
    this.lost = error;
    this.observer?.lost?.();
  }

  private gone(cause: UpstreamError): UpstreamError {
    const code = cause.code === 'UPSTREAM_UNAUTHORIZED' ? cause.code : 'UPSTREAM_SESSION_LOST';
    return new UpstreamError(code, cause.message, { execution: 'none', gateway: this.gateway, cause });
  }

  private async end(ending: Ending): Promise<EndResult> {
    // The server has forgotten a lost session; one whose credentials were refused may well live on there.
    const known = this.lost === undefined || this.lost.code === 'UPSTREAM_UNAUTHORIZED';
    this.lost ??= this.error('UPSTREAM_SESSION_LOST', 'the session was closed', 'none');
    this.stream?.close();
    for (const call of [...this.calls.values()]) {
      const execution = call.maybeExecuted ? 'unknown' : 'none';
      call.settle(this.error('UPSTREAM_INTERRUPTED', 'the session was closed during the call', execution));
      call.abort();
    }
    if (ending === 'detach') return 'detached';
    return !known || this.sessionId === undefined ? 'terminated' : this.oneWay.delete();
  }
}
