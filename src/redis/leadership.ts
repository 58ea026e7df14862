import { type Lock, type Locks } from './locks.js';

export interface LeadershipOptions {
  /** Of the lock. */
  readonly name: string;
  /** Life of the lock: how long nobody leads when a leader dies. */
  readonly ttlMs: number;
  /** This replica leads from now on, until `signal` aborts. Must not throw. */
  lead(signal: AbortSignal): void;
}

/**
 * Leads as long as this replica has the lock, and tries to get it as long as it has not (SPEC N-1, G-7).
 *
 *   waiting -> leading -> waiting          any -> stopped
 */
export class Leadership {
  private lock: Lock | undefined;
  private timer: NodeJS.Timeout | undefined;
  private trying: Promise<void> | undefined;
  private readonly stopping = new AbortController();

  constructor(
    private readonly locks: Locks,
    private readonly options: LeadershipOptions,
  ) {}

  get leading(): boolean {
    return this.lock !== undefined;
  }

  start(): void {
    this.trying ??= this.try();
  }

  /** Gives the lock back, so that another replica leads at once. */
  async stop(): Promise<void> {
    this.stopping.abort(new Error('this replica stops'));
    clearTimeout(this.timer);
    await this.trying;
    await this.lock?.release();
  }

  private async try(): Promise<void> {
    const { name, ttlMs } = this.options;
    // What cannot be known now is tried again: meanwhile somebody else may lead, or nobody.
    const lock = await this.locks.tryAcquire(name, ttlMs).catch(() => undefined);
    if (this.stopping.signal.aborted) return lock?.release();
    if (!lock) return this.again();
    this.lock = lock;
    lock.signal.addEventListener('abort', () => {
      this.lock = undefined;
      this.again();
    });
    this.options.lead(AbortSignal.any([lock.signal, this.stopping.signal]));
  }

  private again(): void {
    if (this.stopping.signal.aborted) return;
    this.timer = setTimeout(() => {
      this.trying = this.try();
    }, this.options.ttlMs / 3).unref();
  }
}
