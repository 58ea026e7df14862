import { type Dispatcher } from 'undici';
import { withDeadline } from '../../common/deadline.js';
import { notificationFrame, requestFrame, responseFrame, type RpcMessage } from '../../common/jsonrpc.js';
import { type ConnectorOptions } from '../connector-options.js';
import { type Dispatchers, type SocketUse } from '../dispatchers.js';
import { toUpstreamError } from '../network-errors.js';
import { refuseServerRequest, toMessage } from '../server-requests.js';
import { type Execution, UpstreamError, type UpstreamErrorCode } from '../upstream.errors.js';
import {
  type CredentialPurpose,
  type Ending,
  type EndResult,
  type HeaderMap,
  type RawJson,
  type RequestOptions,
  type ServerInfo,
  type StandingStreamState,
  type Target,
  type UpstreamMessage,
  type UpstreamReply,
  type UpstreamSession,
} from '../upstream.port.js';
import { Exchange, header, type ResponseHeaders } from './exchange.js';
import { PostCall, replyOf } from './post-call.js';
import { isAccepted, refusalOf } from './refusal.js';
import { StandingStream } from './standing-stream.js';
import { type Wire } from './wire.js';

const POST_HEADERS = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' };

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
  private readonly origin: string;
  private readonly path: string;
  private lastId = 0;
  private listener: ((message: UpstreamMessage) => void) | undefined;
  private stream: StandingStream | undefined;
  private closing: Promise<EndResult> | undefined;

  constructor(
    private readonly target: Target,
    private readonly dispatchers: Dispatchers,
    private readonly limits: ConnectorOptions,
  ) {
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
      const call = new PostCall(this, id, (outcome, headers) => {
        signal?.removeEventListener('abort', cancel);
        this.calls.delete(id);
        this.adoptSession(method, headers);
        if (!(outcome instanceof UpstreamError)) return resolve(outcome);
        this.noteLoss(outcome);
        reject(outcome);
      });
      this.calls.set(id, call);
      if (signal?.aborted) return cancel();
      signal?.addEventListener('abort', cancel, { once: true });
      this.post(call, body, options);
    });
  }

  async notify(method: string, params?: RawJson, signal?: AbortSignal): Promise<void> {
    await this.postOnly(notificationFrame(method, params), method, signal);
  }

  async respond(id: RawJson, reply: UpstreamReply): Promise<void> {
    await this.postOnly(responseFrame(id, reply.kind, reply.raw), 'a response');
  }

  onMessage(listener: (message: UpstreamMessage) => void): void {
    this.listener = listener;
  }

  /** Opens the standing stream; resolves when the server has said whether it has one. */
  async listen(): Promise<void> {
    this.stream ??= new StandingStream(this, () =>
      this.noteLoss(this.error('UPSTREAM_SESSION_LOST', 'session unknown', 'none')),
    );
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
    signal?: AbortSignal,
  ): Record<string, string> | Promise<Record<string, string>> {
    const credentials = this.target.credentials.headers(purpose, signal);
    return credentials instanceof Promise
      ? credentials.then((known) => this.merge(known, extra))
      : this.merge(credentials, extra);
  }

  deliver(message: RpcMessage, origin: number | undefined): void {
    if (this.closing) return;
    const answer = refuseServerRequest(message, this.listener !== undefined);
    if (answer) void this.respond(message.id as Buffer, answer).catch(() => undefined);
    else this.listener?.(toMessage(message, origin));
  }

  answered(message: RpcMessage): void {
    this.calls.get(Number(message.id?.toString('latin1')))?.settle(replyOf(message));
  }

  error(code: UpstreamErrorCode, what: string, execution: Execution, cause?: unknown): UpstreamError {
    return new UpstreamError(code, `${this.gateway}: ${what}`, { execution, gateway: this.gateway, cause });
  }

  // --- inside

  private merge(credentials: HeaderMap, extra: HeaderMap): Record<string, string> {
    const { protocolVersion } = this.server;
    return {
      ...credentials,
      ...extra,
      ...(this.sessionId === undefined ? {} : { 'mcp-session-id': this.sessionId }),
      ...(protocolVersion === '' ? {} : { 'mcp-protocol-version': protocolVersion }),
    };
  }

  private post(call: PostCall, body: Buffer, { signal, headers: own }: RequestOptions): void {
    const fail = (error: unknown): void =>
      call.settle(toUpstreamError(error, { gateway: this.gateway, url: this.url, execution: 'none' }));
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

  private async postOnly(body: Buffer, what: string, signal?: AbortSignal): Promise<void> {
    if (this.lost) throw this.gone(this.lost);
    const { transportTimeoutMs } = this.limits;
    const late = (): Error =>
      new UpstreamError('UPSTREAM_TIMEOUT', `${this.gateway}: no answer to ${what} in ${transportTimeoutMs} ms`, {
        reason: 'timeout',
        execution: 'unknown',
        gateway: this.gateway,
      });
    await withDeadline(transportTimeoutMs, signal, late, (limit) =>
      this.exchangeOnce('POST', POST_HEADERS, body, limit),
    );
  }

  /** One request whose answer's body does not matter. */
  private async exchangeOnce(
    method: 'POST' | 'DELETE',
    extra: HeaderMap,
    body: Buffer | null,
    signal: AbortSignal,
  ): Promise<void> {
    const headers = await this.headers('housekeeping', extra, signal);
    await new Promise<void>((resolve, reject) => {
      const settle = (error?: Error): void => {
        signal.removeEventListener('abort', abort);
        if (error) reject(error);
        else resolve();
      };
      let status = 0;
      let head: ResponseHeaders = {};
      const chunks: Buffer[] = [];
      const exchange = new Exchange({
        onHead: (code, fields) => {
          [status, head] = [code, fields];
          // Some servers answer a notification with an event stream that never ends.
          if (!isAccepted(code) || !header(fields, 'content-type')?.startsWith('text/event-stream')) return;
          exchange.abort(new Error('not needed'));
          settle();
        },
        onChunk: (chunk) => void chunks.push(chunk),
        onEnd: () =>
          isAccepted(status) ? settle() : this.refused(refusalOf(status, head, Buffer.concat(chunks), this), settle),
        onFailure: (error, started) =>
          settle(
            toUpstreamError(error, { gateway: this.gateway, url: this.url, execution: started ? 'unknown' : 'none' }),
          ),
      });
      const abort = (): void => {
        exchange.abort(signal.reason as Error);
        settle(toUpstreamError(signal.reason, { gateway: this.gateway, url: this.url, execution: 'unknown' }));
      };
      if (signal.aborted) return abort();
      signal.addEventListener('abort', abort, { once: true });
      exchange.start(this.dispatcher('call'), this.options(method, headers, body));
    });
  }

  private refused(error: UpstreamError, settle: (error: Error) => void): void {
    this.noteLoss(error);
    settle(error);
  }

  private adoptSession(method: string, headers: ResponseHeaders): void {
    if (method === 'initialize') this.sessionId = header(headers, 'mcp-session-id');
  }

  private noteLoss(error: UpstreamError): void {
    if (error.code === 'UPSTREAM_SESSION_LOST' || error.code === 'UPSTREAM_UNAUTHORIZED') this.lost ??= error;
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
    return !known || this.sessionId === undefined ? 'terminated' : this.terminate();
  }

  private async terminate(): Promise<EndResult> {
    const { cleanupTimeoutMs } = this.limits;
    const late = (): Error => this.error('UPSTREAM_TIMEOUT', 'no answer to DELETE', 'unknown');
    try {
      await withDeadline(cleanupTimeoutMs, undefined, late, (limit) => this.exchangeOnce('DELETE', {}, null, limit));
      return 'terminated';
    } catch (error) {
      return error instanceof UpstreamError && error.code === 'UPSTREAM_SESSION_LOST' ? 'terminated' : 'orphaned';
    }
  }
}
