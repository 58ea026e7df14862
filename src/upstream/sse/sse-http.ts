import { toAbortSignal } from '../../common/cancellation.js';
import { type Readable } from 'node:stream';
import { fetch, request } from 'undici';
import { settledWithin, withDeadline } from '../../common/deadline.js';
import { CodedError } from '../../common/errors.js';
import { type ConnectorOptions } from '../connector-options.js';
import { credentialHeaders } from '../credential-headers.js';
import { type Dispatchers } from '../dispatchers.js';
import { toUpstreamError } from '../network-errors.js';
import { isAccepted, refusalOf } from '../http/refusal.js';
import { type UpstreamError } from '../upstream.errors.js';
import { type CredentialPurpose, type Target } from '../upstream.port.js';
import { limited } from './event-limit.js';
import { type Post } from './post.js';
import { type SseErrors } from './sse-errors.js';

/** Of a refusal's body; the rest is not read. */
const EXCERPT_BYTES = 4_096;
/** The body of an accepted POST is of no interest, but reading it keeps the socket usable. */
const DRAIN_MS = 1_000;

/**
 * The HTTP requests of one SSE session: credentials asked for with each (SPEC P-16), TLS of the target, a deadline on
 * every POST, and nothing to any other origin than the registered one (SPEC S-5).
 */
export class SseHttp {
  /** Whether the server has opened an event stream. */
  streaming = false;
  private readonly inFlight = new Set<Post>();
  private readonly origin: string;

  constructor(
    private readonly target: Target,
    private readonly dispatchers: Dispatchers,
    private readonly options: ConnectorOptions,
    private readonly errors: SseErrors,
  ) {
    this.origin = new URL(target.url).origin;
  }

  /** The GET. @returns an event stream, or a redirect (the SDK follows it within the origin) */
  async openStream(
    url: URL,
    sdkHeaders: Headers,
    signal: AbortSignal,
    onOversize: (error: UpstreamError) => void,
  ): Promise<Response> {
    try {
      this.mustBeOurs(url);
      if (this.streaming) throw this.errors.lost('an event stream is opened once'); // never a silent reconnect
      const headers = await this.headers('housekeeping', sdkHeaders, signal);
      const dispatcher = this.dispatchers.for(this.target.tls, 'stream');
      const response = await fetch(url, { headers, signal, dispatcher, redirect: 'manual' });
      if (!isRedirect(response.status)) this.streaming = await this.isEventStream(response);
      if (!this.streaming || !response.body) return response; // undici's class and Node's are one code in two packages
      const { status, headers: head, body } = response;
      return new Response(this.guarded(body, onOversize), { status, headers: Object.fromEntries(head) });
    } catch (error) {
      throw error instanceof CodedError ? error : toUpstreamError(error, { ...this.errors, execution: 'none' });
    }
  }

  /** @returns an empty 202 when the server has taken the message, or a redirect */
  async post(url: URL, sdkHeaders: Headers, post: Post): Promise<Response> {
    this.inFlight.add(post);
    const { transportTimeoutMs } = this.options;
    const late = (): UpstreamError =>
      this.errors.timeout(`a message was not taken in ${transportTimeoutMs} ms`, post.sent ? 'unknown' : 'none');
    try {
      return await withDeadline(transportTimeoutMs, post.giveUp.signal, late, async (given) => {
        const limit = toAbortSignal(given); // of undici
        this.mustBeOurs(url);
        const headers = { ...post.headers, ...(await this.headers(post.purpose, sdkHeaders, limit)) };
        limit.throwIfAborted();
        post.sent = true;
        return await this.exchange(url, headers, post.body, limit);
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

  private async exchange(
    url: URL,
    headers: Record<string, string>,
    body: Buffer,
    signal: AbortSignal,
  ): Promise<Response> {
    const dispatcher = this.dispatchers.for(this.target.tls, 'call');
    const answer = await request(url, { method: 'POST', headers, body, signal, dispatcher });
    const { statusCode: status } = answer;
    if (isAccepted(status)) {
      await settledWithin(answer.body.dump(), DRAIN_MS);
      answer.body.destroy();
      return new Response(null, { status: 202 });
    }
    const start = await excerpt(answer.body);
    const { location } = answer.headers;
    if (isRedirect(status) && typeof location === 'string') {
      return new Response(null, { status, headers: { location } });
    }
    // The id of an SSE session stands in the URL of the POST.
    throw refusalOf(status, answer.headers, start, { gateway: this.errors.gateway, sessionId: url.search });
  }

  private guarded(body: ReadableStream, onOversize: (error: UpstreamError) => void): ReadableStream {
    const { maxResponseBytes } = this.options;
    return limited(body, maxResponseBytes, () => {
      const error = this.errors.tooLarge(maxResponseBytes);
      onOversize(error);
      return error;
    });
  }

  private async isEventStream(response: Awaited<ReturnType<typeof fetch>>): Promise<true> {
    const type = response.headers.get('content-type') ?? '';
    if (response.status === 200 && type.startsWith('text/event-stream')) return true;
    await response.body?.cancel();
    const headers = Object.fromEntries(response.headers);
    throw refusalOf(response.status, headers, Buffer.alloc(0), { gateway: this.errors.gateway, sessionId: undefined });
  }

  /** Protocol headers win over credentials. */
  private async headers(
    purpose: CredentialPurpose,
    sdk: Headers,
    signal: AbortSignal,
  ): Promise<Record<string, string>> {
    const merged = new Headers(await credentialHeaders(this.target, purpose, signal));
    for (const [name, value] of sdk) merged.set(name, value);
    return Object.fromEntries(merged);
  }

  /** The SDK would follow a redirect from http to https, which is another origin. */
  private mustBeOurs(url: URL): void {
    if (url.origin !== this.origin) throw this.errors.notMcp(`leads to another origin, ${url.origin}`);
  }

  private failureOf(error: unknown, post: Post): CodedError {
    if (error instanceof CodedError) return error as CodedError;
    const execution = post.sent ? 'unknown' : 'none';
    if (post.giveUp.signal.aborted) return this.errors.cancelled(execution, error);
    return toUpstreamError(error, { ...this.errors, execution });
  }
}

function isRedirect(status: number): boolean {
  return status >= 300 && status < 400;
}

async function excerpt(body: Readable): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of body) {
    chunks.push(chunk as Buffer);
    size += (chunk as Buffer).length;
    if (size >= EXCERPT_BYTES) break; // leaving the loop destroys the body
  }
  return Buffer.concat(chunks);
}
