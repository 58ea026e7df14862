import { type CapabilityKind } from './capability-kind.js';
import { type CapabilityQueries, type OwnedCapability } from './capability-queries.js';
import {
  type GatewayEntry,
  type Lookup,
  type NamedEntry,
  namedEntry,
  nounOf,
  type PromptLookup,
  resourceEntry,
  type ResourceLookup,
  toolEntry,
  type ToolEntry,
  type ToolLookup,
} from './catalogue-entries.js';
import { type GatewayRecord } from './entities/gateway.entity.js';
import { type GatewayEntries } from './gateway-entries.js';
import { type GatewayQueries } from './gateway-queries.js';
import { LookupCache } from './lookup-cache.js';
import { isOriginalName, isPublicName, isPublicUri } from './naming.js';
import { type FoundResource, ResourceFinder, TemplateSet } from './resource-finder.js';

export interface CatalogueLookupsOptions {
  readonly capabilities: CapabilityQueries;
  readonly gateways: GatewayQueries;
  readonly entries: GatewayEntries;
  /** Those of virtual servers, which any gateway may be behind. */
  readonly servers: { clear(): void };
  readonly now?: () => number;
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const MISSING = { kind: 'missing' } as const;
/** URIs are long, and a template stands for any number of them. */
const MAX_URIS = 5_000;
/** Template sets that are remembered: one for all gateways, and those of single ones. */
const MAX_TEMPLATE_SETS = 1_000;
/** The key of the set of all gateways. */
const ALL = '';
/** Between the id of a gateway and what that gateway itself calls something; no public name or URI can hold it. */
const MARK = '\n';

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
  private readonly references: LookupCache<FoundResource, ResourceLookup>;

  constructor(private readonly options: CatalogueLookupsOptions) {
    this.tools = this.namedCache<ToolEntry>('tool', toolEntry);
    this.prompts = this.namedCache<NamedEntry>('prompt', namedEntry);
    this.templates = this.templateCache();
    this.resources = this.resourceCache();
    this.gateways = this.gatewayCache();
    this.references = this.referenceCache();
  }

  /** @param gatewayId where given, `name` is what this gateway itself calls it (SPEC G-10); so in the next ones */
  tool(name: string, gatewayId?: string): ToolLookup | Promise<ToolLookup> {
    return nameable(name, gatewayId) ? this.tools.get(keyOf(name, gatewayId)) : MISSING;
  }

  prompt(name: string, gatewayId?: string): PromptLookup | Promise<PromptLookup> {
    return nameable(name, gatewayId) ? this.prompts.get(keyOf(name, gatewayId)) : MISSING;
  }

  resource(uri: string, gatewayId?: string): ResourceLookup | Promise<ResourceLookup> {
    return isUri(uri) ? this.resources.get(keyOf(uri, gatewayId)) : MISSING;
  }

  /** By the template itself, not by a URI that it stands for (completion). */
  template(uriTemplate: string, gatewayId?: string): ResourceLookup | Promise<ResourceLookup> {
    return isUri(uriTemplate) ? this.references.get(keyOf(uriTemplate, gatewayId)) : MISSING;
  }

  gateway(id: string): GatewayEntry | undefined | Promise<GatewayEntry | undefined> {
    return UUID.test(id) ? this.gateways.get(id) : undefined;
  }

  /** A change of the gateway was committed. */
  invalidateGateway(id: string): void {
    this.options.servers.clear();
    for (const cache of [
      ...[this.templates, this.tools, this.prompts],
      ...[this.resources, this.references, this.gateways],
    ]) {
      cache.invalidateGateway(id);
    }
  }

  private namedCache<E>(kind: 'tool' | 'prompt', entryOf: (row: OwnedCapability, gateway: GatewayEntry) => E) {
    return new LookupCache<OwnedCapability, Lookup<E>>({
      ...this.clock,
      load: (key) => this.named(kind, key),
      build: (row) => this.offered(row, (gateway) => entryOf(row, gateway)),
      missing: MISSING,
      gatewayIdOf: (row) => row.gatewayId,
    });
  }

  private named(kind: CapabilityKind, key: string): Promise<OwnedCapability | undefined> {
    const { name, gatewayId } = partsOf(key);
    const { capabilities } = this.options;
    return gatewayId === undefined
      ? capabilities.findPublic(kind, name)
      : capabilities.findOriginal(kind, gatewayId, name);
  }

  private referenceCache() {
    return new LookupCache<FoundResource, ResourceLookup>({
      ...this.clock,
      load: async (key) => {
        const record = await this.named('resource_template', key);
        if (!record) return undefined;
        const uris = { publicUri: partsOf(key).name, originalUri: record.originalName };
        return { record, uris, viaTemplate: true };
      },
      build: (found) => this.offered(found.record, (gateway) => resourceEntry(found, gateway)),
      missing: MISSING,
      gatewayIdOf: ({ record }) => record.gatewayId,
      max: MAX_URIS,
    });
  }

  private templateCache() {
    return new LookupCache<TemplateSet, TemplateSet>({
      ...this.clock,
      load: async (key) => new TemplateSet(await this.options.capabilities.templates(key === ALL ? undefined : key)),
      build: (set) => set,
      missing: new TemplateSet([]),
      gatewayIdOf: () => undefined,
      max: MAX_TEMPLATE_SETS,
    });
  }

  private resourceCache() {
    const finder = new ResourceFinder(this.options.capabilities, (gatewayId) => this.templates.get(gatewayId ?? ALL));
    return new LookupCache<FoundResource, ResourceLookup>({
      ...this.clock,
      load: (key) => {
        const { name, gatewayId } = partsOf(key);
        return finder.find(name, gatewayId);
      },
      build: (found) => this.offered(found.record, (gateway) => resourceEntry(found, gateway)),
      missing: MISSING,
      gatewayIdOf: ({ record, viaTemplate }) => (viaTemplate ? undefined : record.gatewayId),
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

function keyOf(name: string, gatewayId: string | undefined): string {
  return gatewayId === undefined ? name : `${gatewayId}${MARK}${name}`;
}

function partsOf(key: string): { readonly name: string; readonly gatewayId?: string } {
  const at = key.indexOf(MARK);
  return at < 0 ? { name: key } : { gatewayId: key.slice(0, at), name: key.slice(at + 1) };
}

function nameable(name: string, gatewayId: string | undefined): boolean {
  return gatewayId === undefined ? isPublicName(name) : isOriginalName(name);
}

function isUri(text: string): boolean {
  return isPublicUri(text) && !text.includes(MARK);
}
