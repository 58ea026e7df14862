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
}

const LF = 0x0a;
const CR = 0x0d;
const EMPTY = Buffer.alloc(0);
/** A longer timer fires at once: "never again" would become a storm. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/**
 * Incremental parser of a server-sent event stream over byte chunks. A line that comes in many chunks is put together
 * once, when it is complete, so an event of 50 MB is copied once and not for each chunk.
 */
export class EventParser {
  private pending: Buffer[] = []; // of the line that is not complete yet
  private data: Buffer[] = [];
  private name = 'message';
  private id: string | undefined;
  private skipLf = false;

  constructor(private readonly sink: EventSink) {}

  push(chunk: Buffer): void {
    let from = 0;
    while (from < chunk.length) {
      if (this.skipLf) {
        this.skipLf = false;
        if (chunk[from] === LF) {
          from += 1;
          continue;
        }
      }
      const end = lineEnd(chunk, from);
      if (end < 0) {
        this.pending.push(chunk.subarray(from));
        return;
      }
      this.skipLf = chunk[end] === CR; // CR LF is one line break, even across chunks
      this.line(this.complete(chunk.subarray(from, end)));
      from = end + 1;
    }
  }

  private complete(tail: Buffer): Buffer {
    if (this.pending.length === 0) return tail;
    const line = Buffer.concat([...this.pending, tail]);
    this.pending = [];
    return line;
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
    if (data.length === 0 && id === undefined) return;
    this.sink.onEvent({ event: name, data: joinLines(data), ...(id === undefined ? {} : { id }) });
  }
}

function lineEnd(chunk: Buffer, from: number): number {
  const lf = chunk.indexOf(LF, from);
  const cr = chunk.subarray(from, lf < 0 ? chunk.length : lf).indexOf(CR);
  return cr < 0 ? lf : from + cr;
}

function joinLines(lines: Buffer[]): Buffer {
  if (lines.length < 2) return lines[0] ?? EMPTY;
  return Buffer.concat(lines.flatMap((line, index) => (index === 0 ? [line] : [Buffer.of(LF), line])));
}
