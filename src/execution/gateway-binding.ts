import { JsonError, sliceOf } from '../common/json-scan.js';
import { memberSpan, splice } from '../common/json-splice.js';
import { notificationFrame, readString } from '../common/jsonrpc.js';
import { type BoundOwner, type UpstreamReply, type UpstreamSession } from '../session-pool/index.js';
import { type Open, Reopening } from './reopening.js';
import { type RouterOwner, SessionRouter } from './session-router.js';

/** A server that does not take log level and subscriptions is given up after that. */
const HOUSEKEEPING_MS = 5_000;
const SUBSCRIBE = 'resources/subscribe';

/** The downstream session, as its bindings know it. */
export type BindingClient = RouterOwner['client'] & {
  readonly relayedCapabilities: Readonly<Record<string, unknown>>;
  readonly logLevel: string | undefined;
};

/**
 * What one downstream session has at one gateway: the upstream session bound to it while there is one, and what has to
 * be set on each new one (SPEC P-4, P-9): log level and subscriptions.
 */
export class GatewayBinding implements BoundOwner, RouterOwner {
  /** Public URIs that the client subscribed to, by what the gateway itself calls the resource. */
  private readonly subscriptions = new Map<string, Set<string>>();
  /** By original URI: changes of one resource come one after the other, or the last word would not be the last. */
  private readonly turns = new Map<string, Promise<void>>();
  private session: UpstreamSession | undefined;
  private reopening: Reopening | undefined;
  private open: Open = () => Promise.resolve();
  /** The mapping of SPEC P-5 that was registered last; made anew when the gateway moves. */
  private registration: { readonly place: string; readonly done: Promise<void> } | undefined;

  constructor(
    readonly client: BindingClient,
    readonly limits: { readonly maxMs: number },
  ) {}

  get clientCapabilities(): Readonly<Record<string, unknown>> {
    return this.client.relayedCapabilities;
  }

  /** The session that is open now. */
  get live(): UpstreamSession | undefined {
    return this.session?.lost ? undefined : this.session;
  }

  /** Registers the mapping once for each place of the gateway; calls that come meanwhile wait for it, too (D-5). */
  async registered(place: string, register: () => Promise<void>): Promise<void> {
    if (this.registration?.place !== place) this.registration = { place, done: register() };
    const { registration } = this;
    try {
      await registration.done;
    } catch (error) {
      if (this.registration === registration) this.registration = undefined;
      throw error;
    }
  }

  /** Before the first call on a session that was opened for us. */
  async opened(session: UpstreamSession): Promise<void> {
    this.session = session;
    SessionRouter.of(session).bindTo(this);
    const steps: Promise<unknown>[] = [this.applyLogLevel()];
    for (const uri of this.subscriptions.keys()) steps.push(this.renew(uri, session));
    await Promise.allSettled(steps);
  }

  /** Nobody needs to call for what the client subscribed to: the session is opened anew for it. */
  ended(session?: UpstreamSession): void {
    if (!session) return this.reopening?.stop();
    if (this.session === session) this.session = undefined;
    SessionRouter.of(session).withdrawAll('the server has gone'); // nobody is there who wants the answers
    this.reopening?.start();
  }

  /** How to bring the session back; the newest way counts. */
  keepBy(open: Open): void {
    this.open = open;
    this.reopening ??= new Reopening(
      () => this.subscriptions.size > 0 && !this.live,
      (signal) => this.open(signal),
    );
  }

  /** The server kept state in the session that is gone. */
  stateLost(gateway: string): void {
    this.warn(`${gateway}: the server lost the session, and with it whatever state it kept there`);
  }

  private warn(data: string): void {
    const params = Buffer.from(JSON.stringify({ level: 'warning', logger: 'mcp-session-gateway', data }));
    if (this.client.wantsLog(params)) this.client.sink.notify(notificationFrame('notifications/message', params));
  }

