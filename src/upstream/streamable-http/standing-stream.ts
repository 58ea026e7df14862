import { readMessage } from '../../common/jsonrpc.js';
import { type StandingStreamState } from '../upstream.port.js';
import { EventParser, type ServerSentEvent } from '../http/event-parser.js';
import { Exchange, header, type ResponseHeaders } from '../http/exchange.js';
import { refusalOf } from '../http/refusal.js';
import { type Wire } from './wire.js';

/** `retry: 0` must not become a storm. */
const MIN_RETRY_MS = 100;
const FIRST_RETRY_MS = 1_000;
const MAX_RETRY_MS = 30_000;
/** Whatever the server asks for; a timer that is too long fires at once. */
const LONGEST_RETRY_MS = 3_600_000;
/** Client errors that pass: credentials in rotation, a former stream not yet noticed as gone, too many requests. */
const PASSING: ReadonlySet<number> = new Set([401, 403, 408, 409, 429]);
/** Of a 400 the words count: bytes of them, and milliseconds that they may take. */
const WORDS_BYTES = 1_024;
const WORDS_MS = 1_000;

interface Refusal {
  readonly status: number;
  readonly head: ResponseHeaders;
  words: Buffer;
}

/**
 * The standing GET stream of a session: what the server says outside of any call (MCP, Transports, "Listening for
 * Messages from the Server"). Comes back by itself with `Last-Event-ID`, after the server's `retry`, with a growing
 * pause while the server is away, until `close()`.
 *
 *   opening -> open | unsupported | refused | waiting        open -> waiting -> opening        any -> closed
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
    let refusal: Refusal | undefined;
    const refuse = (): void => {
      exchange.abort(new Error('no stream'));
      clearTimeout(this.timer);
      if (refusal) this.refused(refusal);
    };
    const exchange = new Exchange({
      onHead: (status, head) => {
        if (status === 200 && header(head, 'content-type')?.startsWith('text/event-stream')) return this.opened();
        refusal = { status, head, words: Buffer.alloc(0) };
        if (status !== 400) return refuse();
        this.timer = setTimeout(refuse, WORDS_MS);
      },
      onChunk: (chunk) => {
        if (!refusal) return parser.push(chunk);
        refusal.words = Buffer.concat([refusal.words, chunk]);
        if (refusal.words.length >= WORDS_BYTES) refuse();
      },
      onEnd: () => (refusal ? refuse() : this.again()),
      onFailure: () => (refusal ? refuse() : this.again()),
    });
    return exchange.start(this.wire.dispatcher('stream'), this.wire.options('GET', headers, null));
  }

  private opened(): void {
    this.state = 'open';
    this.failures = 0;
    this.events.onOpen();
    this.markReady();
  }

  private refused({ status, head, words }: Refusal): void {
    const error = refusalOf(status, head, words, this.wire);
    if (error.code === 'UPSTREAM_SESSION_LOST') {
      this.close();
      return this.events.onSessionLost();
    }
    if (status === 405) this.state = 'unsupported';
    // This session gets none, and asking again would only make a storm.
    else if (status >= 400 && status < 500 && !PASSING.has(status)) this.state = 'refused';
    else return this.again(error.options.retryAfterMs);
    this.markReady();
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
      onRetry: (ms: number) => (this.retryMs = Math.min(Math.max(ms, MIN_RETRY_MS), LONGEST_RETRY_MS)),
    };
    return new EventParser(sink, this.wire.maxResponseBytes);
  }

  /** @param atLeastMs what the server asked for */
  private again(atLeastMs = 0): void {
    this.markReady();
    if (this.state === 'closed' || this.state === 'unsupported' || this.state === 'refused') return;
    this.state = 'waiting';
    const growing = Math.min(this.retryMs * 2 ** this.failures, Math.max(MAX_RETRY_MS, this.retryMs));
    const pause = Math.min(Math.max(growing, atLeastMs), LONGEST_RETRY_MS);
    this.failures = Math.min(this.failures + 1, 10);
    clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.attempt(), pause);
  }
}
