import { CodedError } from '../../common/errors.js';
import { CAPABILITY_KINDS, type CapabilityKind } from '../capability-kind.js';
import { type CatalogueView } from '../catalogue-view.js';
import { ChangeFeed } from '../change-feed.js';
import { type Page } from '../cursor.js';
import { aggregateOf, type EndpointDescription } from '../endpoint-description.js';
import { type ServerLookups } from './server-lookups.js';
import {
  type VirtualServerDetails,
  type VirtualServerFilter,
  type VirtualServerSpec,
  type VirtualServerSummary,
} from './server-spec.js';
import { ServerWatch } from './server-watch.js';
import { type VirtualServerQueries } from './virtual-server-queries.js';
import { type VirtualServerStore } from './virtual-server-store.js';

/** What clients of a virtual server see has changed, or an administrator has changed the server. */
export interface ServerChange {
  readonly serverId: string;
  /** Kinds whose lists look different now; none, if it was only renamed. */
  readonly kinds: readonly CapabilityKind[];
  /** Removed or disabled: it is no endpoint any more. */
  readonly gone: boolean;
}

export interface VirtualServersOptions {
  readonly store: VirtualServerStore;
  readonly queries: VirtualServerQueries;
  readonly lookups: ServerLookups;
}

/** Virtual servers (SPEC G-9): their records, what their endpoints show, and who must hear that it is something else. */
export class VirtualServers {
  readonly changes = new ChangeFeed<ServerChange>();
  private readonly watch: ServerWatch;

  constructor(private readonly options: VirtualServersOptions) {
    this.watch = new ServerWatch({
      read: (ids) => options.queries.fingerprints(ids),
      onDifference: (serverId, kinds) => this.changes.publish({ serverId, kinds, gone: false }),
    });
  }

  /** @throws CodedError INVALID_PARAMS with every problem of the items, CONFLICT when the name is taken */
  async create(spec: VirtualServerSpec): Promise<VirtualServerDetails> {
    return this.changed(await this.options.store.insert(spec));
  }

  /** @param change what is left out stays; `items` is the whole new selection @throws as `create`; NOT_FOUND */
  async update(id: string, change: Partial<VirtualServerSpec>): Promise<VirtualServerDetails> {
    await this.options.store.update(id, change);
    return this.changed(id);
  }

  /** @throws CodedError NOT_FOUND */
  async remove(id: string): Promise<void> {
    if (!(await this.options.store.remove(id))) throw new CodedError('NOT_FOUND', `there is no virtual server ${id}`);
    await this.applied(id, true);
  }

  /** @throws CodedError NOT_FOUND */
  get(id: string): Promise<VirtualServerDetails> {
    return this.options.queries.get(id);
  }

  list(filter: VirtualServerFilter): Promise<Page<VirtualServerSummary>> {
    return this.options.queries.list(filter);
  }

  /** What the endpoint of this server shows. Nothing is looked up yet. */
  view(serverId: string): CatalogueView {
    const { lookups, queries } = this.options;
    return {
      serverId,
      findTool: (name) => lookups.tool(serverId, name),
      findPrompt: (name) => lookups.prompt(serverId, name),
      findResource: (uri) => lookups.resource(serverId, uri),
      findTemplate: (uriTemplate) => lookups.template(serverId, uriTemplate),
      listPage: (kind, page) => queries.page(kind, page, serverId),
      describe: () => this.describe(serverId),
    };
  }

  /** A change of a server was committed, here or on another replica. @param gone it was removed or disabled */
  async applied(serverId: string, gone: boolean): Promise<void> {
    this.options.lookups.clear();
    if (gone) this.watch.forget(serverId);
    const kinds = gone ? CAPABILITY_KINDS : await this.watch.differencesOf(serverId);
    this.changes.publish({ serverId, kinds, gone });
  }

  /** A change of a gateway was committed and forgotten by the lookups: those hear of it whose lists it has changed. */
  gatewayChanged(): void {
    void this.watch.compareAll();
  }

  /** Who opens a session is asked for here, so from here on the server is watched. */
  private async describe(serverId: string): Promise<EndpointDescription> {
    const { queries } = this.options;
    if (!(await queries.exists(serverId))) {
      throw new CodedError('NOT_FOUND', `there is no virtual server ${serverId}, or it is disabled`);
    }
    await this.watch.watch(serverId);
    return aggregateOf(await queries.declaredBehind(serverId));
  }

  private async changed(id: string): Promise<VirtualServerDetails> {
    const details = await this.options.queries.get(id);
    await this.applied(id, !details.record.enabled);
    return details;
  }
}
