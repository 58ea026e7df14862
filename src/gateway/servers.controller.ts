import { Body, Controller, Delete, Get, HttpCode, Logger, Param, Patch, Post, Query, Res } from '@nestjs/common';
import { ApiOperation, ApiTags } from '@nestjs/swagger';
import { type Response as ExpressResponse } from 'express';
import { CurrentPrincipal } from '../auth/access.decorators.js';
import { CatalogueService } from '../catalogue/index.js';
import { type Principal } from '../common/principal.js';
import { Changes, Reads } from './admin-api.guard.js';
import { idOf, input } from './input.js';
import { Accepts, AcceptsQuery, Answers, Fails } from './openapi.js';
import {
  NewServerSchema,
  type NewServer,
  ServerPatchSchema,
  type ServerPatch,
  ServerQuerySchema,
  type ServerQuery,
} from './server.schemas.js';
import {
  ServerListViewSchema,
  type ServerListView,
  serverSummaryView,
  serverView,
  type ServerView,
  ServerViewSchema,
} from './server.view.js';

const id = idOf('virtual server');

/** REST of virtual servers (SPEC §8, G-9). */
@ApiTags('servers')
@Controller('servers')
export class ServersController {
  private readonly logger = new Logger('VirtualServers');

  constructor(private readonly catalogue: CatalogueService) {}

  @Get()
  @Reads()
  @ApiOperation({ summary: 'Virtual servers, by name' })
  @AcceptsQuery(ServerQuerySchema)
  @Answers(200, 'One page', ServerListViewSchema)
  @Fails('INVALID_PARAMS')
  async list(@Query(input(ServerQuerySchema)) { q, ...query }: ServerQuery): Promise<ServerListView> {
    const page = await this.catalogue.servers.list({ ...query, ...(q === undefined ? {} : { search: q }) });
    return { ...page, items: page.items.map(serverSummaryView) };
  }

  @Post()
  @Changes()
  @ApiOperation({ summary: 'Select capabilities of any gateways and show them at an endpoint of their own' })
  @Accepts(NewServerSchema)
  @Answers(201, 'Created', ServerViewSchema)
  @Fails('INVALID_PARAMS', 'PARSE_ERROR', 'CONFLICT', 'PAYLOAD_TOO_LARGE')
  async create(
    @Body(input(NewServerSchema)) spec: NewServer,
    @CurrentPrincipal() principal: Principal | undefined,
    @Res({ passthrough: true }) response: ExpressResponse,
  ): Promise<ServerView> {
    const view = serverView(await this.catalogue.servers.create(spec));
    this.report('created', view, principal);
    response.location(`/servers/${view.id}`);
    return view;
  }

  @Get(':id')
  @Reads()
  @ApiOperation({ summary: 'One virtual server and all that it selects' })
  @Answers(200, 'The virtual server', ServerViewSchema)
  @Fails('NOT_FOUND')
  async get(@Param('id', id) serverId: string): Promise<ServerView> {
    return serverView(await this.catalogue.servers.get(serverId));
  }

  @Patch(':id')
  @Changes()
  @ApiOperation({ summary: 'Change a virtual server; `items` replaces its whole selection' })
  @Accepts(ServerPatchSchema)
  @Answers(200, 'Changed', ServerViewSchema)
  @Fails('INVALID_PARAMS', 'NOT_FOUND', 'CONFLICT')
  async patch(
    @Param('id', id) serverId: string,
    @Body(input(ServerPatchSchema)) patch: ServerPatch,
    @CurrentPrincipal() principal: Principal | undefined,
  ): Promise<ServerView> {
    const view = serverView(await this.catalogue.servers.update(serverId, patch));
    this.report(`changed (${Object.keys(patch).join(', ')})`, view, principal);
    return view;
  }

  @Delete(':id')
  @HttpCode(204)
  @Changes()
  @ApiOperation({ summary: 'Remove a virtual server and end the sessions of its clients; what it selected stays' })
  @Answers(204, 'Removed')
  @Fails('NOT_FOUND')
  async remove(@Param('id', id) serverId: string, @CurrentPrincipal() principal: Principal | undefined): Promise<void> {
    const { record, items } = await this.catalogue.servers.get(serverId);
    await this.catalogue.servers.remove(serverId);
    this.report('removed', { ...record, items }, principal);
  }

  /** Who did what to which server. */
  private report(
    what: string,
    { id: serverId, name, items }: { id: string; name: string; items: readonly unknown[] },
    principal: Principal | undefined,
  ): void {
    const who = principal?.subject ?? 'anonymous';
    this.logger.log(`virtual server ${name} (${serverId}, ${items.length} items) ${what} by ${who}`);
  }
}
