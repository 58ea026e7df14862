import { Inject, Injectable, type OnModuleDestroy } from '@nestjs/common';
import { CatalogueService } from '../../catalogue/index.js';
import { toCodedError } from '../../common/errors.js';
import { responseParts, type RpcMessage } from '../../common/jsonrpc.js';
import { type Caller, type Principal } from '../../common/principal.js';
import { traceparentOf } from '../../common/traceparent.js';
import { SETTINGS } from '../../config/config.module.js';
import { type Settings } from '../../config/settings.js';
import { DownstreamError, shuttingDown } from '../downstream.errors.js';
import { type EdgeExchange } from '../edge/edge-exchange.js';
import { type McpPath, viewAt } from '../edge/endpoints.js';
import { StreamOpener } from '../edge/stream-opener.js';
import { initializeResult, termsOf } from '../initialize.js';
import { McpSession } from '../session/mcp-session.js';
import { Sessions } from '../session/sessions.js';
import { SessionServices } from '../session/session-services.js';
import { StreamAnswer } from '../session/stream-answer.js';
import { parseEventId } from '../stream/event-stream.js';
import { endpointEvent } from '../stream/sse-event.js';

/** What holds until `initialize` has come. */
const NO_TERMS = { protocolVersion: '2024-11-05', clientInfo: {}, clientCapabilities: {} } as const;

/**
 * Sessions over HTTP+SSE (SPEC D-3): each lives as long as its stream, or with Redis, where any replica can take it up,
 * a little longer. Event ids name the session, because an `EventSource` that comes back brings nothing else.
 *
 *   opened (endpoint told) -> initialized -> [cut off -> resumed]* -> ended
 */
@Injectable()
export class SseSessions implements OnModuleDestroy {
  readonly resumable: boolean;
  private readonly initialized = new WeakSet<McpSession>();
  private readonly initializing = new WeakSet<McpSession>();
  private readonly cutOff = new Map<McpSession, NodeJS.Timeout>();
  private readonly prefix: string;
  private readonly resumeMs: number;

  constructor(
    @Inject(SETTINGS) settings: Settings,
    private readonly catalogue: CatalogueService,
    private readonly sessions: Sessions,
    private readonly services: SessionServices,
    private readonly opener: StreamOpener,
  ) {
    this.resumeMs = settings.SSE_RESUME_SECONDS;
    this.resumable = settings.REDIS_URL !== undefined && this.resumeMs > 0;
    const { PUBLIC_URL } = settings;
    this.prefix = PUBLIC_URL === undefined ? '' : new URL(PUBLIC_URL).pathname.replace(/\/$/, '');
  }

  onModuleDestroy(): void {
    for (const timer of this.cutOff.values()) clearTimeout(timer);
    this.cutOff.clear();
  }

  /** A new session on this response. @throws DownstreamError SESSION_LIMIT; CodedError NOT_FOUND (no such gateway or server) */
  async open(exchange: EdgeExchange, path: McpPath, caller: Caller): Promise<void> {
    const view = viewAt(path, this.catalogue);
    if (path.gatewayId ?? path.serverId) await view.describe(); // there is such a gateway or server
    const id = this.sessions.newId();
    const session = new McpSession(
      { ...NO_TERMS, id, endpoint: path.path, label: path.label, view, caller, standing: id },
      this.services,
    );
    // Registered before the first byte that reveals its id (D-2).
    this.sessions.add(session);
    const connection = this.opener.connect(exchange.res, exchange.requestId);
    const uri = `${this.prefix}/messages?sessionId=${id}`;
    connection.write(endpointEvent(uri, this.resumable ? session.standing.position : undefined));
    session.standing.open(connection, false);
    connection.onClose(() => this.left(session));
  }

  /** @throws DownstreamError SESSION_NOT_FOUND, BAD_REQUEST */
  resume(exchange: EdgeExchange, path: McpPath, principal: Principal | undefined, lastEventId: string): void {
    const { stream, seq } = parseEventId(lastEventId);
    const session = this.sessions.get(stream, principal, path.path);
    session.standing.resume(() => {
      clearTimeout(this.cutOff.get(session));
      this.cutOff.delete(session);
      const connection = this.opener.connect(exchange.res, exchange.requestId);
      connection.onClose(() => this.left(session));
      return connection;
    }, seq);
  }

  /** @throws DownstreamError SESSION_NOT_FOUND, the same for a foreign one and one of another transport */
  get(id: string, principal: Principal | undefined): McpSession {
    const session = this.sessions.get(id, principal);
    if (session.standing.id === id) return session;
    throw new DownstreamError('SESSION_NOT_FOUND', 'no such session; open one with GET /sse');
  }

  /** Takes one message of the client; what it leads to comes on the stream. */
  async take(session: McpSession, message: RpcMessage, exchange: EdgeExchange): Promise<void> {
    const { method, id } = message;
    if (method === 'initialize' && id !== undefined) return this.initialize(session, { ...message, id });
    if (id !== undefined && method !== undefined && method !== 'ping' && !this.initialized.has(session)) {
      const error = new DownstreamError('BAD_REQUEST', 'initialize comes first');
      return new StreamAnswer(session.standing, id).fail(error);
    }
    if (id !== undefined && method !== undefined && this.sessions.draining) throw shuttingDown();
    const traceparent = traceparentOf(exchange.header('traceparent'));
    this.sessions.broadcast(session, message, {
      requestId: exchange.requestId,
      ...(traceparent === undefined ? {} : { traceparent }),
    });
  }

  private async initialize(session: McpSession, { id, params }: RpcMessage & { id: Buffer }): Promise<void> {
    const answer = new StreamAnswer(session.standing, id);
    if (this.initialized.has(session) || this.initializing.has(session)) {
      return answer.fail(new DownstreamError('BAD_REQUEST', 'this session is initialized already'));
    }
    try {
      const terms = termsOf(params, 'sse');
      this.initializing.add(session); // before the first await: a second one is refused
      const description = await session.view.describe();
      session.agree(terms);
      this.initialized.add(session);
      session.standing.send(responseParts(id, 'result', initializeResult(terms, description)));
      this.services.count(session.label, 'initialize', 'ok');
    } catch (thrown) {
      const error = toCodedError(thrown);
      if (error.code === 'INTERNAL') throw thrown;
      answer.fail(error); // on the stream, where the client looks for it
    } finally {
      this.initializing.delete(session);
    }
  }

  private left(session: McpSession): void {
    if (session.standing.attached || this.cutOff.has(session)) return; // another connection has taken over
    if (!this.resumable) return this.sessions.remove(session, 'the event stream has ended');
    const timer = setTimeout(() => {
      this.cutOff.delete(session);
      this.sessions.remove(session, 'the event stream has ended (SSE_RESUME_SECONDS)');
    }, this.resumeMs).unref();
    this.cutOff.set(session, timer);
  }
}
