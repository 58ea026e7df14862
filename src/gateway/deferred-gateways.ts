export interface DeferredOptions {
  /** One try. Resolves with whether the gateway needs no more of them; must settle when its signal aborts. */
  readonly attempt: (id: string, signal: AbortSignal) => Promise<boolean>;
  /** A try that threw instead: our own fault, not the server's. */
  readonly onError: (id: string, error: unknown) => void;
  readonly firstPauseMs?: number;
  readonly maxPauseMs?: number;
  /** 0 to 1. */
  readonly random?: () => number;
}

/**
 * Tries again and again to read gateways that were stored deferred (SPEC G-2): at once, then after 1 s … 60 s, with
 * jitter. One try at a time for each gateway; a gateway leaves on success or by `cancel`.
 *
 *   add -> trying -> (done) | paused -> trying        any -> stopped
 */
export class DeferredGateways {
  private readonly tasks = new Map<string, RetryTask>();
  private stopping: Promise<void> | undefined;

  constructor(private readonly options: DeferredOptions) {}

  add(id: string): void {
    if (this.stopping || this.tasks.has(id)) return;
    const task = new RetryTask(id, this.options, () => {
      if (this.tasks.get(id) === task) this.tasks.delete(id);
    });
    this.tasks.set(id, task);
    task.start();
  }

  cancel(id: string): void {
    const task = this.tasks.get(id);
    if (!task) return;
    this.tasks.delete(id);
    void task.stop(); // never rejects
  }

  has(id: string): boolean {
    return this.tasks.has(id);
  }

  /** Waits until the running tries have ended. Remembered. */
  stop(): Promise<void> {
    this.stopping ??= Promise.all([...this.tasks.values()].map((task) => task.stop())).then(() => undefined);
    return this.stopping;
  }
}

const FIRST_PAUSE_MS = 1_000;
const MAX_PAUSE_MS = 60_000;

class RetryTask {
  private readonly controller = new AbortController();
  private timer: NodeJS.Timeout | undefined;
  private running: Promise<void> = Promise.resolve();
  private failures = 0;

  constructor(
    private readonly id: string,
    private readonly options: DeferredOptions,
    private readonly ended: () => void,
  ) {}

  start(): void {
    this.running = this.try();
  }

  async stop(): Promise<void> {
    this.controller.abort();
    clearTimeout(this.timer);
    await this.running;
  }

  private async try(): Promise<void> {
    const { signal } = this.controller;
    let done = false;
    try {
      done = await this.options.attempt(this.id, signal);
    } catch (error) {
      if (!signal.aborted) this.options.onError(this.id, error);
    }
    if (signal.aborted || done) return this.ended();
    this.timer = setTimeout(() => this.start(), this.pauseMs());
    // Not what keeps the process alive; the server's socket is.
    this.timer.unref();
  }

  private pauseMs(): number {
    const { firstPauseMs = FIRST_PAUSE_MS, maxPauseMs = MAX_PAUSE_MS, random = Math.random } = this.options;
    const pause = Math.min(maxPauseMs, firstPauseMs * 2 ** Math.min(this.failures, 30));
    this.failures += 1;
    // Half of it at least, so that many gateways behind one dead host spread out.
    return pause * (0.5 + random() / 2);
  }
}
