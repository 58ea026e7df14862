import { type IncomingMessage, type ServerResponse } from 'node:http';
import { type ArgumentsHost, Catch, type ExceptionFilter, Inject } from '@nestjs/common';
import { type Log, LOG } from '../../logging/logger.js';
import { EdgeExchange } from '../edge/edge-exchange.js';

/** Errors of the MCP endpoints that are controllers, in the form of the lean edge: JSON-RPC (SPEC §8). */
@Catch()
export class McpErrorFilter implements ExceptionFilter {
  constructor(@Inject(LOG) private readonly log: Log) {}

  async catch(thrown: unknown, host: ArgumentsHost): Promise<void> {
    const http = host.switchToHttp();
    const res = http.getResponse<ServerResponse>();
    const exchange = new EdgeExchange(
      http.getRequest<IncomingMessage>(),
      res,
      String(res.getHeader('x-request-id') ?? ''),
    );
    await exchange.refuseFor(thrown, this.log);
  }
}