  async applyLogLevel(): Promise<void> {
    const { live, client } = this;
    if (client.logLevel === undefined || !live || !('logging' in live.server.capabilities)) return;
    const params = Buffer.from(JSON.stringify({ level: client.logLevel }));
    await live.request('logging/setLevel', params, { signal: AbortSignal.timeout(HOUSEKEEPING_MS) });
  }

  /** A notification of the client that concerns every server (`roots/list_changed`). */
  async tell(method: string, params: Buffer | undefined): Promise<void> {
    await this.live?.notify(method, params);
  }

  /** Subscribes once for all aliases of a resource (SPEC D-8). @param ask subscribes upstream */
  async subscribe(
    originalUri: string,
    publicUri: string,
    ask: () => Promise<UpstreamReply>,
  ): Promise<UpstreamReply | undefined> {
    return this.inTurn(originalUri, async () => {
      // Without a session the server knows nothing of it.
      if (this.subscriptions.has(originalUri) && this.live) return void this.subscribed(originalUri).add(publicUri);
      const reply = await ask();
      if (reply.kind === 'error') return reply;
      return void this.subscribed(originalUri).add(publicUri);
    });
  }

  /** @param ask unsubscribes upstream; asked when the last alias goes */
  async unsubscribe(
    originalUri: string,
    publicUri: string,
    ask: () => Promise<UpstreamReply>,
  ): Promise<UpstreamReply | undefined> {
    return this.inTurn(originalUri, async () => {
      const known = this.subscriptions.get(originalUri);
      if (known && (!known.delete(publicUri) || known.size > 0)) return undefined;
      this.subscriptions.delete(originalUri);
      const reply = await ask();
      return reply.kind === 'error' ? reply : undefined;
    });
  }

  /** `notifications/resources/updated` of the server, under each name that the client knows the resource by. */
  updated(params: Buffer | undefined): void {
    if (!params || this.subscriptions.size === 0) return;
    try {
      const span = memberSpan(params, 'uri');
      if (!span) return;
      // A part of what is subscribed to may have its own URI (MCP, Resources, "Subscriptions").
      const uris = this.subscriptions.get(readString(sliceOf(params, span))) ?? [undefined];
      for (const uri of uris) {
        const own = uri === undefined ? params : splice(params, [{ span, bytes: Buffer.from(JSON.stringify(uri)) }]);
        this.client.sink.notify(notificationFrame('notifications/resources/updated', own));
      }
    } catch (error) {
      if (!(error instanceof JsonError)) throw error;
    }
  }

  private subscribed(originalUri: string): Set<string> {
    let uris = this.subscriptions.get(originalUri);
    if (!uris) this.subscriptions.set(originalUri, (uris = new Set()));
    return uris;
  }

  private inTurn<R>(originalUri: string, change: () => Promise<R>): Promise<R> {
    const mine = (this.turns.get(originalUri) ?? Promise.resolve()).then(change);
    const over = mine
      .then(nothing, nothing)
      .then(() => void (this.turns.get(originalUri) === over && this.turns.delete(originalUri)));
    this.turns.set(originalUri, over);
    return mine;
  }

  /** Subscribes on a new session; where that fails for another reason than its loss, the client is not left in the dark. */
  private async renew(originalUri: string, session: UpstreamSession): Promise<void> {
    const before = this.subscriptions.get(originalUri);
    const signal = AbortSignal.timeout(HOUSEKEEPING_MS);
    const reply = await session.request(SUBSCRIBE, uriParams(originalUri), { signal }).catch(nothing);
    if (reply?.kind === 'result' || session.lost || this.subscriptions.get(originalUri) !== before) return;
    this.subscriptions.delete(originalUri);
    const uris = [...(before ?? [])].join(', ');
    this.warn(`the server did not take the subscription again after its session was lost: ${uris}`);
  }
}

const nothing = (): undefined => undefined;

function uriParams(uri: string): Buffer {
  return Buffer.from(JSON.stringify({ uri }));
}
