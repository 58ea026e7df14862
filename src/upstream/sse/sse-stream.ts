import { isUtf8 } from 'node:buffer';
import { type CancelSignal } from '../../common/cancellation.js';
import { CodedError } from '../../common/errors.js';
import { readMessage, type RpcMessage } from '../../common/jsonrpc.js';
import { EventParser, type ServerSentEvent } from '../http/event-parser.js';
import { type Exchange, header, type ResponseHeaders } from '../http/exchange.js';
import { refusalOf } from '../http/refusal.js';
import { toUpstreamError } from '../network-errors.js';
import { type SseErrors } from './sse-errors.js';
import { type SseWire } from './sse-wire.js';

export interface StreamEvents {
  /** Where messages are to be posted to; of our origin. */
  onEndpoint(url: URL): void;
  onMessage(message: RpcMessage): void;
  /** An event is too large and is skipped. @param head how its data begins */
  onOversize(head: Buffer): void;
  /** The stream has ended or never was; nothing else comes. */
  onEnd(error: CodedError): void;
}

/**
 * The event stream of an HTTP+SSE session (MCP 2024-11-05): one GET, made once. It does not come back by itself, not even
 * when the server sends `retry`: another stream would be another session, which nobody has initialized (PROTOCOL §3.3).
 */
export class SseStream {
  /** Whether the server has opened an event stream. */
  streaming = false;
  private exchange: Exchange | undefined;
  /** The endpoint is known. */
  private ready = false;
  private over = false;
  private url: URL;
  private readonly errors: SseErrors;

  constructor(
    private readonly wire: SseWire,
    private readonly maxEventBytes: number,
    private readonly events: StreamEvents,
  ) {
    this.errors = wire.errors;
    this.url = new URL(wire.errors.url);
  }

  /** Failures are told by `onEnd`. */
  async open(signal: CancelSignal): Promise<void> {
    try {
      const headers = await this.wire.headers('housekeeping', { accept: 'text/event-stream' }, signal);
      if (this.over) return;
      const parser = this.parser();
      const events = {
        onHead: (status: number, head: ResponseHeaders) => this.accept(status, head),
        onChunk: (chunk: Buffer) => parser.push(chunk),
        onEnd: () => this.end(this.broken('ended')),
        onFailure: (error: Error) => this.end(this.failure(error)),
      };
      this.wire.start(this.url, headers, null, events, (exchange, url) => {
        this.exchange = exchange;
        this.url = url;
      });
    } catch (error) {
      this.end(error instanceof CodedError ? (error as CodedError) : this.failure(error as Error));
    }
  }

  /** Without a word. */
  close(reason: Error): void {
    this.over = true;
    this.exchange?.abort(reason);
  }

  private accept(status: number, head: ResponseHeaders): void {
    if (status === 200 && header(head, 'content-type')?.startsWith('text/event-stream')) {
      this.streaming = true;
      return;
    }
    this.end(refusalOf(status, head, Buffer.alloc(0), { gateway: this.errors.gateway, sessionId: undefined }));
  }

  private parser(): EventParser {
    const sink = {
      onEvent: (event: ServerSentEvent) => this.take(event),
      onRetry: () => undefined,
      onOversize: (head: Buffer) => void (this.over || this.events.onOversize(head)),
    };
    return new EventParser(sink, this.maxEventBytes);
  }

  private take({ event, data }: ServerSentEvent): void {
    if (this.over || data.length === 0) return;
    if (event === 'endpoint') return this.takeEndpoint(data.toString('utf8'));
    if (event !== 'message') return;
    let message: RpcMessage;
    try {
      if (!isUtf8(data)) throw new Error('not UTF-8');
      message = readMessage(data);
    } catch (error) {
      // An answer may be among what we cannot read.
      return this.end(this.broken(`held what is not JSON-RPC (${(error as Error).message})`, error));
    }
    this.events.onMessage(message);
  }

  private takeEndpoint(text: string): void {
    const endpoint = URL.canParse(text, this.url.href) ? new URL(text, this.url) : undefined;
    if (endpoint?.origin === this.url.origin) {
      this.ready = true;
      return this.events.onEndpoint(endpoint);
    }
    this.end(this.errors.notMcp(`the endpoint is ${endpoint ? `at another origin, ${endpoint.origin}` : 'no URL'}`));
  }

  private failure(error: Error): CodedError {
    if (error instanceof CodedError || !this.streaming) {
      const { gateway, url } = this.errors;
      return toUpstreamError(error, { gateway, url, execution: 'none' });
    }
    return this.broken(`broke (${error.message})`, error);
  }

  private broken(how: string, cause?: unknown): CodedError {
    if (this.ready) return this.errors.lost(`the event stream ${how}`, cause);
    return this.errors.notMcp(`the event stream ${how} before its endpoint event`, cause);
  }

  private end(error: CodedError): void {
    if (this.over) return;
    this.close(error);
    this.events.onEnd(error);
  }
}
