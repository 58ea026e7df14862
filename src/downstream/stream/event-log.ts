import { type SseEvent } from './sse-event.js';

/** Bounds of what is kept for clients that come back (SPEC D-9). */
export interface EventLogLimits {
  readonly maxEvents: number;
  readonly maxBytes: number;
  readonly maxAgeMs: number;
  /** A larger event ends the resumability of its stream. */
  readonly maxEventBytes: number;
}

/** Bytes that the logs of all sessions of this replica hold together. */
export class EventBudget {
  used = 0;

  constructor(readonly maxBytes: number) {}
}

/** Where an event stands; what is dropped is told to its stream. */
export interface LoggedEvent {
  readonly seq: number;
  readonly event: SseEvent;
  readonly at: number;
  readonly stream: { dropped(event: LoggedEvent): void };
}

/** The events of one session, over all its streams, the oldest first: bounded in number, bytes and age. */
export class EventLog {
  private readonly events: LoggedEvent[] = [];
  private bytes = 0;

  constructor(
    private readonly limits: EventLogLimits,
    private readonly budget: EventBudget,
    private readonly now: () => number,
  ) {}

  /** @returns undefined for an event that is not kept: too large, or no room is left for it */
  add(stream: LoggedEvent['stream'], seq: number, event: SseEvent): LoggedEvent | undefined {
    if (event.bytes > this.limits.maxEventBytes) return undefined;
    const logged = { seq, event, at: this.now(), stream };
    this.events.push(logged);
    this.count(event.bytes);
    this.trim();
    return this.events.at(-1) === logged ? logged : undefined;
  }

  /** Drops what is too old, or too much. */
  trim(): void {
    const { maxEvents, maxBytes, maxAgeMs } = this.limits;
    const oldest = this.now() - maxAgeMs;
    let drop = 0;
    for (const { at, event, stream } of this.events) {
      const left = this.events.length - drop;
      const tooMuch = left > maxEvents || this.bytes > maxBytes || this.budget.used > this.budget.maxBytes;
      if (!tooMuch && at > oldest) break;
      drop += 1;
      this.count(-event.bytes);
      stream.dropped(this.events[drop - 1] as LoggedEvent);
    }
    if (drop > 0) this.events.splice(0, drop);
  }

  clear(): void {
    this.count(-this.bytes);
    this.events.length = 0;
  }

  get size(): number {
    return this.events.length;
  }

  private count(bytes: number): void {
    this.bytes += bytes;
    this.budget.used += bytes;
  }
}
