import { type CodedError } from '../../common/errors.js';
import { type Id, responseParts } from '../../common/jsonrpc.js';
import { type Reply } from '../../execution/index.js';
import { errorBody } from '../error-body.js';
import { isPrimed } from '../protocol.js';
import { type Answer } from '../session/answer.js';
import { type McpSession } from '../session/mcp-session.js';
import { type EventStream } from '../stream/event-stream.js';
import { type EdgeExchange } from './edge-exchange.js';
import { type StreamOpener } from './stream-opener.js';

/**
 * The answer to one POST of a session (SPEC D-9): JSON if the result is the first thing to send; an event stream from the
 * first interim message on, or when the result takes long. The stream outlives its connection, so a client that was
 * cut off can come back for the rest.
 *
 *   waiting -> answered (JSON)          waiting -> streaming -> ended
 */
export class HttpAnswer implements Answer {
  private stream: EventStream | undefined;
  private readonly timer: NodeJS.Timeout;

  constructor(
    private readonly exchange: EdgeExchange,
    private readonly session: McpSession,
    private readonly id: Id,
    private readonly opener: StreamOpener,
  ) {
    this.timer = setTimeout(() => this.streaming(), opener.sseAfterMs);
  }

  interim(frame: Buffer): void {
    this.streaming().send([frame]);
  }

  /** Only where the client knows how to come back: its stream began with an id. */
  pause(retryMs: number): void {
    if (isPrimed(this.session.terms.protocolVersion)) this.streaming().interrupt(retryMs);
  }

  reply({ kind, raw }: Reply): void {
    this.respond(responseParts(this.id, kind, raw));
  }

  fail(error: CodedError): void {
    this.respond(responseParts(this.id, 'error', errorBody(error)));
  }

  cancelled(): void {
    this.streaming().end();
  }

  private respond(message: Buffer[]): void {
    clearTimeout(this.timer);
    if (!this.stream) return this.exchange.json(200, message);
    this.stream.send(message);
    this.stream.end();
  }

  private streaming(): EventStream {
    clearTimeout(this.timer);
    this.stream ??= this.opener.openFor(this.exchange, this.session);
    return this.stream;
  }
}
