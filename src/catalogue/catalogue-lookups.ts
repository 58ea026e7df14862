import { type CapabilityQueries, type OwnedCapability } from './capability-queries.js';
import {
  type GatewayEntry,
  type Lookup,
  type NamedEntry,
  namedEntry,
  nameJson,
  nounOf,
  type PromptLookup,
  type ResourceEntry,
  type ResourceLookup,
  toolEntry,
  type ToolEntry,
  type ToolLookup,
} from './catalogue-entries.js';
import { type GatewayRecord } from './entities/gateway.entity.js';
import { type GatewayEntries } from './gateway-entries.js';
import { type GatewayQueries } from './gateway-queries.js';
import { LookupCache } from './lookup-cache.js';
import { isPublicName, isPublicUri } from './naming.js';
import { type FoundResource, ResourceFinder, TemplateSet } from './resource-finder.js';

export interface CatalogueLookupsOptions {
  readonly capabilities: CapabilityQueries;
  readonly gateways: GatewayQueries;
  readonly entries: GatewayEntries;
  readonly now?: () => number;
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const MISSING = { kind: 'missing' } as const;
/** URIs are long, and a template stands for any number of them. */
const MAX_URIS = 5_000;
/** The one key of the one set. */
const TEMPLATES = 'templates';

/**
 * What calls look up, each kind in a memory of its own (SPEC G-8). What cannot be a name of ours is not asked for: a name
 * is input, and the database does not take every string.
 */
export class CatalogueLookups {
  private readonly tools: LookupCache<OwnedCapability, ToolLookup>;
  private readonly prompts: LookupCache<OwnedCapability, PromptLookup>;
  private readonly templates: LookupCache<TemplateSet, TemplateSet>;
  private readonly resources: LookupCache<FoundResource, ResourceLookup>;
  private readonly gateways: LookupCache<GatewayRecord, GatewayEntry | undefined>;

  constructor(private readonly options: CatalogueLookupsOptions) {
    this.tools = this.namedCache<ToolEntry>('tool', toolEntry);
    this.prompts = this.namedCache<NamedEntry>('prompt', namedEntry);
    this.templates = this.templateCache();
    this.resources = this.resourceCache();
    this.gateways = this.gatewayCache();
  }

  tool(publicName: string): ToolLookup | Promise<ToolLookup> {
    return isPublicName(publicName) ? this.tools.get(publicName) : MISSING;
  }

  prompt(publicName: string): PromptLookup | Promise<PromptLookup> {
    return isPublicName(publicName) ? this.prompts.get(publicName) : MISSING;
  }

  resource(uri: string): ResourceLookup | Promise<ResourceLookup> {
    return isPublicUri(uri) ? this.resources.get(uri) : MISSING;
  }

  gateway(id: string): GatewayEntry | undefined | Promise<GatewayEntry | undefined> {
    return UUID.test(id) ? this.gateways.get(id) : undefined;
  }

  /** A change of the gateway was committed. */
  invalidateGateway(id: string): void {
    for (const cache of [this.templates, this.tools, this.prompts, this.resources, this.gateways]) {
      cache.invalidateGateway(id);
    }
  }

  private namedCache<E>(kind: 'tool' | 'prompt', entryOf: (row: OwnedCapability, gateway: GatewayEntry) => E) {
    return new LookupCache<OwnedCapability, Lookup<E>>({
      ...this.clock,
      load: (name) => this.options.capabilities.findPublic(kind, name),
      build: (row) => this.offered(row, (gateway) => entryOf(row, gateway)),
      missing: MISSING,
      gatewayIdOf: (row) => row.gatewayId,
    });
  }

  private templateCache() {
    return new LookupCache<TemplateSet, TemplateSet>({
      ...this.clock,
      load: async () => new TemplateSet(await this.options.capabilities.visibleTemplates()),
      build: (set) => set,
      missing: new TemplateSet([]),
      gatewayIdOf: () => undefined,
      max: 1,
    });
  }

  private resourceCache() {
    const finder = new ResourceFinder(this.options.capabilities, () => this.templates.get(TEMPLATES));
    return new LookupCache<FoundResource, ResourceLookup>({
      ...this.clock,
      load: (uri) => finder.find(uri),
      build: (found) => this.offered(found.record, (gateway) => resourceEntry(found, gateway)),
      missing: MISSING,
      gatewayIdOf: ({ record, template }) => (template ? undefined : record.gatewayId),
      max: MAX_URIS,
    });
  }

  private gatewayCache() {
    const { gateways, entries } = this.options;
    return new LookupCache<GatewayRecord, GatewayEntry | undefined>({
      ...this.clock,
      load: (id) => gateways.find(id),
      build: (record) => entries.entryOf(record),
      missing: undefined,
      gatewayIdOf: (record) => record.id,
    });
  }

  private offered<E>(row: OwnedCapability, entry: (gateway: GatewayEntry) => E): Lookup<E> {
    if (!row.gateway.enabled) return { kind: 'disabled', what: 'gateway', name: row.gateway.name };
    if (!row.enabled) return { kind: 'disabled', what: nounOf(row.kind), name: row.publicName };
    return { kind: 'found', entry: entry(this.options.entries.entryOf(row.gateway)) };
  }

  private get clock(): { readonly now?: () => number } {
    const { now } = this.options;
    return now ? { now } : {};
  }
}

function resourceEntry({ record, template }: FoundResource, gateway: GatewayEntry): ResourceEntry {
  if (!template) {
    const { publicName: publicUri, originalName: originalUri } = record;
    return { publicUri, originalUri, originalUriJson: nameJson(record), gateway };
  }
  return { ...template, originalUriJson: Buffer.from(JSON.stringify(template.originalUri)), gateway };
}
