import { randomUUID } from 'node:crypto';
import { type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http';
import { Inject, Injectable } from '@nestjs/common';
import { toCodedError } from '../../common/errors.js';
import { type Log, LOG } from '../../logging/logger.js';
import { shuttingDown } from '../downstream.errors.js';
import { ChangeStreams } from '../events/change-streams.js';
import { Sessions } from '../session/sessions.js';
import { EdgeExchange } from './edge-exchange.js';
import { mcpPathOf } from './endpoints.js';
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
    private readonly sessions: Sessions,
    private readonly changes: ChangeStreams,
    @Inject(LOG) private readonly log: Log,
  ) {}

  /** Puts the edge in front of whatever listens for requests on the server now. */
  attach(server: Server): void {
    const behind = server.listeners('request') as RequestListener[];
    server.removeAllListeners('request');
    server.on('request', (req: IncomingMessage, res: ServerResponse) => {
      const exchange = new EdgeExchange(req, res, requestIdOf(req));
      const path = pathOf(req);
      if (req.headers.origin !== undefined && this.origins.preflight(req, res)) return;
      const handler = this.handlerOf(path);
      if (handler) void this.run(exchange, path, handler);
      else this.passOn(exchange, path, behind);
    });
  }

  /** From now on requests are refused with 503; resolves when those that run have been answered. Remembered. */
  drain(): Promise<void> {
    this.draining = true;
    this.sessions.releaseStreams(); // they would never end by themselves
    this.changes.interrupt();
    this.drained ??= new Promise<void>((resolve) => {
      this.idle = resolve;
      if (this.running.size === 0) resolve();
    });
    return this.drained;
  }

  /** The time is up: the streams of what still runs end, too, with a hint to come back. */
  interrupt(): void {
    this.sessions.interruptStreams();
  }

  get inFlight(): number {
    return this.running.size;
  }

  private handlerOf(path: string): Handler | undefined {
    if (path === '/rpc') return (exchange) => this.rpc.handle(exchange);
    const endpoint = mcpPathOf(path, 'mcp');
    return endpoint && ((exchange) => this.mcp.handle(exchange, endpoint));
  }

  private async run(exchange: EdgeExchange, path: string, handler: Handler): Promise<void> {
    this.running.add(exchange);
    try {
      this.origins.check(exchange.req.headers);
      // What answers a question of ours, or cancels, is still taken: a call that runs may wait for it.
      if (this.draining && !(exchange.req.method === 'POST' && path !== '/rpc')) throw shuttingDown();
      await handler(exchange);
    } catch (error) {
      await exchange.refuseFor(error, this.log);
    } finally {
      this.ended(exchange);
    }
  }

  /** To Express. Its requests are waited for by the drain, too; only probes are answered to the very end. */
  private passOn(exchange: EdgeExchange, path: string, behind: readonly RequestListener[]): void {
    const { req, res, requestId } = exchange;
    const probe = PROBES.has(path);
    try {
      this.origins.check(req.headers, probe);
      if (this.draining && !probe && path !== '/messages') throw shuttingDown();
    } catch (error) {
      if (path === '/messages' || mcpPathOf(path, 'sse')) return void exchange.refuseFor(error, this.log);
      return exchange.problem(toCodedError(error));
    }
    req.headers['x-request-id'] = requestId;
    res.setHeader('x-request-id', requestId);
    if (!probe) {
      this.running.add(exchange);
      res.once('close', () => this.ended(exchange));
    }
    for (const listener of behind) listener(req, res);
  }

  private ended(exchange: EdgeExchange): void {
    this.running.delete(exchange);
    if (this.draining && this.running.size === 0) this.idle();
  }
}

/** Asked by machines, with whatever Host they like, and to the very end. */
const PROBES = new Set(['/health', '/ready', '/metrics']);

function pathOf({ url = '' }: IncomingMessage): string {
  const query = url.indexOf('?');
  return query < 0 ? url : url.slice(0, query);
}

function requestIdOf(req: IncomingMessage): string {
  const given = req.headers['x-request-id'];
  return typeof given === 'string' && REQUEST_ID.test(given) ? given : randomUUID();
}
