import { abortable } from '../common/deadline.js';
import { type SessionPoolService, type Target, type UpstreamSession } from '../session-pool/index.js';
import { BackOff, type BackOffOptions } from './back-off.js';

export type WatchState = 'opening' | 'listening' | 'waiting' | 'polled' | 'stopped';

export interface WatchSessionOptions {
  readonly sessions: Pick<SessionPoolService, 'openUnpooled'>;
  readonly target: Target;
  /** Pauses between attempts. */
  readonly retry: BackOffOptions;
  /** A session that listened that long was a good one: the pauses begin anew. */
  readonly stableMs: number;
  /** Pause between two looks whether the stream is still one. */
  readonly lookMs: number;
  /** From now on changes are heard; what was said before is unknown. Must not throw and not wait. */
  readonly onListening: () => void;
  /** It was lost or could not be opened, `failures` times in a row. */
  readonly onFailure: (error: unknown, failures: number, retryMs: number) => void;
}

/** How one session ended that was opened. */
type End = 'no-stream' | 'refused' | 'lost';

/**
 * Keeps one session with a standing stream open, so that a server's changes are heard when nobody calls it (SPEC N-1).
 * What it says arrives at the pool's listeners as from any session.
 *
 *   opening -> listening -> waiting -> opening        opening -> polled (it has no stream)        any -> stopped
 */
export class WatchSession {
  private current: WatchState = 'opening';
  private readonly stopping = new AbortController();
  private readonly backOff: BackOff;
  private running: Promise<void> | undefined;
  private session: UpstreamSession | undefined;

  constructor(private readonly options: WatchSessionOptions) {
    this.backOff = new BackOff(options.retry);
  }

  get state(): WatchState {
    // A stream that broke comes back by itself, on the same session.
    const broken = this.session?.standingStream === 'waiting' || this.session?.standingStream === 'opening';
    return this.current === 'listening' && broken ? 'waiting' : this.current;
  }

  start(): void {
    this.running ??= this.run();
  }

  /** Waits until the session is terminated. */
  async stop(): Promise<void> {
    this.stopping.abort(new Error('nobody watches this gateway any more'));
    await this.running;
  }

  private async run(): Promise<void> {
    const { signal } = this.stopping;
    while (!signal.aborted) {
      this.current = 'opening';
      const started = performance.now();
      const failure = await this.attempt().then(
        (end) => (end === 'no-stream' ? undefined : new Error(FAILURES[end])),
        (error: unknown) => error ?? new Error('unknown'),
      );
      if (signal.aborted) break;
      if (failure === undefined) {
        this.current = 'polled';
        return;
      }
      if (performance.now() - started > this.options.stableMs) this.backOff.reset();
      const pauseMs = this.backOff.next();
      this.current = 'waiting';
      this.options.onFailure(failure, this.backOff.failures, pauseMs);
      await pause(pauseMs, signal);
    }
    this.current = 'stopped';
  }

  /** One session, from its opening to its end. */
  private attempt(): Promise<End> {
    const { sessions, target } = this.options;
    let lose: () => void = () => undefined;
    const lost = new Promise<void>((resolve) => (lose = resolve));
    const work = (session: UpstreamSession): Promise<End> => this.listen(session, lost);
    return sessions.openUnpooled(target, 'watch', work, this.stopping.signal, {
      listen: true,
      observer: { listening: () => this.heard(), lost: () => lose() },
    });
  }

  private async listen(session: UpstreamSession, lost: Promise<void>): Promise<End> {
    const { signal } = this.stopping;
    this.session = session;
    // Over HTTP+SSE the session is its stream.
    if (session.transport === 'sse') this.heard();
    await abortable(Promise.race([session.standingStreamReady ?? lost, lost]), signal);
    for (;;) {
      if (session.lost) return 'lost';
      if (session.standingStream === 'unsupported') return 'no-stream';
      if (session.standingStream === 'refused' || session.standingStream === 'closed') return 'refused';
      await abortable(Promise.race([lost, pause(this.options.lookMs, signal)]), signal);
    }
  }

  private heard(): void {
    if (this.stopping.signal.aborted) return;
    this.current = 'listening';
    this.options.onListening();
  }
}

const FAILURES: Readonly<Record<Exclude<End, 'no-stream'>, string>> = {
  lost: 'the session was lost',
  refused: 'the server refused the stream',
};

/** Resolves after `ms` or when `signal` aborts. */
async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await new Promise<void>((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms).unref();
    signal.addEventListener('abort', done, { once: true });
    if (signal.aborted) done();
  });
}
