import { Inject, Injectable } from '@nestjs/common';
import { AccessService } from '../../auth/access.service.js';
import { CatalogueService } from '../../catalogue/index.js';
import { type Id, responseFrame, type RpcMessage } from '../../common/jsonrpc.js';
import { type Principal } from '../../common/principal.js';
import { traceparentOf } from '../../common/traceparent.js';
import { SETTINGS } from '../../config/config.module.js';
import { type Settings } from '../../config/settings.js';
import { DownstreamError, shuttingDown } from '../downstream.errors.js';
import { initializeResult, termsOf } from '../initialize.js';
import { mayBatch } from '../protocol.js';
import { McpSession } from '../session/mcp-session.js';
import { Sessions } from '../session/sessions.js';
import { SessionServices } from '../session/session-services.js';
import { StreamAnswer } from '../session/stream-answer.js';
import { parseEventId } from '../stream/event-stream.js';
import { type EdgeExchange } from './edge-exchange.js';
import { type McpPath, viewAt } from './endpoints.js';
import { HttpAnswer } from './http-answer.js';
import {
  checkAccept,
  checkAcceptStream,
  checkContentType,
  checkVersionHeader,
  isBatch,
  parseBatch,
  parseMessage,
} from './protocol-checks.js';
import { StreamOpener } from './stream-opener.js';

const ALLOW = 'GET, POST, DELETE';

type Request = RpcMessage & { readonly method: string; readonly id: Id };

/** Streamable HTTP at `/mcp`, `/gateways/:id/mcp` and `/servers/:id/mcp` (SPEC D-1, D-2, D-9, D-10). */
@Injectable()
export class McpEndpoint {
  constructor(
    @Inject(SETTINGS) private readonly settings: Settings,
    private readonly access: AccessService,
    private readonly catalogue: CatalogueService,
    private readonly sessions: Sessions,
    private readonly services: SessionServices,
    private readonly opener: StreamOpener,
  ) {}

  async handle(exchange: EdgeExchange, path: McpPath): Promise<void> {
    // Every request is authorized, session or not: a session id is no credential.
    const principal = await this.access.admit(exchange.req.headers, 'mcp:use');
    switch (exchange.req.method) {
      case 'POST':
        return this.post(exchange, path, principal);
      case 'GET':
        return this.listen(exchange, path, principal);
      case 'DELETE':
        return this.delete(exchange, path, principal);
      default:
        throw new DownstreamError('METHOD_NOT_ALLOWED', `use ${ALLOW}`, { details: { allow: ALLOW } });
    }
  }

  private async post(exchange: EdgeExchange, path: McpPath, principal: Principal | undefined): Promise<void> {
    checkContentType(exchange);
    checkAccept(exchange);
    const body = await exchange.body(this.settings.MAX_BODY_BYTES);
    if (isBatch(body)) return this.batch(exchange, path, principal, body);
    const message = parseMessage(exchange, body);
    if (message.method === 'initialize') return this.initialize(exchange, path, message, principal);

    checkVersionHeader(exchange);
    const session = this.sessionOf(exchange, path, principal);
    if (isRequest(message)) {
      if (this.sessions.draining) throw shuttingDown();
      if (session.isRunning(message.id)) {
        throw new DownstreamError('BAD_REQUEST', 'a request with this id is running in this session already');
      }
      const answer = new HttpAnswer(exchange, session, message.id, this.opener);
      return session.run(message, answer, extrasOf(exchange));
    }
    session.take(message);
    exchange.empty(202);
  }

