import { JsonError, sliceOf } from '../common/json-scan.js';
import { memberSpan, splice } from '../common/json-splice.js';
import { notificationFrame, readString } from '../common/jsonrpc.js';
import { type BoundOwner, type UpstreamReply, type UpstreamSession } from '../session-pool/index.js';
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
  private session: UpstreamSession | undefined;
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
    const signal = AbortSignal.timeout(HOUSEKEEPING_MS);
    for (const uri of this.subscriptions.keys()) steps.push(session.request(SUBSCRIBE, uriParams(uri), { signal }));
    await Promise.allSettled(steps);
  }

  /** The server kept state in the session that is gone. */
  stateLost(gateway: string): void {
    const data = `${gateway}: the server lost the session, and with it whatever state it kept there`;
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
    const known = this.subscriptions.get(originalUri);
    if (known) return void known.add(publicUri);
    const reply = await ask();
    if (reply.kind === 'error') return reply;
    const now = this.subscriptions.get(originalUri);
    if (now) now.add(publicUri);
    else this.subscriptions.set(originalUri, new Set([publicUri]));
    return undefined;
  }

  /** @param ask unsubscribes upstream; asked when the last alias goes */
  async unsubscribe(
    originalUri: string,
    publicUri: string,
    ask: () => Promise<UpstreamReply>,
  ): Promise<UpstreamReply | undefined> {
    const known = this.subscriptions.get(originalUri);
    if (known && (!known.delete(publicUri) || known.size > 0)) return undefined;
    this.subscriptions.delete(originalUri);
    const reply = await ask();
    return reply.kind === 'error' ? reply : undefined;
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
}

function uriParams(uri: string): Buffer {
  return Buffer.from(JSON.stringify({ uri }));
}
