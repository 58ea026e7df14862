import { Body, Controller, Get, Header, Param, Patch, Query } from '@nestjs/common';
import { ApiOperation, ApiTags } from '@nestjs/swagger';
import { type CapabilityKind, CatalogueService } from '../catalogue/index.js';
import { Changes, Reads } from './admin-api.guard.js';
import { capabilityJson, capabilityListJson, capabilityListSchema, capabilitySchema } from './capability.view.js';
import { CapabilityQuerySchema, type CapabilityQuery, ToolPatchSchema, type ToolPatch } from './gateway.schemas.js';
import { idOf, input } from './input.js';
import { Accepts, AcceptsQuery, Answers, Fails } from './openapi.js';

const id = idOf('tool');
const JSON_TYPE = ['Content-Type', 'application/json; charset=utf-8'] as const;

/** REST of what the gateways offer (SPEC §8). Answers are text, because `definition` keeps the server's bytes (D-7). */
@ApiTags('capabilities')
@Controller()
export class CapabilitiesController {
  constructor(private readonly catalogue: CatalogueService) {}

  @Get('tools')
  @Reads()
  @Header(...JSON_TYPE)
  @ApiOperation({ summary: 'Tools, by public name' })
  @AcceptsQuery(CapabilityQuerySchema)
  @Answers(200, 'One page', capabilityListSchema('tool'))
  @Fails('INVALID_PARAMS')
  tools(@Query(input(CapabilityQuerySchema)) query: CapabilityQuery): Promise<string> {
    return this.list('tool', query);
  }

  @Get('resources')
  @Reads()
  @Header(...JSON_TYPE)
  @ApiOperation({ summary: 'Resources, by public URI' })
  @AcceptsQuery(CapabilityQuerySchema)
  @Answers(200, 'One page', capabilityListSchema('resource'))
  @Fails('INVALID_PARAMS')
  resources(@Query(input(CapabilityQuerySchema)) query: CapabilityQuery): Promise<string> {
    return this.list('resource', query);
  }

  @Get('resource-templates')
  @Reads()
  @Header(...JSON_TYPE)
  @ApiOperation({ summary: 'Resource templates, by public template' })
  @AcceptsQuery(CapabilityQuerySchema)
  @Answers(200, 'One page', capabilityListSchema('resource_template'))
  @Fails('INVALID_PARAMS')
  resourceTemplates(@Query(input(CapabilityQuerySchema)) query: CapabilityQuery): Promise<string> {
    return this.list('resource_template', query);
  }

  @Get('prompts')
  @Reads()
  @Header(...JSON_TYPE)
  @ApiOperation({ summary: 'Prompts, by public name' })
  @AcceptsQuery(CapabilityQuerySchema)
  @Answers(200, 'One page', capabilityListSchema('prompt'))
  @Fails('INVALID_PARAMS')
  prompts(@Query(input(CapabilityQuerySchema)) query: CapabilityQuery): Promise<string> {
    return this.list('prompt', query);
  }

  @Get('tools/:id')
  @Reads()
  @Header(...JSON_TYPE)
  @ApiOperation({ summary: 'One tool' })
  @Answers(200, 'The tool', capabilitySchema('tool'))
  @Fails('NOT_FOUND')
  async tool(@Param('id', id) toolId: string): Promise<string> {
    return capabilityJson(await this.catalogue.getCapability('tool', toolId));
  }

  @Patch('tools/:id')
  @Changes()
  @Header(...JSON_TYPE)
  @ApiOperation({ summary: 'Switch a tool on or off, or give it a description of your own' })
  @Accepts(ToolPatchSchema)
  @Answers(200, 'Changed', capabilitySchema('tool'))
  @Fails('INVALID_PARAMS', 'NOT_FOUND')
  async patchTool(@Param('id', id) toolId: string, @Body(input(ToolPatchSchema)) patch: ToolPatch): Promise<string> {
    return capabilityJson(await this.catalogue.editCapability('tool', toolId, patch));
  }

  private async list(kind: CapabilityKind, { q, ...query }: CapabilityQuery): Promise<string> {
    const filter = { ...query, ...(q === undefined ? {} : { search: q }) };
    return capabilityListJson(await this.catalogue.listCapabilities(kind, filter));
  }
}
