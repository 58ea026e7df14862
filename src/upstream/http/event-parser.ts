/** One server-sent event (WHATWG HTML, 9.2). `data` are the bytes between the line breaks, lines joined by LF. */
export interface ServerSentEvent {
  readonly event: string;
  readonly data: Buffer;
  /** Set only if this event carried one. */
  readonly id?: string;
}

export interface EventSink {
  onEvent(event: ServerSentEvent): void;
  /** Milliseconds to wait before the next connection. */
  onRetry(ms: number): void;
  /**
   * An event is larger than allowed; nothing else comes of it.
   *
   * @param head how its `data` begins, HEAD_BYTES at most; empty if it does not begin with that
   */
  onOversize?(head: Buffer): void;
}

const LF = 0x0a;
const CR = 0x0d;
const EMPTY = Buffer.alloc(0);
const COMMENT = Buffer.from(':');
const DATA = Buffer.from('data:');
/** Of an event that is too large. */
const HEAD_BYTES = 256;
/** A longer timer fires at once: "never again" would become a storm. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/**
 * Incremental parser of a server-sent event stream over byte chunks. A line that comes in many chunks is put together
 * once, when it is complete, so an event of 50 MB is copied once and not for each chunk. Of an event that is too large
 * only its id is told.
 */
export class EventParser {
  private pending: Buffer[] = []; // of the line that is not complete yet
  private data: Buffer[] = [];
  /** Bytes of the event that is not complete yet. */
  private size = 0;
  private oversized = false;
  private name = 'message';
  private id: string | undefined;
  private skipLf = false;

  constructor(
    private readonly sink: EventSink,
    private readonly maxEventBytes = Infinity,
  ) {}

  push(chunk: Buffer): void {
    let from = 0;
    // Looked for once each: a stream that has only one of the two must not be searched for the other line by line.
    let lf = chunk.indexOf(LF);
    let cr = chunk.indexOf(CR);
    while (from < chunk.length) {
      if (this.skipLf) {
        this.skipLf = false;
        if (chunk[from] === LF) {
          from += 1;
          continue;
        }
      }
      if (lf >= 0 && lf < from) lf = chunk.indexOf(LF, from);
      if (cr >= 0 && cr < from) cr = chunk.indexOf(CR, from);
      const end = lf < 0 || (cr >= 0 && cr < lf) ? cr : lf;
      this.take(chunk.subarray(from, end < 0 ? chunk.length : end));
      if (end < 0) return;
      this.skipLf = end === cr; // CR LF is one line break, even across chunks
      this.line(this.complete());
      from = end + 1;
    }
  }

  private take(piece: Buffer): void {
    if (piece.length === 0) return;
    this.size += piece.length;
    if (this.size <= this.maxEventBytes) return void this.pending.push(piece);
    const head = this.oversized ? EMPTY : this.head(piece);
    // Of what is too large only this stays: that its line is not empty.
    this.pending = [COMMENT];
    this.data = [];
    if (!this.oversized) this.sink.onOversize?.(head);
    this.oversized = true;
  }

  private head(piece: Buffer): Buffer {
    const [first] = this.data;
    if (first) return first.subarray(0, HEAD_BYTES);
    // Views, so that what is too large is not copied for this.
    const line = Buffer.concat([...this.pending, piece].map((part) => part.subarray(0, HEAD_BYTES))).subarray(
      0,
      HEAD_BYTES,
    );
    return line.subarray(0, DATA.length).equals(DATA) ? line.subarray(DATA.length) : EMPTY;
  }

  private complete(): Buffer {
    const { pending } = this;
    if (pending.length === 0) return EMPTY;
    this.pending = [];
    return pending.length === 1 ? (pending[0] as Buffer) : Buffer.concat(pending);
  }

  private line(line: Buffer): void {
    if (line.length === 0) return this.dispatch();
    const colon = line.indexOf(0x3a);
    if (colon === 0) return; // a comment keeps the connection alive
    const field = line.toString('latin1', 0, colon < 0 ? line.length : colon).replace('\u00ef\u00bb\u00bf', '');
    const value = colon < 0 ? EMPTY : line.subarray(line[colon + 1] === 0x20 ? colon + 2 : colon + 1);
    if (field === 'data') this.data.push(value);
    else if (field === 'event') this.name = value.toString('utf8') || 'message';
    else if (field === 'id' && !value.includes(0)) this.id = value.toString('utf8');
    else if (field === 'retry' && /^\d+$/.test(value.toString('latin1')))
      this.sink.onRetry(Math.min(Number(value.toString('latin1')), MAX_TIMER_MS));
  }

  private dispatch(): void {
    const { data, name, id } = this;
    this.data = [];
    this.name = 'message';
    this.id = undefined;
    this.size = 0;
    this.oversized = false;
    if (data.length === 0 && id === undefined) return;
    this.sink.onEvent({ event: name, data: joinLines(data), ...(id === undefined ? {} : { id }) });
  }
}

function joinLines(lines: Buffer[]): Buffer {
  if (lines.length < 2) return lines[0] ?? EMPTY;
  return Buffer.concat(lines.flatMap((line, index) => (index === 0 ? [line] : [Buffer.of(LF), line])));
}
