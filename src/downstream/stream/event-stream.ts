import { DownstreamError } from '../downstream.errors.js';
import { type EventLog, type LoggedEvent } from './event-log.js';
import { type SseConnection } from './sse-connection.js';
import { messageEvent, primingEvent } from './sse-event.js';

/**
 * A stream of messages to one client: what goes on when the connection that carries it breaks (SPEC D-9).
 *
 *   detached <-> attached            any -> ended   (then only what is logged can still be read)
 *
 * Event ids are `<stream>.<number>`: unique over the session, and they say which stream they belong to.
 */
export class EventStream {
  private readonly logged: LoggedEvent[] = [];
  private last = 0;
  /** The newest event that was handed to a connection, or lost on its way there. */
  private handed = 0;
  /** The newest event that can no longer be replayed. */
  private gone = 0;
  private connection: SseConnection | undefined;
  private over = false;

  constructor(
    readonly id: string,
    private readonly log: EventLog,
    /** It has ended, and nothing of it can be replayed any more. */
    private readonly emptied: () => void = () => undefined,
  ) {}

  get attached(): boolean {
    return this.connection?.open ?? false;
  }

  get ended(): boolean {
    return this.over;
  }

  /** The id of the newest event; before the first one, an id from which everything follows. */
  get position(): string {
    return `${this.id}.${this.last}`;
  }

  /** A connection that is handed everything from now on; with it comes the id to resume from, if nothing else does. */
  open(connection: SseConnection, primed: boolean): void {
    this.carry(connection);
    if (primed) connection.write(primingEvent(this.position));
  }

  /** @param message bytes of one JSON-RPC message, in parts */
  send(message: readonly Buffer[]): void {
    if (this.over) return;
    const seq = (this.last += 1);
    const event = messageEvent(`${this.id}.${seq}`, message);
    const logged = this.log.add(this, seq, event);
    if (logged) this.logged.push(logged);
    else this.gone = seq;
    if (this.connection?.write(event)) this.handed = seq;
  }

  /** No message follows; the connection ends. */
  end(): void {
    if (this.over) return;
    this.over = true;
    this.connection?.end();
    this.connection = undefined;
    if (this.logged.length === 0) this.emptied();
  }

  /** The connection ends, the stream goes on. @param retryMs when the client should come back */
  interrupt(retryMs: number): void {
    this.connection?.end(retryMs);
    this.connection = undefined;
  }

  /** Whether everything after this event can be replayed. */
  canReplay(after: number): boolean {
    return after >= this.gone && after <= this.last;
  }

  /** Whether it has ended and who has this event has had everything. */
  isDone(after: number): boolean {
    return this.over && after >= this.last;
  }

  /**
   * Hands the connection what it missed and, while the stream lives, what follows. It replaces the connection before.
   *
   * @param after number of the last event that the client has; undefined: what was handed to nobody yet
   * @throws DownstreamError BAD_REQUEST when what followed is not there any more
   */
  resume(connection: () => SseConnection, after?: number): void {
    if (after !== undefined && !this.canReplay(after)) {
      throw new DownstreamError('BAD_REQUEST', 'the events after this Last-Event-ID are gone; start without it');
    }
    this.carry(connection());
    this.handOver(after ?? this.handed);
    if (!this.over) return;
    this.connection?.end();
    this.connection = undefined;
  }

  dropped({ seq }: LoggedEvent): void {
    this.logged.shift();
    this.gone = Math.max(this.gone, seq);
    if (this.over && this.logged.length === 0) this.emptied();
  }

  /** What cannot be written any more stays for the next connection. */
  private handOver(after: number): void {
    for (const { seq, event } of this.logged) {
      if (seq <= after) continue;
      if (!this.connection?.write(event)) return;
      this.handed = seq;
    }
  }

  private carry(connection: SseConnection): void {
    this.connection?.end();
    this.connection = connection;
    connection.onClose(() => {
      if (this.connection === connection) this.connection = undefined;
    });
  }
}

/** @throws DownstreamError BAD_REQUEST for what cannot be an id of ours */
export function parseEventId(text: string): { readonly stream: string; readonly seq: number } {
  const [, stream, seq] = /^([A-Za-z0-9_-]{1,128})\.(\d{1,15})$/.exec(text) ?? [];
  if (stream === undefined || seq === undefined) {
    throw new DownstreamError('BAD_REQUEST', 'Last-Event-ID is not an event id of ours');
  }
  return { stream, seq: Number(seq) };
}
