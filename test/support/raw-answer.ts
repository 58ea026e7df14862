import { type IncomingHttpHeaders, type IncomingMessage } from 'node:http';
import { StringDecoder } from 'node:string_decoder';

/** A JSON-RPC message, as it came. */
export interface Rpc {
  readonly id?: string | number | null;
  readonly method?: string;
  readonly params?: Readonly<Record<string, unknown>>;
  readonly result?: Readonly<Record<string, unknown>>;
  readonly error?: { readonly code: number; readonly message: string; readonly data?: Record<string, unknown> };
}

/** A message, the answer that it came on, and the id of its event, if it came as one that has one. */
export interface Heard {
  readonly message: Rpc;
  readonly on: Answer;
  readonly eventId?: string;
}

/** Until it is given up on. */
export const WAIT_MS = 10_000;

/** What has been heard, in order, and can be waited for without polling. */
export class Inbox {
  readonly all: Heard[] = [];
  private readonly waiting = new Set<() => void>();

  add(heard: Heard): void {
    this.all.push(heard);
    this.look();
  }

  /** Those who wait look again. */
  look(): void {
    for (const look of [...this.waiting]) look();
  }

  /** The first answer of `find` that is neither false nor undefined. @throws Error with what has been heard */
  wait<T>(what: string, find: (all: readonly Heard[]) => T | false | undefined, timeoutMs = WAIT_MS): Promise<T> {
    return new Promise((resolve, reject) => {
      const look = (): void => {
        const found = find(this.all);
        if (found === undefined || found === false) return;
        this.waiting.delete(look);
        clearTimeout(timer);
        resolve(found);
      };
      const timer = setTimeout(() => {
        this.waiting.delete(look);
        const heard = this.all.map(({ message }) => JSON.stringify(message).slice(0, 300)).slice(-20);
        reject(new Error(`${what}: not within ${timeoutMs} ms; heard last:\n${heard.join('\n')}`));
      }, timeoutMs);
      this.waiting.add(look);
      look();
    });
  }
}

/** The answer to one HTTP request while it comes in: JSON and event streams look alike. */
export class Answer {
  readonly inbox = new Inbox();
  /** Of the last event that had one, also of one without data. */
  lastEventId: string | undefined;
  /** Every event id, in order. */
  readonly eventIds: string[] = [];
  /** `end`: complete. `cut`: broken off by either side. */
  ending: 'end' | 'cut' | undefined;
  /** Address for POSTs, on a stream of HTTP+SSE. */
  endpoint: string | undefined;
  private text = '';
  private readonly decoder = new StringDecoder('utf8');

  constructor(
    private readonly res: IncomingMessage,
    private readonly heard: (heard: Heard) => void,
  ) {
    res.on('data', (chunk: Buffer) => this.take(this.decoder.write(chunk)));
    res.on('end', () => this.finish('end'));
    res.on('close', () => this.finish('cut'));
    res.on('error', () => this.finish('cut'));
  }

  get status(): number {
    return this.res.statusCode ?? 0;
  }

  get headers(): IncomingHttpHeaders {
    return this.res.headers;
  }

  get isStream(): boolean {
    return this.headers['content-type']?.startsWith('text/event-stream') ?? false;
  }

  get messages(): Rpc[] {
    return this.inbox.all.map(({ message }) => message);
  }

  /** The response to a request: its result or its error. */
  response(): Promise<Rpc> {
    return this.inbox.wait('the response', (all) => all.map(({ message }) => message).find(({ method }) => !method));
  }

  /** Waits until it is over. */
  ended(): Promise<'end' | 'cut'> {
    return this.inbox.wait('the end of the answer', () => this.ending);
  }

  /** Breaks the connection, as a network does. */
  cut(): void {
    this.res.destroy();
    this.finish('cut'); // at once: what is still in a buffer has not been received
  }

  private take(text: string): void {
    if (this.ending) return;
    this.text += text;
    if (!this.isStream) return;
    const events = this.text.split(/\r?\n\r?\n/);
    this.text = events.pop() ?? '';
    for (const event of events) if (!this.ending) this.event(event);
  }

  private event(text: string): void {
    const fields = text.split(/\r?\n/).map((line) => /^(\w*): ?(.*)$/.exec(line) ?? []);
    const valueOf = (name: string): string[] =>
      fields.filter(([, key]) => key === name).map(([, , value = '']) => value);
    const [eventId] = valueOf('id');
    if (eventId !== undefined) this.eventIds.push((this.lastEventId = eventId));
    const data = valueOf('data').join('\n');
    if (valueOf('event')[0] === 'endpoint') this.endpoint = data;
    else if (data !== '') this.message(data, eventId);
    this.inbox.look();
  }

  private message(json: string, eventId?: string): void {
    const message = JSON.parse(json) as Rpc;
    const heard = { message, on: this, ...(eventId === undefined ? {} : { eventId }) };
    this.inbox.add(heard);
    this.heard(heard);
  }

  private finish(how: 'end' | 'cut'): void {
    if (this.ending) return;
    if (how === 'end' && !this.isStream && this.text.startsWith('{')) this.message(this.text);
    this.ending = how;
    this.inbox.look();
  }
}
