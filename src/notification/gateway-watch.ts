import { type GatewayEntry } from '../catalogue/index.js';
import { type GatewayRoster } from './gateway-roster.js';
import { type WatchSession, type WatchSessionOptions, type WatchState } from './watch-session.js';

export interface GatewayWatchOptions {
  readonly roster: GatewayRoster;
  /** Whether sessions are held at all; without them only the backstop runs. */
  readonly sessions: boolean;
  /** Milliseconds between two refreshes that nobody asked for; ± 10 %. */
  readonly backstopMs: number;
  /** Everything of the gateway is to be read. Must not throw and not wait. */
  readonly refresh: (id: string) => void;
  /** Builds the session that watches this gateway as it is now. */
  readonly watch: (entry: GatewayEntry, events: Pick<WatchSessionOptions, 'onListening'>) => WatchSession;
  readonly random?: () => number;
}

interface Watched {
  readonly connectionVersion: number;
  readonly session: WatchSession | undefined;
  timer?: NodeJS.Timeout;
}

/**
 * What the leading replica does for every gateway (SPEC N-1): one session that listens where the server announces changes,
 * and a refresh now and then for what no announcement told. Follows the roster; ends when the lead does.
 */
export class GatewayWatch {
  private readonly watched = new Map<string, Watched>();
  private readonly ending = new Set<Promise<void>>();
  private leading = false;
  private unsubscribe: () => void = () => undefined;

  constructor(private readonly options: GatewayWatchOptions) {}

  /** Until `signal` aborts. */
  lead(signal: AbortSignal): void {
    if (signal.aborted) return;
    const { roster } = this.options;
    this.leading = true;
    this.unsubscribe = roster.onChange((id, entry) => (entry ? this.follow(entry) : this.drop(id)));
    for (const entry of roster.all()) this.follow(entry);
    roster.look();
    signal.addEventListener('abort', () => this.leave(), { once: true });
  }

  /** Waits until every session has ended. */
  async stop(): Promise<void> {
    this.leave();
    await Promise.all(this.ending);
  }

  /** How many sessions are in each state. */
  states(): Map<WatchState, number> {
    const states = new Map<WatchState, number>();
    for (const { session } of this.watched.values()) {
      if (session) states.set(session.state, (states.get(session.state) ?? 0) + 1);
    }
    return states;
  }

  private follow(entry: GatewayEntry): void {
    if (!this.leading) return;
    const known = this.watched.get(entry.id);
    const wanted = this.options.sessions && (entry.listChanged?.size ?? 0) > 0;
    const same = known?.connectionVersion === entry.connectionVersion && wanted === (known.session !== undefined);
    if (known && same) return;
    if (known) this.drop(entry.id);
    // Never read: whoever registered it reads it first.
    if (entry.listChanged) this.begin(entry, wanted);
  }

  private begin(entry: GatewayEntry, wanted: boolean): void {
    const { id, connectionVersion } = entry;
    const onListening = (): void => this.options.refresh(id);
    const session = wanted ? this.options.watch(entry, { onListening }) : undefined;
    const watched: Watched = { connectionVersion, session };
    this.watched.set(id, watched);
    session?.start();
    this.arm(id, watched, 0.5 + this.random() / 2);
  }

  private arm(id: string, watched: Watched, share: number): void {
    watched.timer = setTimeout(() => {
      this.options.refresh(id);
      this.arm(id, watched, 0.9 + this.random() / 5);
    }, this.options.backstopMs * share).unref();
  }

  private drop(id: string): void {
    const watched = this.watched.get(id);
    if (!watched) return;
    this.watched.delete(id);
    clearTimeout(watched.timer);
    if (!watched.session) return;
    const end = watched.session.stop().finally(() => this.ending.delete(end));
    this.ending.add(end);
  }

  private leave(): void {
    this.leading = false;
    this.unsubscribe();
    for (const id of [...this.watched.keys()]) this.drop(id);
  }

  private random(): number {
    return (this.options.random ?? Math.random)();
  }
}
