import { Body, Controller, Delete, Get, HttpCode, Param, Patch, Post, Query, Res } from '@nestjs/common';
import { ApiOperation, ApiTags } from '@nestjs/swagger';
import { type Response as ExpressResponse } from 'express';
import { CatalogueService, REFRESH_KINDS } from '../catalogue/index.js';
import { Changes, Reads } from './admin-api.guard.js';
import { Background } from './background.js';
import { ChangeGateway } from './change-gateway.js';
import { DeferredGateways } from './deferred-gateways.js';
import {
  GatewayPatchSchema,
  type GatewayPatch,
  GatewayQuerySchema,
  type GatewayQuery,
  GatewayStateSchema,
  type GatewayState,
  NewGatewaySchema,
  type NewGateway,
  RegisterQuerySchema,
  type RegisterQuery,
} from './gateway.schemas.js';
import {
  GatewayListViewSchema,
  type GatewayListView,
  GatewayViewSchema,
  type GatewayView,
  gatewayView,
} from './gateway.view.js';
import { idOf, input } from './input.js';
import { Accepts, AcceptsQuery, Answers, Fails } from './openapi.js';
import { RefreshViewSchema, type RefreshView, refreshView } from './refresh.view.js';
import { RegisterGateway, type StoredGateway } from './register-gateway.js';

const id = idOf('gateway');

/** REST of gateways (SPEC §8, G-2). */
@ApiTags('gateways')
@Controller('gateways')
export class GatewaysController {
  constructor(
    private readonly catalogue: CatalogueService,
    private readonly registering: RegisterGateway,
    private readonly changing: ChangeGateway,
    private readonly deferred: DeferredGateways,
    private readonly background: Background,
  ) {}

  @Get()
  @Reads()
  @ApiOperation({ summary: 'Gateways, by name' })
  @AcceptsQuery(GatewayQuerySchema)
  @Answers(200, 'One page', GatewayListViewSchema)
  @Fails('INVALID_PARAMS')
  async list(@Query(input(GatewayQuerySchema)) { q, ...query }: GatewayQuery): Promise<GatewayListView> {
    const page = await this.catalogue.list({ ...query, ...(q === undefined ? {} : { search: q }) });
    return { ...page, items: page.items.map((details) => gatewayView(this.catalogue, details)) };
  }

  @Post()
  @Changes()
  @ApiOperation({ summary: 'Register an MCP server: connect, read all it offers, store it' })
  @AcceptsQuery(RegisterQuerySchema)
  @Accepts(NewGatewaySchema)
  @Answers(201, 'Registered', GatewayViewSchema)
  @Fails('INVALID_PARAMS', 'PARSE_ERROR', 'CONFLICT', 'PAYLOAD_TOO_LARGE')
  @Fails('UPSTREAM_UNAVAILABLE', 'UPSTREAM_UNAUTHORIZED', 'UPSTREAM_NOT_MCP', 'UPSTREAM_PROTOCOL')
  async register(
    @Body(input(NewGatewaySchema)) spec: NewGateway,
    @Query(input(RegisterQuerySchema)) { deferred }: RegisterQuery,
    @Res({ passthrough: true }) response: ExpressResponse,
  ): Promise<GatewayView> {
    const stored = deferred
      ? await this.registering.runDeferred(spec)
      : await this.registering.run(spec, this.background.signal);
    response.location(`/gateways/${stored.details.record.id}`);
    return this.view(stored);
  }

  @Get(':id')
  @Reads()
  @ApiOperation({ summary: 'One gateway' })
  @Answers(200, 'The gateway', GatewayViewSchema)
  @Fails('NOT_FOUND')
  async get(@Param('id', id) gatewayId: string): Promise<GatewayView> {
    return gatewayView(this.catalogue, await this.catalogue.get(gatewayId));
  }

  @Patch(':id')
  @Changes()
  @ApiOperation({ summary: 'Change a gateway; another connection is tried out and read before it is stored' })
  @Accepts(GatewayPatchSchema)
  @Answers(200, 'Changed', GatewayViewSchema)
  @Fails('INVALID_PARAMS', 'NOT_FOUND', 'CONFLICT', 'UPSTREAM_UNAVAILABLE')
  async patch(
    @Param('id', id) gatewayId: string,
    @Body(input(GatewayPatchSchema)) patch: GatewayPatch,
  ): Promise<GatewayView> {
    return this.view(await this.changing.run(gatewayId, patch, this.background.signal));
  }

  @Post(':id/state')
  @HttpCode(200)
  @Changes()
  @ApiOperation({ summary: 'Switch a gateway on or off' })
  @Accepts(GatewayStateSchema)
  @Answers(200, 'Changed', GatewayViewSchema)
  @Fails('INVALID_PARAMS', 'NOT_FOUND')
  async setState(
    @Param('id', id) gatewayId: string,
    @Body(input(GatewayStateSchema)) state: GatewayState,
  ): Promise<GatewayView> {
    return this.view(await this.changing.run(gatewayId, state, this.background.signal));
  }

  @Post(':id/refresh')
  @HttpCode(200)
  @Changes()
  @ApiOperation({ summary: 'Read the lists of a gateway anew; 409 while another refresh of it runs' })
  @Answers(200, 'What has changed, what was skipped, what could not be read', RefreshViewSchema)
  @Fails('NOT_FOUND', 'CONFLICT')
  @Fails('UPSTREAM_UNAVAILABLE', 'UPSTREAM_UNAUTHORIZED', 'UPSTREAM_NOT_MCP', 'UPSTREAM_PROTOCOL')
  async refresh(@Param('id', id) gatewayId: string): Promise<RefreshView> {
    const request = { kinds: REFRESH_KINDS, createdVia: 'manual_refresh', whenBusy: 'refuse' } as const;
    return refreshView(await this.catalogue.refresh(gatewayId, request, this.background.signal));
  }

  @Delete(':id')
  @HttpCode(204)
  @Changes()
  @ApiOperation({ summary: 'Remove a gateway with all its capabilities and end its sessions' })
  @Answers(204, 'Removed')
  @Fails('NOT_FOUND')
  async remove(@Param('id', id) gatewayId: string): Promise<void> {
    await this.catalogue.remove(gatewayId);
    this.deferred.cancel(gatewayId);
  }

  private view({ details, validationErrors }: StoredGateway): GatewayView {
    return gatewayView(this.catalogue, details, validationErrors);
  }
}
