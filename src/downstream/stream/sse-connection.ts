import { type ServerResponse } from 'node:http';
import { KEEP_ALIVE, retryEvent, type SseEvent } from './sse-event.js';

const HEADERS = {
  'content-type': 'text/event-stream',
  'cache-control': 'no-cache, no-transform',
  // For nginx: an event that waits in a buffer is late.
  'x-accel-buffering': 'no',
};

export interface SseConnectionOptions {
  readonly headers: Readonly<Record<string, string>>;
  /** If that much still waits for a slow reader when the next event comes, the connection is cut; he may resume. */
  readonly maxBufferedBytes: number;
}

/** One HTTP response that is an event stream. Writes to one that has gone are no failure: they are lost. */
export class SseConnection {
  private ended = false;

  constructor(
    private readonly res: ServerResponse,
    private readonly options: SseConnectionOptions,
  ) {
    res.writeHead(200, { ...HEADERS, ...options.headers });
    res.flushHeaders();
  }

  get open(): boolean {
    return !this.ended && !this.res.destroyed;
  }

  /** @returns whether the event was handed to the socket; not whether it arrived */
  write({ parts }: SseEvent): boolean {
    if (!this.open) return false;
    const { res } = this;
    // Only what came before counts: one large event must reach a reader who does read.
    if (res.writableLength > this.options.maxBufferedBytes) {
      res.destroy();
      return false;
    }
    if (parts.length > 1) res.cork();
    for (const part of parts) res.write(part);
    if (parts.length > 1) res.uncork();
    return true;
  }

  /** Not needed while an event is on its way. */
  keepAlive(): void {
    if (!this.res.writableNeedDrain) this.write(KEEP_ALIVE);
  }

  /** @param retryMs tells the client when to come back; undefined: it need not */
  end(retryMs?: number): void {
    if (!this.open) return;
    if (retryMs !== undefined) this.write(retryEvent(retryMs));
    this.ended = true;
    this.res.end();
  }

  /** At most once, however it ends; at once if it has ended already. */
  onClose(listener: () => void): void {
    if (this.res.destroyed) listener();
    else this.res.once('close', listener);
  }
}
