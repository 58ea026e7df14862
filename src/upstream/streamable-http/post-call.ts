import { isUtf8 } from 'node:buffer';
import { scanArray, sliceOf } from '../../common/json-scan.js';
import { type CodedError } from '../../common/errors.js';
import { readMessage } from '../../common/jsonrpc.js';
import { toUpstreamError } from '../network-errors.js';
import { UpstreamError } from '../upstream.errors.js';
import { replyOf } from '../server-messages.js';
import { type UpstreamReply } from '../upstream.port.js';
import { EventParser, type ServerSentEvent } from '../http/event-parser.js';
import { Exchange, header, type ResponseHeaders } from '../http/exchange.js';
import { isAccepted, refusalOf } from '../http/refusal.js';
import { type Wire } from './wire.js';

/** Stream ends without progress that a call survives by `Last-Event-ID`. */
const MAX_RESUMPTIONS = 5;
/** `retry: 0` must not become a storm. */
const MIN_RETRY_MS = 50;
/** After the answer the server should end the stream; one that does not would keep the socket for ever. */
const LINGER_MS = 1_000;

/**
 * One request: its POST, the stream on which the server answers, and the GETs that resume that stream.
 *
 *   sending -> reading -> settled          reading -> waiting -> resuming -> reading   (the stream broke, it had ids)
 *
 * Settles exactly once: with the server's answer, or with a failure.
 */
