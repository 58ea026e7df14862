/** What the test server has seen; counted at the server, so a test need not believe the client. */
export interface McpStats {
  /** `initialize` requests, and `notifications/initialized`. */
  initialize: number;
  initialized: number;
  /** DELETE requests for a known session. */
  deletes: number;
  /** JSON-RPC requests and notifications by method, answered or not. */
  readonly requests: Record<string, number>;
  /** `tools/call` by tool, answered or not. */
  readonly calls: Record<string, number>;
  /** Tool handlers that began to run, and of these the ones that were aborted (cancelled, or their session ended). */
  executions: number;
  cancelled: number;
  /** Progress notifications that tools have sent. */
  progress: number;
  /** Requests that named a session which is not there. */
  badSession: number;
  /** GET requests with `Last-Event-ID`. */
  resumed: number;
  /** Sessions of both transports, now and at most. */
  openSessions: number;
  maxOpenSessions: number;
  /** Open now: GET streams (SSE too), POSTs without a complete answer, TCP connections. */
  getStreams: number;
  openPosts: number;
  sockets: number;
  /** Calls that wait at the gate, and requests that were stalled. */
  atGate: number;
  stalled: number;
}

interface Waiter {
  readonly wanted: (stats: McpStats) => boolean;
  readonly met: () => void;
}

/** Counters that can be waited for: every change is looked at by those who wait, so no test has to sleep. */
export class StatsBoard {
  readonly stats: McpStats = {
    initialize: 0,
    initialized: 0,
    deletes: 0,
    requests: {},
    calls: {},
    executions: 0,
    cancelled: 0,
    progress: 0,
    badSession: 0,
    resumed: 0,
    openSessions: 0,
    maxOpenSessions: 0,
    getStreams: 0,
    openPosts: 0,
    sockets: 0,
    atGate: 0,
    stalled: 0,
  };
  private readonly waiters = new Set<Waiter>();

  change(edit: (stats: McpStats) => void): void {
    edit(this.stats);
    for (const waiter of this.waiters) if (waiter.wanted(this.stats)) waiter.met();
  }

  /** Resolves as soon as `wanted` holds; rejects with the counters after `timeoutMs`. */
  async waitFor(wanted: (stats: McpStats) => boolean, timeoutMs: number): Promise<void> {
    if (wanted(this.stats)) return;
    await new Promise<void>((resolve, reject) => {
      const done = (finish: () => void) => (): void => {
        clearTimeout(timer);
        this.waiters.delete(waiter);
        finish();
      };
      const waiter: Waiter = { wanted, met: done(resolve) };
      const late = (): Error =>
        new Error(`not within ${timeoutMs} ms: ${String(wanted)}; ${JSON.stringify(this.stats)}`);
      const timer = setTimeout(
        done(() => reject(late())),
        timeoutMs,
      );
      this.waiters.add(waiter);
    });
  }
}

export function countOne(table: Record<string, number>, name: string): void {
  table[name] = (table[name] ?? 0) + 1;
}
