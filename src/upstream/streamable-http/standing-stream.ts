import { readMessage } from '../../common/jsonrpc.js';
import { type StandingStreamState } from '../upstream.port.js';
import { EventParser, type ServerSentEvent } from '../http/event-parser.js';
import { Exchange, header, type ResponseHeaders } from '../http/exchange.js';
import { type Wire } from './wire.js';

/** `retry: 0` must not become a storm. */
const MIN_RETRY_MS = 100;
const FIRST_RETRY_MS = 1_000;
const MAX_RETRY_MS = 30_000;

/**
 * The standing GET stream of a session: what the server says outside of any call (MCP, Transports, "Listening for
 * Messages from the Server"). Comes back by itself with `Last-Event-ID`, after the server's `retry`, with a growing
 * pause while the server is away, until `close()`.
 *
 *   opening -> open | unsupported | waiting        open -> waiting -> opening        any -> closed
 */
export class StandingStream {
  private state: StandingStreamState = 'opening';
  private exchange: Exchange | undefined;
  private timer: NodeJS.Timeout | undefined;
  private lastEventId: string | undefined;
  private retryMs = FIRST_RETRY_MS;
  private failures = 0;
  private markReady: () => void = () => undefined;
  /** Resolves when the first attempt has its answer. */
  readonly ready = new Promise<void>((resolve) => (this.markReady = resolve));

  constructor(
    private readonly wire: Wire,
    private readonly events: { readonly onOpen: () => void; readonly onSessionLost: () => void },
  ) {}

  get current(): StandingStreamState {
    return this.state;
  }

  open(): void {
    void this.attempt();
  }

  close(): void {
    this.state = 'closed';
    clearTimeout(this.timer);
    this.exchange?.abort(new Error('the session ends'));
    this.markReady();
  }

  private async attempt(): Promise<void> {
    try {
      const wanted: Record<string, string> = { accept: 'text/event-stream' };
      if (this.lastEventId !== undefined) wanted['last-event-id'] = this.lastEventId;
      const headers = await this.wire.headers('housekeeping', wanted);
      if (this.state === 'closed') return;
      this.state = 'opening';
      this.exchange = this.connect(headers);
    } catch {
      this.again(); // no credentials just now
    }
  }

  private connect(headers: Record<string, string>): Exchange {
    const parser = this.parser();
    let streaming = false;
    const exchange = new Exchange({
      onHead: (status, head) => {
        streaming = this.accepted(status, head);
        this.markReady();
        if (!streaming) exchange.abort(new Error('no stream'));
      },
      onChunk: (chunk) => parser.push(chunk),
      onEnd: () => this.again(),
      onFailure: () => this.again(),
    });
    return exchange.start(this.wire.dispatcher('stream'), this.wire.options('GET', headers, null));
  }

  private accepted(status: number, head: ResponseHeaders): boolean {
    if (status === 200 && header(head, 'content-type')?.startsWith('text/event-stream')) {
      this.state = 'open';
      this.failures = 0;
      this.events.onOpen();
      return true;
    }
    if (status === 404 && this.wire.sessionId !== undefined) {
      this.close();
      this.events.onSessionLost();
    } else if (status === 405) {
      this.state = 'unsupported';
    } else if (status >= 400 && status < 500) {
      this.state = 'refused'; // this session gets none; a retry would only make a storm
    } else {
      this.again();
    }
    return false;
  }

  private parser(): EventParser {
    const sink = {
      onEvent: (event: ServerSentEvent) => {
        this.lastEventId = event.id ?? this.lastEventId;
        if (event.data.length === 0 || event.event !== 'message') return;
        try {
          const message = readMessage(event.data);
          if (message.method === undefined) this.wire.answered(message);
          else this.wire.deliver(message, undefined);
        } catch {
          // One unreadable event must not cost the stream.
        }
      },
      onRetry: (ms: number) => (this.retryMs = Math.max(ms, MIN_RETRY_MS)),
    };
    return new EventParser(sink, this.wire.maxResponseBytes);
  }

  private again(): void {
    this.markReady();
    if (this.state === 'closed' || this.state === 'unsupported' || this.state === 'refused') return;
    this.state = 'waiting';
    const pause = Math.min(this.retryMs * 2 ** this.failures, Math.max(MAX_RETRY_MS, this.retryMs));
    this.failures = Math.min(this.failures + 1, 10);
    clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.attempt(), pause);
  }
}
