import { type CapabilityQueries } from '../capability-queries.js';
import {
  type Lookup,
  type PromptLookup,
  resourceEntry,
  type ResourceLookup,
  type ToolLookup,
} from '../catalogue-entries.js';
import { type GatewayEntries } from '../gateway-entries.js';
import { LookupCache } from '../lookup-cache.js';
import { isPublicUri } from '../naming.js';
import { type FoundResource } from '../resource-finder.js';
import { ServerSelection } from './server-selection.js';
import { type ServerItem } from './server-spec.js';
import { type VirtualServerQueries } from './virtual-server-queries.js';

export interface ServerLookupsOptions {
  readonly queries: VirtualServerQueries;
  readonly capabilities: CapabilityQueries;
  readonly entries: GatewayEntries;
  readonly now?: () => number;
}

const MISSING = { kind: 'missing' } as const;
/** Selections are large, so fewer than of single tools are kept. */
const MAX_SELECTIONS = 1_000;
/** URIs that templates stand for, over all servers. */
const MAX_URIS = 5_000;
/** Between the id of a server and a URI. */
const MARK = '\n';

/**
 * What calls on virtual servers look up (SPEC G-8, G-9): the selection of a server is read once, and everything but the
 * URIs that its templates stand for is answered from it. What is not in it, or disabled, is unknown there.
 */
export class ServerLookups {
  private readonly selections: LookupCache<readonly ServerItem[], ServerSelection | undefined>;
  private readonly viaTemplate: LookupCache<FoundResource, ResourceLookup>;

  constructor(private readonly options: ServerLookupsOptions) {
    const { queries, entries, now } = options;
    const shared = { gatewayIdOf: () => undefined, ...(now ? { now } : {}) };
    this.selections = new LookupCache<readonly ServerItem[], ServerSelection | undefined>({
      ...shared,
      load: (id) => queries.selection(id),
      build: (items) => new ServerSelection(items, ({ gateway }) => entries.entryOf(gateway)),
      missing: undefined,
      max: MAX_SELECTIONS,
    });
    this.viaTemplate = new LookupCache<FoundResource, ResourceLookup>({
      ...shared,
      load: (key) => this.findByTemplate(key),
      build: (found) => ({ kind: 'found', entry: resourceEntry(found, entries.entryOf(found.record.gateway)) }),
      missing: MISSING,
      max: MAX_URIS,
    });
  }

  tool(serverId: string, name: string): ToolLookup | Promise<ToolLookup> {
    return after(this.selections.get(serverId), (selection) => lookupOf(selection?.tools.get(name)));
  }

  prompt(serverId: string, name: string): PromptLookup | Promise<PromptLookup> {
    return after(this.selections.get(serverId), (selection) => lookupOf(selection?.prompts.get(name)));
  }

  resource(serverId: string, uri: string): ResourceLookup | Promise<ResourceLookup> {
    return after<ServerSelection | undefined, ResourceLookup>(this.selections.get(serverId), (selection) => {
      const entry = selection?.resources.get(uri);
      if (entry || !isPublicUri(uri) || uri.includes(MARK)) return lookupOf(entry);
      return selection?.templateOf(uri) ? this.viaTemplate.get(`${serverId}${MARK}${uri}`) : MISSING;
    });
  }

  template(serverId: string, uriTemplate: string): ResourceLookup | Promise<ResourceLookup> {
    return after(this.selections.get(serverId), (selection) => lookupOf(selection?.references.get(uriTemplate)));
  }

  /** A change of a gateway or of a server was committed. */
  clear(): void {
    this.selections.clear();
    this.viaTemplate.clear();
  }

  /** Undefined also where the URI has a record of its own that is disabled: no template leads around that. */
  private async findByTemplate(key: string): Promise<FoundResource | undefined> {
    const at = key.indexOf(MARK);
    const [serverId, uri] = [key.slice(0, at), key.slice(at + 1)];
    const match = (await this.selections.get(serverId))?.templateOf(uri);
    if (!match) return undefined;
    const { template, originalUri } = match;
    const own = await this.options.capabilities.findOriginal('resource', template.gatewayId, originalUri);
    if (own && !own.enabled) return undefined;
    return { record: own ?? template, viaTemplate: true, uris: { publicUri: uri, originalUri } };
  }
}

function lookupOf<E>(entry: E | undefined): Lookup<E> {
  return entry === undefined ? MISSING : { kind: 'found', entry };
}

/** Goes on at once with what is there already. */
function after<T, R>(value: T | Promise<T>, next: (value: T) => R | Promise<R>): R | Promise<R> {
  return value instanceof Promise ? value.then(next) : next(value);
}
