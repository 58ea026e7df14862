import { type ServerResponse } from 'node:http';
import { Inject, Injectable } from '@nestjs/common';
import { SETTINGS } from '../../config/config.module.js';
import { type Settings } from '../../config/settings.js';
import { isPrimed } from '../protocol.js';
import { type McpSession } from '../session/mcp-session.js';
import { type EventStream } from '../stream/event-stream.js';
import { KeepAlive } from '../stream/keep-alive.js';
import { SseConnection } from '../stream/sse-connection.js';
import { type EdgeExchange } from './edge-exchange.js';

/** Makes event streams out of HTTP responses. */
@Injectable()
export class StreamOpener {
  /** When a call that has not been answered becomes an event stream (SPEC D-9). */
  readonly sseAfterMs: number;
  private readonly maxBufferedBytes: number;

  constructor(
    @Inject(SETTINGS) settings: Settings,
    private readonly keepAlive: KeepAlive,
  ) {
    this.sseAfterMs = settings.SSE_AFTER_MS;
    this.maxBufferedBytes = settings.STREAM_MAX_BUFFERED_BYTES;
  }

  /** The stream of one request, carried by its own response. */
  openFor(exchange: EdgeExchange, session: McpSession): EventStream {
    const stream = session.openStream();
    // A client that has gone already finds its answer where it resumes.
    if (!exchange.res.headersSent && !exchange.res.destroyed) {
      stream.open(this.connect(exchange.res, exchange.requestId), isPrimed(session.terms.protocolVersion));
    }
    return stream;
  }

  /** Sends the head of an event stream. */
  connect(res: ServerResponse, requestId: string): SseConnection {
    const { maxBufferedBytes } = this;
    const connection = new SseConnection(res, { headers: { 'x-request-id': requestId }, maxBufferedBytes });
    this.keepAlive.add(connection);
    return connection;
  }
}
