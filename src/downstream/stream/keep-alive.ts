import { type SseConnection } from './sse-connection.js';

/** Comments on every open event stream, against idle time-outs on the way (SPEC D-3). One timer for all of them. */
export class KeepAlive {
  private readonly connections = new Set<SseConnection>();
  private timer: NodeJS.Timeout | undefined;
  private stopped = false;

  constructor(private readonly intervalMs: number) {}

  add(connection: SseConnection): void {
    if (this.stopped) return;
    this.connections.add(connection);
    connection.onClose(() => this.connections.delete(connection));
    this.arm();
  }

  get size(): number {
    return this.connections.size;
  }

  stop(): void {
    this.stopped = true;
    clearTimeout(this.timer);
    this.connections.clear();
  }

  private arm(): void {
    this.timer ??= setTimeout(() => {
      this.timer = undefined;
      for (const connection of this.connections) connection.keepAlive();
      if (this.connections.size > 0) this.arm();
    }, this.intervalMs).unref();
  }
}
