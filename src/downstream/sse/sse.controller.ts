import { type ServerResponse } from 'node:http';
import { Controller, Get, Inject, Param, Post, Query, Req, Res, UseFilters } from '@nestjs/common';
import { ApiOperation, ApiParam, ApiQuery, ApiResponse, ApiTags } from '@nestjs/swagger';
import { type AdmittedRequest, RequireScope } from '../../auth/access.decorators.js';
import { SETTINGS } from '../../config/config.module.js';
import { type Settings } from '../../config/settings.js';
import { DownstreamError } from '../downstream.errors.js';
import { EdgeExchange } from '../edge/edge-exchange.js';
import { type McpPath, mcpPathOf } from '../edge/endpoints.js';
import { checkAcceptStream, checkContentType, parseMessage } from '../edge/protocol-checks.js';
import { McpErrorFilter } from './mcp-error.filter.js';
import { SseSessions } from './sse-sessions.js';

/** HTTP+SSE (MCP 2024-11-05, Transports; SPEC D-3): one stream for everything, a POST for each message of the client. */
@ApiTags('mcp')
@Controller()
@RequireScope('mcp:use')
@UseFilters(McpErrorFilter)
export class SseController {
  constructor(
    @Inject(SETTINGS) private readonly settings: Settings,
    private readonly sessions: SseSessions,
  ) {}

  @Get('sse')
  @ApiOperation({ summary: 'MCP over HTTP+SSE (2024-11-05): the event stream; its first event tells where to POST' })
  @ApiResponse({ status: 200, description: 'text/event-stream' })
  open(@Req() req: AdmittedRequest, @Res() res: ServerResponse): Promise<void> {
    return this.listen(req, res, { path: '/sse', label: '/sse' });
  }

  @Get('gateways/:id/sse')
  @ApiOperation({ summary: 'The same for one gateway alone, with its own names' })
  @ApiParam({ name: 'id', description: 'Id of the gateway' })
  @ApiResponse({ status: 200, description: 'text/event-stream' })
  openGateway(@Param('id') id: string, @Req() req: AdmittedRequest, @Res() res: ServerResponse): Promise<void> {
    return this.listen(req, res, pathOf('gateways', id));
  }

  @Get('servers/:id/sse')
  @ApiOperation({ summary: 'The same for one virtual server' })
  @ApiParam({ name: 'id', description: 'Id of the virtual server' })
  @ApiResponse({ status: 200, description: 'text/event-stream' })
  openServer(@Param('id') id: string, @Req() req: AdmittedRequest, @Res() res: ServerResponse): Promise<void> {
    return this.listen(req, res, pathOf('servers', id));
  }

  @Post('messages')
  @ApiOperation({ summary: 'A message of a client of /sse; the answer comes on its event stream' })
  @ApiQuery({ name: 'sessionId', description: 'As the endpoint event told it' })
  @ApiResponse({ status: 202, description: 'Taken' })
  async message(
    @Query('sessionId') sessionId: unknown,
    @Req() req: AdmittedRequest,
    @Res() res: ServerResponse,
  ): Promise<void> {
    const exchange = exchangeOf(req, res);
    if (typeof sessionId !== 'string')
      throw new DownstreamError('SESSION_REQUIRED', 'sessionId is missing in the query');
    checkContentType(exchange);
    this.sessions.get(sessionId, req.principal); // before its body is read
    const message = parseMessage(exchange, await exchange.body(this.settings.MAX_BODY_BYTES));
    await this.sessions.take(this.sessions.get(sessionId, req.principal), message, exchange);
    exchange.empty(202);
  }

  private async listen(req: AdmittedRequest, res: ServerResponse, path: McpPath): Promise<void> {
    const exchange = exchangeOf(req, res);
    // Express takes HEAD for a GET: a stream that nobody reads would block its connection for ever.
    if (req.method !== 'GET') throw new DownstreamError('METHOD_NOT_ALLOWED', 'use GET', { details: { allow: 'GET' } });
    checkAcceptStream(exchange);
    const lastEventId = exchange.header('last-event-id');
    if (lastEventId !== undefined && this.sessions.resumable) {
      return this.sessions.resume(exchange, path, req.principal, lastEventId);
    }
    // The guard has worked it out before it took the credentials away.
    if (!req.caller) throw new DownstreamError('NOT_FOUND', 'no caller');
    await this.sessions.open(exchange, path, req.caller);
  }
}

/** @throws DownstreamError NOT_FOUND for what cannot be an id */
function pathOf(kind: 'gateways' | 'servers', id: string): McpPath {
  const path = mcpPathOf(`/${kind}/${id}/sse`, 'sse');
  if (path) return path;
  throw new DownstreamError('NOT_FOUND', `there is no such ${kind === 'gateways' ? 'gateway' : 'virtual server'}`);
}

/** The edge has put the id on the response (or nobody, in a test of this room). */
function exchangeOf(req: AdmittedRequest, res: ServerResponse): EdgeExchange {
  return new EdgeExchange(req, res, String(res.getHeader('x-request-id') ?? ''));
}
