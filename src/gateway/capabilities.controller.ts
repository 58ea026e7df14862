import { Body, Controller, Get, Header, Param, Patch, Query, type Type } from '@nestjs/common';
import { ApiOperation, ApiTags } from '@nestjs/swagger';
import { type CapabilityKind, CatalogueService } from '../catalogue/index.js';
import { Changes, Reads } from './admin-api.guard.js';
import { capabilityJson, capabilityListJson, capabilityListSchema, capabilitySchema } from './capability.view.js';
import {
  CapabilityPatchSchema,
  type CapabilityPatch,
  CapabilityQuerySchema,
  type CapabilityQuery,
} from './gateway.schemas.js';
import { idOf, input } from './input.js';
import { Accepts, AcceptsQuery, Answers, Fails } from './openapi.js';

const JSON_TYPE = ['Content-Type', 'application/json; charset=utf-8'] as const;

interface Route {
  readonly path: string;
  /** Begins the names of its operations in the documentation. */
  readonly className: string;
  readonly noun: string;
  readonly list: string;
}

const ROUTES: Readonly<Record<CapabilityKind, Route>> = {
  tool: { path: 'tools', className: 'ToolsController', noun: 'tool', list: 'Tools, by public name' },
  resource: { path: 'resources', className: 'ResourcesController', noun: 'resource', list: 'Resources, by public URI' },
  resource_template: {
    path: 'resource-templates',
    className: 'ResourceTemplatesController',
    noun: 'resource template',
    list: 'Resource templates, by public template',
  },
  prompt: { path: 'prompts', className: 'PromptsController', noun: 'prompt', list: 'Prompts, by public name' },
};

/** REST of what the gateways offer (SPEC §8), one controller a kind: they differ in nothing but the kind. */
export const CAPABILITY_CONTROLLERS = (Object.keys(ROUTES) as CapabilityKind[]).map(controllerOf);

/** Answers are text, because `definition` keeps the server's bytes (D-7). */
function controllerOf(kind: CapabilityKind): Type<unknown> {
  const { path, className, noun, list } = ROUTES[kind];
  const id = idOf(noun);

  @ApiTags('capabilities')
  @Controller(path)
  class CapabilityController {
    constructor(private readonly catalogue: CatalogueService) {}

    @Get()
    @Reads()
    @Header(...JSON_TYPE)
    @ApiOperation({ summary: list })
    @AcceptsQuery(CapabilityQuerySchema)
    @Answers(200, 'One page', capabilityListSchema(kind))
    @Fails('INVALID_PARAMS')
    async list(@Query(input(CapabilityQuerySchema)) { q, ...query }: CapabilityQuery): Promise<string> {
      const filter = { ...query, ...(q === undefined ? {} : { search: q }) };
      return capabilityListJson(await this.catalogue.listCapabilities(kind, filter));
    }

    @Get(':id')
    @Reads()
    @Header(...JSON_TYPE)
    @ApiOperation({ summary: `One ${noun}` })
    @Answers(200, `The ${noun}`, capabilitySchema(kind))
    @Fails('NOT_FOUND')
    async get(@Param('id', id) capabilityId: string): Promise<string> {
      return capabilityJson(await this.catalogue.getCapability(kind, capabilityId));
    }

    @Patch(':id')
    @Changes()
    @Header(...JSON_TYPE)
    @ApiOperation({ summary: `Switch a ${noun} on or off, or give it a description of your own` })
    @Accepts(CapabilityPatchSchema)
    @Answers(200, 'Changed', capabilitySchema(kind))
    @Fails('INVALID_PARAMS', 'NOT_FOUND')
    async patch(
      @Param('id', id) capabilityId: string,
      @Body(input(CapabilityPatchSchema)) patch: CapabilityPatch,
    ): Promise<string> {
      return capabilityJson(await this.catalogue.editCapability(kind, capabilityId, patch));
    }
  }

  // The documentation names operations after the class, and a name must not be there twice.
  Object.defineProperty(CapabilityController, 'name', { value: className });
  return CapabilityController;
}
