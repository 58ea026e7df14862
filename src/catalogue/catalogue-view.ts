import { type CapabilityKind } from './capability-kind.js';
import { type CapabilityList } from './capability-list.js';
import { type PromptLookup, type ResourceLookup, type ToolLookup } from './catalogue-entries.js';
import { type CatalogueLookups } from './catalogue-lookups.js';
import { type Page, type PageRequest } from './cursor.js';
import { type EndpointDescription } from './endpoint-description.js';

/**
 * What one endpoint shows of the catalogue, and under which names. Lookups are synchronous and without the database
 * while the cache is warm (SPEC G-8).
 */
export interface CatalogueView {
  /** One gateway alone. Neither this nor a server: all gateways, under public names (`/mcp`). */
  readonly gatewayId?: string;
  /** One virtual server: what it selects and nothing else (SPEC G-9). */
  readonly serverId?: string;
  findTool(name: string): ToolLookup | Promise<ToolLookup>;
  findPrompt(name: string): PromptLookup | Promise<PromptLookup>;
  /** A URI of no record is resolved by the best template (SPEC G-4). */
  findResource(uri: string): ResourceLookup | Promise<ResourceLookup>;
  /** By the template itself. */
  findTemplate(uriTemplate: string): ResourceLookup | Promise<ResourceLookup>;
  /** One page of a list, each item the bytes of one entry (SPEC D-6, D-7). @throws CodedError INVALID_PARAMS */
  listPage(kind: CapabilityKind, page: PageRequest): Promise<Page<Buffer>>;
  /** @throws CodedError NOT_FOUND when the gateway or server is gone */
  describe(): EndpointDescription | Promise<EndpointDescription>;
}

/** Where a view reads. */
export interface ViewSources {
  readonly lookups: CatalogueLookups;
  readonly lists: CapabilityList;
  readonly describe: (gatewayId?: string) => EndpointDescription | Promise<EndpointDescription>;
}

/** @param gatewayId one gateway alone, with its own names, untouched (SPEC G-10); undefined: all of them */
export function viewOf({ lookups, lists, describe }: ViewSources, gatewayId?: string): CatalogueView {
  return {
    ...(gatewayId === undefined ? {} : { gatewayId }),
    findTool: (name) => lookups.tool(name, gatewayId),
    findPrompt: (name) => lookups.prompt(name, gatewayId),
    findResource: (uri) => lookups.resource(uri, gatewayId),
    findTemplate: (uriTemplate) => lookups.template(uriTemplate, gatewayId),
    listPage: (kind, page) => lists.page(kind, page, gatewayId),
    describe: () => describe(gatewayId),
  };
}
