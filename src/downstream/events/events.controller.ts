import { type ServerResponse } from 'node:http';
import { Controller, Get, Res } from '@nestjs/common';
import { ApiBearerAuth, ApiOperation, ApiResponse, ApiTags } from '@nestjs/swagger';
import { RequireScope } from '../../auth/access.decorators.js';
import { ChangeStreams } from './change-streams.js';

const EVENTS =
  'text/event-stream: `ready` `{ replica }` first; `catalogue.changed` `{ gateway: { id, name? }, kinds, removed }`; ' +
  '`server.changed` `{ server: { id }, kinds, gone }`; comments keep it alive';

/** Changes of the catalogue for dashboards (SPEC N-7, §8). */
@ApiTags('events')
@Controller('events')
export class EventsController {
  constructor(private readonly streams: ChangeStreams) {}

  @Get()
  @RequireScope('gateways:read')
  @ApiBearerAuth()
  @ApiOperation({ summary: 'Changes of the catalogue as they happen; nothing is replayed after a break' })
  @ApiResponse({ status: 200, description: EVENTS })
  listen(@Res() res: ServerResponse): void {
    this.streams.open(res, String(res.getHeader('x-request-id') ?? ''));
  }
}
