import { abortable } from '../common/deadline.js';

export interface RefreshSlotsOptions {
  /** Refreshes at once. */
  readonly parallel: number;
  /** One that takes longer goes on without its slot. */
  readonly slowMs: number;
}

/**
 * Bounds how many refreshes run at once, in order of arrival, without letting slow servers hold the others up (SPEC N-6):
 * who takes longer than `slowMs` is waiting for a server and does no work here, so the slot is passed on.
 */
export class RefreshSlots {
  private free: number;
  private readonly queue: (() => void)[] = [];

  constructor(private readonly options: RefreshSlotsOptions) {
    this.free = options.parallel;
  }

  get waiting(): number {
    return this.queue.length;
  }

  /** @throws the reason of `signal` while it waits; what `work` threw */
  async run<R>(work: () => Promise<R>, signal: AbortSignal): Promise<R> {
    await this.enter(signal);
    let held = true;
    const leave = (): void => {
      if (held) this.leave();
      held = false;
    };
    const timer = setTimeout(leave, this.options.slowMs).unref();
    try {
      return await work();
    } finally {
      clearTimeout(timer);
      leave();
    }
  }

  private async enter(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.free > 0) {
      this.free -= 1;
      return;
    }
    let enter: () => void = () => undefined;
    const turn = new Promise<void>((resolve) => (enter = resolve));
    this.queue.push(enter);
    try {
      await abortable(turn, signal);
    } catch (error) {
      const at = this.queue.indexOf(enter);
      if (at < 0)
        this.leave(); // its turn had come in the same moment
      else this.queue.splice(at, 1);
      throw error;
    }
  }

  private leave(): void {
    const next = this.queue.shift();
    if (next) next();
    else this.free += 1;
  }
}