  /** The revision that has batches lets us answer all their requests on one stream. */
  private async batch(
    exchange: EdgeExchange,
    path: McpPath,
    principal: Principal | undefined,
    body: Buffer,
  ): Promise<void> {
    const messages = parseBatch(exchange, body);
    checkVersionHeader(exchange);
    const session = this.sessionOf(exchange, path, principal);
    if (!mayBatch(session.terms.protocolVersion)) {
      throw new DownstreamError('BAD_REQUEST', 'batches are not part of this revision: send one message a request');
    }
    if (messages.some(({ method }) => method === 'initialize')) throw secondInitialize();
    if (!messages.some(isRequest)) {
      for (const message of messages) session.take(message);
      return exchange.empty(202);
    }
    if (this.sessions.draining) throw shuttingDown();
    const stream = this.opener.openFor(exchange, session);
    const extras = extrasOf(exchange);
    const running: Promise<void>[] = [];
    for (const message of messages) {
      if (isRequest(message)) running.push(session.run(message, new StreamAnswer(stream, message.id), extras));
      else session.take(message);
    }
    await Promise.all(running);
    stream.end();
  }

  private async initialize(
    exchange: EdgeExchange,
    path: McpPath,
    message: RpcMessage,
    principal: Principal | undefined,
  ): Promise<void> {
    if (message.id === undefined) throw new DownstreamError('BAD_REQUEST', 'initialize must be a request');
    if (exchange.header('mcp-session-id') !== undefined) throw secondInitialize();
    if (this.sessions.draining) throw shuttingDown();
    const terms = termsOf(message.params, 'http');
    const view = viewAt(path, this.catalogue);
    const result = initializeResult(terms, await view.describe());
    if (exchange.res.destroyed) return; // nobody will ever know the session's id
    const session = new McpSession(
      {
        ...terms,
        id: this.sessions.newId(),
        endpoint: path.path,
        label: path.label,
        view,
        caller: this.access.callerOf(principal, exchange.req.headers),
      },
      this.services,
    );
    // Registered before the first byte that reveals its id (D-2).
    this.sessions.add(session);
    exchange.json(200, [responseFrame(message.id, 'result', result)], { 'mcp-session-id': session.id });
    this.services.count(path.label, 'initialize', 'ok');
  }

  /** The standing stream, or with `Last-Event-ID` what a stream had to say since then. */
  private listen(exchange: EdgeExchange, path: McpPath, principal: Principal | undefined): void {
    checkAcceptStream(exchange);
    checkVersionHeader(exchange);
    const session = this.sessionOf(exchange, path, principal);
    const connect = () => this.opener.connect(exchange.res, exchange.requestId);
    const lastEventId = exchange.header('last-event-id');
    if (lastEventId === undefined) return session.standing.resume(connect);
    const { stream, seq } = parseEventId(lastEventId);
    const resumed = session.streamOf(stream);
    // 204 is how a server says that there is nothing to come back for (WHATWG HTML, "Server-sent events"). An empty
    // stream would be resumed again and again: the SDK's client does not take an error for an end.
    if (resumed.isDone(seq)) return exchange.empty(204);
    resumed.resume(connect, seq);
  }

  private delete(exchange: EdgeExchange, path: McpPath, principal: Principal | undefined): void {
    checkVersionHeader(exchange);
    this.sessions.remove(this.sessionOf(exchange, path, principal));
    exchange.empty(200);
  }

  private sessionOf(exchange: EdgeExchange, path: McpPath, principal: Principal | undefined): McpSession {
    const id = exchange.header('mcp-session-id');
    if (id === undefined) {
      throw new DownstreamError('SESSION_REQUIRED', 'Mcp-Session-Id is missing; start a session with initialize');
    }
    return this.sessions.get(id, principal, path.path);
  }
}

function isRequest(message: RpcMessage): message is Request {
  return message.method !== undefined && message.id !== undefined;
}

function extrasOf(exchange: EdgeExchange): { requestId: string; traceparent?: string } {
  const traceparent = traceparentOf(exchange.header('traceparent'));
  return { requestId: exchange.requestId, ...(traceparent === undefined ? {} : { traceparent }) };
}

function secondInitialize(): DownstreamError {
  return new DownstreamError('BAD_REQUEST', 'this session is initialized already; start a new one without its id');
}
