import { type UpstreamMessage, type UpstreamSession } from '../session-pool/index.js';

const REFUSED = Buffer.from(
  JSON.stringify({
    code: -32601,
    message: 'this session of the gateway belongs to no interactive client, so nobody can be asked',
  }),
);

/**
 * Who hears what a server says on one upstream session: the calls in flight, by the id that each got there. One for
 * each session, for as long as the session lives.
 */
export class SessionRouter {
  private static readonly routers = new WeakMap<UpstreamSession, SessionRouter>();
  private readonly calls = new Map<number, () => void>();

  private constructor(private readonly session: UpstreamSession) {
    session.onMessage((message) => this.route(message));
  }

  static of(session: UpstreamSession): SessionRouter {
    let router = SessionRouter.routers.get(session);
    if (!router) SessionRouter.routers.set(session, (router = new SessionRouter(session)));
    return router;
  }

  /** From now on `signOfLife` is called whenever the server says something that belongs to the call. */
  begin(id: number, signOfLife: () => void): void {
    this.calls.set(id, signOfLife);
  }

  end(id: number): void {
    this.calls.delete(id);
  }

  private route(message: UpstreamMessage): void {
    if (message.id !== undefined) {
      // SPEC D-8: refused instead of asking some other client.
      void this.session.respond(message.id, { kind: 'error', raw: REFUSED }).catch(() => undefined);
    }
    if (message.origin !== undefined) this.calls.get(message.origin)?.();
    // Over SSE nothing tells which call a message belongs to: it is a sign of life of the session.
    else for (const signOfLife of this.calls.values()) signOfLife();
  }
}
