export interface DeferredOptions {
  /** One try. Resolves with whether the gateway needs no more of them; must settle when its signal aborts. */
  readonly attempt: (id: string, signal: AbortSignal) => Promise<boolean>;
  /** A try that threw instead: our own fault, not the server's. */
  readonly onError: (id: string, error: unknown) => void;
  /** Tries at once; the others wait their turn. */
  readonly maxParallel?: number;
  readonly firstPauseMs?: number;
  readonly maxPauseMs?: number;
  /** 0 to 1. */
  readonly random?: () => number;
}

interface Task {
  readonly id: string;
  readonly controller: AbortController;
  timer?: NodeJS.Timeout;
  failures: number;
}

const MAX_PARALLEL = 4;
const FIRST_PAUSE_MS = 1_000;
const MAX_PAUSE_MS = 60_000;

/**
 * Tries again and again to read gateways that were stored deferred (SPEC G-2): at once, then after 1 s … 60 s, with
 * jitter. One try at a time for each gateway, a few at once in all; a gateway leaves on success or by `cancel`.
 *
 *   add -> due -> trying -> (done) | paused -> due        any -> stopped
 */
export class DeferredGateways {
  private readonly tasks = new Map<string, Task>();
  private readonly due: Task[] = [];
  private readonly running = new Set<Promise<void>>();
  private stopping: Promise<void> | undefined;

  constructor(private readonly options: DeferredOptions) {}

  add(id: string): void {
    if (this.stopping || this.tasks.has(id)) return;
    const task: Task = { id, controller: new AbortController(), failures: 0 };
    this.tasks.set(id, task);
    this.enqueue(task);
  }

  /** A try that runs is aborted and ends by itself. */
  cancel(id: string): void {
    const task = this.tasks.get(id);
    if (!task) return;
    this.tasks.delete(id);
    task.controller.abort();
    clearTimeout(task.timer);
  }

  has(id: string): boolean {
    return this.tasks.has(id);
  }

  /** Waits until the running tries have ended. Remembered. */
  stop(): Promise<void> {
    for (const id of [...this.tasks.keys()]) this.cancel(id);
    this.stopping ??= Promise.all(this.running).then(() => undefined);
    return this.stopping;
  }

  private enqueue(task: Task): void {
    this.due.push(task);
    this.pump();
  }

  private pump(): void {
    const { maxParallel = MAX_PARALLEL } = this.options;
    while (this.running.size < maxParallel) {
      const task = this.due.shift();
      if (!task) return;
      if (task.controller.signal.aborted) continue; // cancelled while it waited
      const run = this.try(task).finally(() => {
        this.running.delete(run);
        this.pump();
      });
      this.running.add(run);
    }
  }

  private async try(task: Task): Promise<void> {
    const { signal } = task.controller;
    let done = false;
    try {
      done = await this.options.attempt(task.id, signal);
    } catch (error) {
      if (!signal.aborted) this.options.onError(task.id, error);
    }
    if (signal.aborted) return;
    if (done) return void this.tasks.delete(task.id);
    task.timer = setTimeout(() => this.enqueue(task), this.pauseMs(task));
    // Not what keeps the process alive; the server's socket is.
    task.timer.unref();
  }

  private pauseMs(task: Task): number {
    const { firstPauseMs = FIRST_PAUSE_MS, maxPauseMs = MAX_PAUSE_MS, random = Math.random } = this.options;
    const pause = Math.min(maxPauseMs, firstPauseMs * 2 ** Math.min(task.failures, 30));
    task.failures += 1;
    // Half of it at least, so that many gateways behind one dead host spread out.
    return pause * (0.5 + random() / 2);
  }
}
