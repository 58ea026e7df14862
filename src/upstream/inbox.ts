import { type RpcMessage } from '../common/jsonrpc.js';
import { refuseServerRequest, toMessage } from './server-messages.js';
import { type RawJson, type SessionObserver, type UpstreamMessage, type UpstreamReply } from './upstream.port.js';

/** What may wait for the listener; a server says little before the first call. */
const MAX_WAITING = 100;

const TOO_MANY: UpstreamReply = {
  kind: 'error',
  raw: Buffer.from(JSON.stringify({ code: -32603, message: 'too many requests before anybody listened' })),
};

export interface InboxOptions {
  /** There will be a listener: what comes before it waits for it, and is not refused. */
  readonly expectsListener: boolean;
  readonly observer?: SessionObserver;
  /** Answers a request of the server. */
  readonly respond: (id: RawJson, reply: UpstreamReply) => Promise<void>;
}

/** What a server says on one session: to the observer, to the listener, or refused. */
export class Inbox {
  private listener: ((message: UpstreamMessage) => void) | undefined;
  private readonly waiting: UpstreamMessage[] = [];

  constructor(private readonly options: InboxOptions) {}

  deliver(message: RpcMessage, origin: number | undefined): void {
    const { expectsListener, observer, respond } = this.options;
    if (message.id === undefined && message.method !== undefined) observer?.notification?.(message.method);
    const refusal = refuseServerRequest(message, this.listener !== undefined || expectsListener);
    if (refusal) return void respond(message.id as Buffer, refusal).catch(() => undefined);
    const given = toMessage(message, origin);
    if (this.listener) return this.listener(given);
    if (!expectsListener) return;
    this.waiting.push(given);
    const [oldest] = this.waiting;
    if (this.waiting.length <= MAX_WAITING || !oldest) return;
    this.waiting.shift();
    if (oldest.id) void respond(oldest.id, TOO_MANY).catch(() => undefined);
  }

  /** What has waited comes first. */
  listen(listener: (message: UpstreamMessage) => void): void {
    this.listener = listener;
    for (const message of this.waiting.splice(0)) listener(message);
  }
}
