import { type CancelSignal } from '../common/cancellation.js';
import { setMaxListeners } from 'node:events';
import { withDeadline } from '../common/deadline.js';
import { type Metrics } from '../metrics/metrics.js';
import { UpstreamError } from '../upstream/upstream.errors.js';
import {
  type ConnectOptions,
  type Connector,
  type Ending,
  type Target,
  type UpstreamSession,
} from '../upstream/upstream.port.js';
import { type Circuits } from './circuits.js';
import { type PoolKey } from './pool-key.js';
import { type SessionJournal } from './session-journal.js';
import {
  type ServerNotification,
  type SessionCounters,
  type UnpooledHow,
  type UnpooledPurpose,
  type Work,
} from './session-pool.types.js';

/** Opens sessions through the circuit of their server, keeps the journal of them, and ends them (SPEC P-11, P-12, A-9). */
export class SessionOpener {
  private readonly unpooled = new Set<UpstreamSession>();
  /** Where each session stands in the journal. */
  private readonly entries = new WeakMap<UpstreamSession, string>();
  /** Gateways that answered 405 to the standing stream: not asked again until they change (P-4). */
  private readonly withoutStream = new Set<string>();
  private readonly ending = new AbortController();

  constructor(
    private readonly createTimeoutMs: number,
    private readonly connector: Connector,
    private readonly circuits: Circuits,
    private readonly journal: SessionJournal,
    private readonly metrics: Metrics,
    private readonly counters: SessionCounters,
    /** What servers say on any session. */
    private readonly heard: (notification: ServerNotification) => void,
    /** A session opened for this key is of no more use. */
    private readonly lost: (key: PoolKey) => void,
  ) {
    setMaxListeners(0, this.ending.signal); // one for each session that is being opened, gone when it is
  }

  /** A session for the pool: with its standing stream and its client's capabilities if it is bound (P-4). */
  async open(key: PoolKey): Promise<UpstreamSession> {
    const { target, bound, clientCapabilities } = key;
    if (key.uncounted) this.metrics.unpooledSessions.inc({ purpose: 'health' });
    const listen = bound && !this.withoutStream.has(target.gatewayId);
    const observer = { lost: (): void => this.lost(key) };
    const how = { listen, observer, ...(clientCapabilities && { clientCapabilities }) };
    const connect = (): Promise<UpstreamSession> => this.connect(target, how, this.ending.signal);
    const session = await this.circuits.run(target, connect, undefined, key.uncounted ? 'health' : 'call');
    // Its answer may come after the first call: who opens next should know of it all the same.
    void session.standingStreamReady?.then(() => {
      if (session.standingStream === 'unsupported') this.withoutStream.add(target.gatewayId);
    });
    await this.note(session, key);
    return session;
  }

  /** Ends a session of the pool. Never rejects; bounded by the clean-up time-out. */
  async end(session: UpstreamSession, ending: Ending): Promise<void> {
    const result = await session.close(ending);
    this.counters[result] += 1;
    const entry = this.entries.get(session);
    if (entry !== undefined && result !== 'detached') this.journal.remove(entry);
  }

  /**
   * Opens a session for one piece of work and terminates it, whatever happens.
   *
   * @param assertOpen throws once the pool is closed
   */
  async openUnpooled<R>(
    target: Target,
    purpose: UnpooledPurpose,
    work: Work<R>,
    signal: CancelSignal,
    assertOpen: () => void,
    how: UnpooledHow = {},
  ): Promise<R> {
    assertOpen();
    this.metrics.unpooledSessions.inc({ purpose });
    // Without the pool calls still go through the circuit; a failed registration says nothing about a known server.
    const open = (): Promise<UpstreamSession> => this.connect(target, how, signal);
    const throughCircuit = purpose === 'call' || purpose === 'health';
    const session = await (throughCircuit ? this.circuits.run(target, open, signal, purpose) : open());
    this.unpooled.add(session);
    try {
      assertOpen(); // it may have been closed while this was connecting
      return await work(session);
    } finally {
      this.unpooled.delete(session);
      if ((await session.close('terminate')) === 'orphaned') this.metrics.unpooledOrphans.inc({ purpose });
    }
  }

  /** The gateway has changed: what was learnt of it holds no more (P-14). */
  forget(gatewayId: string): void {
    this.withoutStream.delete(gatewayId);
    this.circuits.forget(gatewayId);
  }

  async endUnpooled(): Promise<void> {
    await Promise.all([...this.unpooled].map((session) => session.close('terminate')));
  }

  /** Aborts what is still being opened for the pool. */
  abort(reason: Error): void {
    this.ending.abort(reason);
  }

  /** Before its first use, so that whatever becomes of us, somebody can end it. */
  private async note(session: UpstreamSession, { gatewayId, parts, bound }: PoolKey): Promise<void> {
    const { sessionId, transport } = session;
    if (sessionId === undefined) return; // nothing that anybody else could end
    const boundTo = bound ? { boundTo: parts[2] } : {};
    this.entries.set(session, await this.journal.write({ gatewayId, transport, sessionId, ...boundTo }));
  }

  private async connect(target: Target, how: ConnectOptions, signal?: CancelSignal): Promise<UpstreamSession> {
    const { createTimeoutMs } = this;
    const { gatewayId, gatewayName: gateway } = target;
    const observer = {
      ...how.observer,
      notification: (method: string): void => this.heard({ gatewayId, method }),
    };
    const late = (): Error =>
      new UpstreamError('UPSTREAM_TIMEOUT', `${gateway}: no session in ${createTimeoutMs} ms`, {
        reason: 'timeout',
        execution: 'none',
        gateway,
      });
    return withDeadline(createTimeoutMs, signal, late, (limit) =>
      this.connector.connect(target, { ...how, observer, signal: limit }),
    );
  }
}
