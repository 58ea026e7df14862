const LF = 0x0a;
const CR = 0x0d;

/**
 * Counts the bytes of the event that a stream is at, without reading it: the SDK under the SSE session has no limit of
 * its own. An event ends with an empty line (LF, or CR LF; servers that end lines with CR alone are not known).
 */
export class EventLimit {
  private size = 0;
  private line = 0;
  private last = 0;

  constructor(private readonly maxBytes: number) {}

  /** @returns whether it is too large now */
  exceededBy(chunk: Uint8Array): boolean {
    let from = 0;
    for (;;) {
      const lf = chunk.indexOf(LF, from);
      const end = lf < 0 ? chunk.length : lf;
      if (end > from) {
        this.line += end - from;
        this.last = chunk[end - 1] as number;
      }
      this.size += end - from;
      if (this.size > this.maxBytes) return true;
      if (lf < 0) return false;
      if (this.line === 0 || (this.line === 1 && this.last === CR)) this.size = 0;
      this.line = 0;
      from = lf + 1;
    }
  }
}

/** The same body, ended when one event of it is too large. */
export function limited(body: ReadableStream, maxBytes: number, tooLarge: () => Error): ReadableStream {
  const limit = new EventLimit(maxBytes);
  return body.pipeThrough(
    new TransformStream<Uint8Array, Uint8Array>({
      transform: (chunk, controller) => {
        if (limit.exceededBy(chunk)) controller.error(tooLarge());
        else controller.enqueue(chunk);
      },
    }),
  );
}
