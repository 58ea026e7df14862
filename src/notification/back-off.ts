export interface BackOffOptions {
  readonly firstMs: number;
  readonly maxMs: number;
  /** 0 to 1; the default is `Math.random`. */
  readonly random?: () => number;
}

/** Pauses that grow while something fails. Half of each is chance, so that many who fail together do not return so. */
export class BackOff {
  private count = 0;

  constructor(private readonly options: BackOffOptions) {}

  get failures(): number {
    return this.count;
  }

  /** Milliseconds until the next attempt. */
  next(): number {
    const { firstMs, maxMs, random = Math.random } = this.options;
    const pause = Math.min(maxMs, firstMs * 2 ** Math.min(this.count, 30));
    this.count += 1;
    return pause * (0.5 + random() / 2);
  }

  reset(): void {
    this.count = 0;
  }
}
