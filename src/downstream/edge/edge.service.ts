import { randomUUID } from 'node:crypto';
import { type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http';
import { Inject, Injectable } from '@nestjs/common';
import { CodedError, toCodedError } from '../../common/errors.js';
import { type Log, LOG } from '../../logging/logger.js';
import { DownstreamError } from '../downstream.errors.js';
import { EdgeExchange } from './edge-exchange.js';
import { McpEndpoint } from './mcp.endpoint.js';
import { OriginPolicy } from './origin-policy.js';
import { RpcEndpoint } from './rpc.endpoint.js';

type Handler = (exchange: EdgeExchange) => Promise<void>;

const REQUEST_ID = /^[A-Za-z0-9_.:-]{1,128}$/;

/**
 * The lean edge: takes streamable HTTP and `/rpc` from the HTTP server before Express, whose layers and Nest's cost
 * several times what a call costs (shared bench). Everything else goes on to Express. What holds on both ways (request
 * id, origin, drain, principal, errors, metrics) is done by the same parts.
 */
@Injectable()
export class EdgeService {
  private readonly running = new Set<EdgeExchange>();
  private draining = false;
  private idle: () => void = () => undefined;
  private drained: Promise<void> | undefined;

  constructor(
    private readonly mcp: McpEndpoint,
    private readonly rpc: RpcEndpoint,
    private readonly origins: OriginPolicy,
    @Inject(LOG) private readonly log: Log,
  ) {}

  /** Puts the edge in front of whatever listens for requests on the server now. */
  attach(server: Server): void {
    const behind = server.listeners('request') as RequestListener[];
    server.removeAllListeners('request');
    server.on('request', (req: IncomingMessage, res: ServerResponse) => {
      const requestId = requestIdOf(req);
      const exchange = new EdgeExchange(req, res, requestId);
      try {
        this.origins.check(req.headers);
      } catch (error) {
        return exchange.refuse(toCodedError(error));
      }
      const handler = this.handlerOf(req);
      if (handler) return void this.run(exchange, handler);
      req.headers['x-request-id'] = requestId;
      res.setHeader('x-request-id', requestId);
      for (const listener of behind) listener(req, res);
    });
  }

  /** From now on requests are refused with 503; resolves when those that run have been answered. Remembered. */
  drain(): Promise<void> {
    this.draining = true;
    this.drained ??= new Promise<void>((resolve) => {
      this.idle = resolve;
      if (this.running.size === 0) resolve();
    });
    return this.drained;
  }

  get inFlight(): number {
    return this.running.size;
  }

  private handlerOf(req: IncomingMessage): Handler | undefined {
    const url = req.url ?? '';
    const query = url.indexOf('?');
    switch (query < 0 ? url : url.slice(0, query)) {
      case '/mcp':
        return (exchange) => this.mcp.handle(exchange);
      case '/rpc':
        return (exchange) => this.rpc.handle(exchange);
      default:
        return undefined;
    }
  }

  private async run(exchange: EdgeExchange, handler: Handler): Promise<void> {
    this.running.add(exchange);
    try {
      if (this.draining) throw shuttingDown();
      await handler(exchange);
    } catch (error) {
      this.refused(exchange, error);
    } finally {
      this.running.delete(exchange);
      if (this.draining && this.running.size === 0) this.idle();
    }
  }

  private refused(exchange: EdgeExchange, thrown: unknown): void {
    const error = toCodedError(thrown);
    if (error.code === 'INTERNAL') {
      this.log.error({ err: thrown, requestId: exchange.requestId }, 'unforeseen error on the MCP edge');
    } else {
      this.log.debug({ requestId: exchange.requestId, code: error.code }, error.message);
    }
    exchange.refuse(error);
  }
}

function shuttingDown(): CodedError {
  const message = 'this replica is shutting down; try again, another one will answer';
  return new DownstreamError('SHUTTING_DOWN', message, { retryAfterMs: 1_000 });
}

function requestIdOf(req: IncomingMessage): string {
  const given = req.headers['x-request-id'];
  return typeof given === 'string' && REQUEST_ID.test(given) ? given : randomUUID();
}