export class PostCall {
  private exchange: Exchange | undefined;
  private settled = false;
  private lastEventId: string | undefined;
  private retryMs = 1_000;
  private resumptions = 0;
  private written = false;
  private streaming = false;
  private timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly wire: Wire,
    readonly id: number,
    private readonly onPause: ((retryMs: number) => void) | undefined,
    private readonly done: (outcome: UpstreamReply | CodedError, headers: ResponseHeaders) => void,
  ) {}

  /** @param headers credentials and protocol headers, merged */
  send(body: Buffer, headers: Record<string, string>): void {
    if (this.settled) return; // cancelled while the credentials were fetched
    this.exchange = this.open('POST', headers, body);
  }

  /** A response for our id that came on another stream of the session (after a resumption this may happen). */
  settle(outcome: UpstreamReply | CodedError, headers: ResponseHeaders = {}): void {
    if (this.settled) return;
    this.settled = true;
    clearTimeout(this.timer);
    this.done(outcome, headers);
    // Give the server a moment to end its stream: an ended one leaves the socket usable, an aborted one does not.
    if (this.streaming) this.timer = setTimeout(() => this.abort(), LINGER_MS).unref();
  }

  /** Ends the streams of this call at once. */
  abort(): void {
    clearTimeout(this.timer);
    this.exchange?.abort(new Error('the call is over'));
  }

  /** Whether the server may have got the request. */
  get maybeExecuted(): boolean {
    return this.written || (this.exchange?.started ?? false);
  }

  private open(method: 'POST' | 'GET', headers: Record<string, string>, body: Buffer | null): Exchange {
    let read: (chunk: Buffer) => void = () => undefined;
    let end: () => void = () => undefined;
    const exchange = new Exchange({
      onHead: (status, head) => {
        this.written = true;
        [read, end] = this.reader(status, head, method);
      },
      onChunk: (chunk) => read(chunk),
      onEnd: () => end(),
      onFailure: (error, started) => this.failed(error, started),
    });
    return exchange.start(this.wire.dispatcher('call'), this.wire.options(method, headers, body));
  }

  private reader(status: number, head: ResponseHeaders, method: string): [(chunk: Buffer) => void, () => void] {
    const type = header(head, 'content-type') ?? '';
    if (status === 200 && type.startsWith('text/event-stream')) return this.eventReader(head);
    const { maxResponseBytes } = this.wire;
    // Announced: not a byte of it is kept.
    if (Number(header(head, 'content-length') ?? 0) > maxResponseBytes) this.tooLarge();
    const chunks: Buffer[] = [];
    let length = 0;
    const finish = (): void => {
      const body = chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks);
      if (method === 'GET') return this.interrupted(`the stream could not be resumed (HTTP ${status})`);
      if (isAccepted(status) && type.startsWith('application/json')) this.messages(body, head);
      else if (!this.answeredWithError(status, type, body, head))
        this.settle(refusalOf(status, head, body, this.wire), head);
      if (!this.settled) this.interrupted('the answer did not hold the response');
    };
    const read = (chunk: Buffer): void => {
      length += chunk.length;
      if (length > maxResponseBytes) this.tooLarge();
      else chunks.push(chunk);
    };
    return [read, finish];
  }

  /** Some servers give a JSON-RPC error that belongs to this very request a 4xx status: it is the server's answer. */
  private answeredWithError(status: number, type: string, body: Buffer, head: ResponseHeaders): boolean {
    if (status < 400 || status === 401 || status === 403 || status === 404) return false;
    if (!type.startsWith('application/json')) return false;
    try {
      const message = readMessage(body);
      if (Number(message.id?.toString('latin1')) !== this.id || !message.error) return false;
      this.settle({ kind: 'error', raw: message.error }, head);
      return true;
    } catch {
      return false;
    }
  }

  private eventReader(head: ResponseHeaders): [(chunk: Buffer) => void, () => void] {
    this.streaming = true;
    const sink = {
      onEvent: (event: ServerSentEvent) => {
        if (event.id !== undefined) {
          this.lastEventId = event.id;
        }
        if (event.data.length === 0 || event.event !== 'message') return;
        this.resumptions = 0; // progress; a priming event alone is none
        this.messages(event.data, head);
      },
      onRetry: (ms: number) => (this.retryMs = Math.max(ms, MIN_RETRY_MS)),
      onOversize: () => this.tooLarge(),
    };
    const parser = new EventParser(sink, this.wire.maxResponseBytes);
    return [(chunk) => parser.push(chunk), () => this.ended()];
  }

  private ended(): void {
    this.streaming = false;
    if (this.settled) clearTimeout(this.timer);
    else this.resume('ended');
  }

  private messages(json: Buffer, head: ResponseHeaders): void {
    try {
      if (!isUtf8(json)) throw new Error('not UTF-8');
      // 2025-03-26 servers may batch.
      const batch = json[0] === 0x5b ? scanArray(json).map((span) => sliceOf(json, span)) : [json];
      for (const one of batch) this.message(one, head);
    } catch (error) {
      this.settle(
        this.wire.error('UPSTREAM_PROTOCOL', `sent what is not JSON-RPC (${String(error)})`, 'unknown', error),
      );
    }
  }

  private message(json: Buffer, head: ResponseHeaders): void {
    const message = readMessage(json);
    if (message.method !== undefined) return this.wire.deliver(message, this.id);
    if (Number(message.id?.toString('latin1')) !== this.id) return this.wire.answered(message);
    this.settle(replyOf(message), head);
  }

  private failed(error: Error, started: boolean): void {
    this.streaming = false;
    if (this.settled) return clearTimeout(this.timer);
    if (this.lastEventId !== undefined) return this.resume(error.message);
    const execution = started || this.written ? 'unknown' : 'none';
    this.settle(toUpstreamError(error, { gateway: this.wire.gateway, url: this.wire.url, execution }));
  }

  /** MCP 2025-11-25, Transports, "Resumability and Redelivery": only a stream with event ids can be taken up again. */
  private resume(why: string): void {
    this.resumptions += 1;
    if (this.lastEventId === undefined || this.resumptions > MAX_RESUMPTIONS) {
      return this.interrupted(`the stream of the answer ${why === 'ended' ? 'ended' : `broke (${why})`}`);
    }
    if (why === 'ended') this.onPause?.(this.retryMs);
    this.timer = setTimeout(() => void this.reconnect(this.lastEventId as string), this.retryMs);
  }

  private async reconnect(lastEventId: string): Promise<void> {
    try {
      const headers = await this.wire.headers('call', { accept: 'text/event-stream', 'last-event-id': lastEventId });
      if (!this.settled) this.exchange = this.open('GET', headers, null);
    } catch (error) {
      this.interrupted(`the stream of the answer could not be resumed (${(error as Error).message})`);
    }
  }

  /** What was said is not read to its end; the session is as good as before. */
  private tooLarge(): void {
    const { gateway, maxResponseBytes } = this.wire;
    const message =
      `${gateway}: the answer is larger than ${maxResponseBytes} bytes (MAX_UPSTREAM_RESPONSE_BYTES); ` +
      'the call may have run';
    const options = { execution: 'unknown', gateway, sessionSound: true } as const;
    this.settle(new UpstreamError('RESULT_TOO_LARGE', message, options));
    this.abort();
  }

  private interrupted(what: string): void {
    this.settle(this.wire.error('UPSTREAM_INTERRUPTED', `${what}; the call may have run`, 'unknown'));
  }
}
