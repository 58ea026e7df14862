import { BackOff, type BackOffOptions } from './back-off.js';

/** What a pass is to do. */
export interface Wanted<K> {
  readonly kinds: ReadonlySet<K>;
  /** When the first of those who wait for it asked, on the clock of `performance.now()`. */
  readonly since: number;
}

/** What a pass has found; `unknown`: somebody else has done it. */
export type PassResult = 'changed' | 'unchanged' | 'unknown';

export interface RefreshDebouncerOptions<K> {
  /** A pass begins once no request has come for this long … */
  readonly quietMs: number;
  /** … but never later than this after the first one, however busy the sender is. */
  readonly maxWaitMs: number;
  /** Pauses after failed passes. */
  readonly retry: BackOffOptions;
  /**
   * One pass. It calls `take` when it really begins: what is asked for until then still goes into it.
   *
   * @throws whatever kept it from being done; then its kinds stay wanted
   */
  run(take: () => Wanted<K>, signal: AbortSignal): Promise<PassResult>;
  /** `failures` in a row; the next pass comes in `retryMs` at the latest. */
  onFailure(error: unknown, failures: number, retryMs: number): void;
  /** A pass did it after `failures` that did not. */
  onRecovery?(failures: number): void;
}

/** After so many passes that found nothing in quick succession, the sender cries wolf. */
const PATIENCE = 5;

/**
 * Coalesces the refresh requests for one gateway (SPEC N-4, N-5): a trailing quiet period, one pass at a time.
 *
 *   idle -> armed -> running -> idle | armed        any -> stopped
 *
 * - A request that comes after a pass has begun causes another one; nothing that was asked for is ever forgotten.
 * - A failed pass keeps its kinds and comes again after a growing pause, sooner if somebody asks.
 * - A sender that cries wolf (a server that says `list_changed` whenever it is read) is listened to less and less often.
 */
export class RefreshDebouncer<K> {
  private wanted = new Set<K>();
  /** Of those who wait for a pass, failed ones included. */
  private since: number | undefined;
  /** Of those who asked since the last pass began. */
  private firstAskedAt: number | undefined;
  private lastAskedAt = -Infinity;
  private retryAt: number | undefined;
  private fruitless = 0;
  private endedAt = -Infinity;
  private timer: NodeJS.Timeout | undefined;
  private pass: Promise<void> | undefined;
  private readonly backOff: BackOff;
  private readonly stopping = new AbortController();

  constructor(private readonly options: RefreshDebouncerOptions<K>) {
    this.backOff = new BackOff(options.retry);
  }

  /** Something is to be read, is being read, or waits to be read again. */
  get busy(): boolean {
    return this.pass !== undefined || this.wanted.size > 0;
  }

  /** @returns whether it goes into a pass that somebody has asked for already */
  request(kinds: Iterable<K>): boolean {
    if (this.stopping.signal.aborted) return false;
    const merged = this.wanted.size > 0;
    const now = performance.now();
    for (const kind of kinds) this.wanted.add(kind);
    this.since ??= now;
    this.firstAskedAt ??= now;
    this.lastAskedAt = now;
    if (!this.pass) this.arm();
    return merged;
  }

  /** Cancels the timer, aborts the running pass and waits until it has really ended. Remembered. */
  async stop(): Promise<void> {
    this.stopping.abort(new Error('refreshes of this gateway end'));
    clearTimeout(this.timer);
    await this.pass;
    this.wanted.clear();
  }

  private arm(): void {
    const { quietMs, maxWaitMs } = this.options;
    const { firstAskedAt = Infinity } = this;
    const asked = firstAskedAt === Infinity ? Infinity : Math.min(this.lastAskedAt + quietMs, firstAskedAt + maxWaitMs);
    // However often a server has cried wolf, a change is read within the maximum wait (N-5).
    const damped = Math.max(asked, Math.min(this.endedAt + this.dampingMs, firstAskedAt + maxWaitMs));
    const due = Math.min(damped, this.retryAt ?? Infinity);
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.start(), Math.max(0, due - performance.now()));
    // Not what keeps the process alive; the server's socket is.
    this.timer.unref();
  }

  private start(): void {
    this.pass = this.runOnce().finally(() => {
      this.pass = undefined;
      this.endedAt = performance.now();
      if (this.wanted.size > 0 && !this.stopping.signal.aborted) this.arm();
    });
  }

  private async runOnce(): Promise<void> {
    let taken: Wanted<K> | undefined;
    this.retryAt = undefined;
    try {
      const result = await this.options.run(() => (taken = this.take()), this.stopping.signal);
      if (result === 'changed') this.fruitless = 0;
      else if (result === 'unchanged') this.fruitless += 1;
      this.succeeded();
    } catch (error) {
      if (this.stopping.signal.aborted) return;
      if (taken) this.putBack(taken);
      else this.firstAskedAt = undefined;
      this.failed(error);
    }
  }

  private take(): Wanted<K> {
    const taken = { kinds: this.wanted, since: this.since ?? performance.now() };
    this.wanted = new Set();
    this.since = undefined;
    this.firstAskedAt = undefined;
    return taken;
  }

  private putBack({ kinds, since }: Wanted<K>): void {
    for (const kind of kinds) this.wanted.add(kind);
    this.since = since;
  }

  private succeeded(): void {
    const { failures } = this.backOff;
    this.backOff.reset();
    if (failures > 0) this.options.onRecovery?.(failures);
  }

  private failed(error: unknown): void {
    const retryMs = this.backOff.next();
    this.retryAt = performance.now() + retryMs;
    this.options.onFailure(error, this.backOff.failures, retryMs);
  }

  private get dampingMs(): number {
    if (this.fruitless <= PATIENCE) return 0;
    return Math.max(1, this.options.quietMs) * 2 ** Math.min(this.fruitless - PATIENCE, 30);
  }
}
