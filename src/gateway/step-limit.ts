/**
 * A time limit for a step that is begun anew: `hold` while somebody else watches the time, `restart` for the next step.
 * Follows an outer signal. Must be stopped.
 */
export class StepLimit {
  private readonly controller = new AbortController();
  private readonly follow = (): void => this.controller.abort(this.outer?.reason);
  private timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly ms: number,
    private readonly expired: () => Error,
    private readonly outer?: AbortSignal,
  ) {
    if (outer?.aborted) this.follow();
    else outer?.addEventListener('abort', this.follow, { once: true });
    this.restart();
  }

  get signal(): AbortSignal {
    return this.controller.signal;
  }

  hold(): void {
    clearTimeout(this.timer);
  }

  restart(): void {
    this.hold();
    this.timer = setTimeout(() => this.controller.abort(this.expired()), this.ms);
  }

  stop(): void {
    this.hold();
    this.outer?.removeEventListener('abort', this.follow);
  }
}
