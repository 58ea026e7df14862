import { type DataSource } from 'typeorm';
import { CodedError } from '../common/errors.js';
import { type SecretBox } from '../common/secret-box.js';
import { type Locks } from '../redis/locks.js';
import { CAPABILITY_KINDS, type CapabilityKind } from './capability-kind.js';
import {
  CapabilityQueries,
  type CapabilityEdit,
  type CapabilityFilter,
  type OwnedCapability,
} from './capability-queries.js';
import { type ServerReading } from './capability-reading.js';
import { type CapabilityChanges, CapabilityStore } from './capability-store.js';
import { CapabilityList } from './capability-list.js';
import { type GatewayEntry } from './catalogue-entries.js';
import { CatalogueLookups } from './catalogue-lookups.js';
import { type CatalogueView, viewOf } from './catalogue-view.js';
import { ChangeFeed } from './change-feed.js';
import { type Page } from './cursor.js';
import { type EndpointDescription, EndpointDescriptions } from './endpoint-description.js';
import { type GatewayRecord } from './entities/gateway.entity.js';
import { GatewayEntries } from './gateway-entries.js';
import { type GatewayDetails, type GatewayFilter, GatewayQueries } from './gateway-queries.js';
import { GatewaySecrets, RecordSecrets } from './gateway-secrets.js';
import { CONNECTION_MEMBERS, type GatewaySpec } from './gateway-spec.js';
import { type HealthFinding, type HealthState, HealthStore } from './health-store.js';
import { GatewayRefresh, type RefreshLimits, type RefreshRequest } from './refresh/gateway-refresh.js';
import { type RefreshReport } from './refresh/refresh-report.js';
import { RefreshStore } from './refresh/refresh-store.js';
import { type UpstreamAccess } from './upstream-access.js';
import { type ConnectionColumns, GatewayStore } from './gateway-store.js';
import { ServerLookups } from './servers/server-lookups.js';
import { VirtualServerQueries } from './servers/virtual-server-queries.js';
import { VirtualServerStore } from './servers/virtual-server-store.js';
import { VirtualServers } from './servers/virtual-servers.js';
import { type SessionEvictor } from './session-evictor.js';

export interface CatalogueOptions {
  readonly database: DataSource;
  readonly secretBox: SecretBox;
  readonly sessions: SessionEvictor;
  readonly upstream: UpstreamAccess;
  readonly locks: Locks;
  readonly refresh: RefreshLimits;
  /** `GATEWAY_TOOL_NAME_SEPARATOR`. */
  readonly separator: string;
  /** Milliseconds on a clock that never goes back; for tests of the cache. */
  readonly now?: () => number;
}

/**
 * Gateways and what they offer (SPEC §3): the records, and the memory that calls are answered from. Every change that
 * is committed here drops what the memory knew of the gateway; a changed connection evicts its sessions (P-14).
 */
export class CatalogueService {
  /** What has changed here, after it was committed and forgotten by the cache. */
  readonly changes = new ChangeFeed();
  /** All enabled gateways, under public names. */
  readonly all: CatalogueView;
  readonly servers: VirtualServers;
  private readonly secrets: GatewaySecrets;
  private readonly store: GatewayStore;
  private readonly gateways: GatewayQueries;
  private readonly capabilities: CapabilityQueries;
  private readonly lists: CapabilityList;
  private readonly entries: GatewayEntries;
  private readonly lookups: CatalogueLookups;
  private readonly descriptions: EndpointDescriptions;
  private readonly sessions: SessionEvictor;
  private readonly refresher: GatewayRefresh;
  private readonly health: HealthStore;

  constructor(options: CatalogueOptions) {
    const { database, secretBox, sessions, separator, now } = options;
    this.sessions = sessions;
    this.secrets = new GatewaySecrets(secretBox);
    const records = new CapabilityStore(separator);
    this.store = new GatewayStore(database, records, this.secrets);
    this.gateways = new GatewayQueries(database);
    this.capabilities = new CapabilityQueries(database);
    this.lists = new CapabilityList(database);
    this.entries = new GatewayEntries(this.secrets);
    const { capabilities, gateways, entries } = this;
    const clock = now ? { now } : {};
    const queries = new VirtualServerQueries(database);
    const servers = new ServerLookups({ queries, capabilities, entries, ...clock });
    this.lookups = new CatalogueLookups({ capabilities, gateways, entries, servers, ...clock });
    this.servers = new VirtualServers({ store: new VirtualServerStore(database), queries, lookups: servers });
    this.changes.subscribe(() => this.servers.gatewayChanged());
    this.health = new HealthStore(database);
    this.descriptions = new EndpointDescriptions(database);
    this.all = this.view();
    this.refresher = new GatewayRefresh({
      ...{ upstream: options.upstream, locks: options.locks, limits: options.refresh },
      store: new RefreshStore(database, records),
      targetOf: (record) => this.entries.targetOf(record),
      changed: (id, kinds) => this.refreshed(id, kinds),
    });
  }

  /**
   * Stores a gateway and all that was read of it, in one transaction (SPEC G-2).
   *
   * @param reading undefined stores it unreached
   * @throws CodedError CONFLICT when the name is taken
   */
  async register(spec: GatewaySpec, reading?: ServerReading, id?: string): Promise<GatewayDetails> {
    return this.changed(await this.store.insert(spec, reading, id), false);
  }

  /**
   * @param change only what is to be another value; with another connection goes `reading`, what was read over it
   * @param seen the connection that the change was worked out from
   * @throws CodedError NOT_FOUND, or CONFLICT (name taken; connection changed meanwhile by somebody else)
   */
  async update(
    id: string,
    change: Partial<GatewaySpec>,
    reading?: ServerReading,
    seen?: ConnectionColumns,
  ): Promise<GatewayDetails> {
    await this.store.update(id, change, reading, seen);
    return this.changed(id, change.enabled === false || CONNECTION_MEMBERS.some((member) => member in change));
  }

  /** The first reading of a deferred gateway; undefined when nobody waits for it any more. */
  async fill(id: string, reading: ServerReading, seen: ConnectionColumns): Promise<CapabilityChanges | undefined> {
    const changes = await this.store.fill(id, reading, seen);
    if (changes) await this.changed(id, false);
    return changes;
  }

  /** Notes why a deferred gateway could not be read. */
  noteFailure(id: string, reason: string, message: string): Promise<void> {
    return this.store.noteFailure(id, reason, message);
  }

  /** @throws CodedError NOT_FOUND */
  async remove(id: string): Promise<void> {
    if (!(await this.store.remove(id))) throw new CodedError('NOT_FOUND', `there is no gateway ${id}`);
    this.lookups.invalidateGateway(id);
    this.entries.drop(id);
    this.sessions.evictGateway(id);
    this.changes.publish({ gatewayId: id, kinds: CAPABILITY_KINDS });
  }

  /** @throws CodedError NOT_FOUND */
  get(id: string): Promise<GatewayDetails> {
    return this.gateways.get(id);
  }

  list(filter: GatewayFilter): Promise<Page<GatewayDetails>> {
    return this.gateways.list(filter);
  }

  nameTaken(name: string): Promise<boolean> {
    return this.gateways.nameTaken(name);
  }

  /** Ids of deferred gateways that were never read. */
  neverRead(): Promise<string[]> {
    return this.gateways.neverRead();
  }

  /** Ids of the enabled gateways; asks the database. */
  enabledGatewayIds(): Promise<string[]> {
    return this.gateways.enabledIds();
  }

  /** What is secret in a record, in clear; to read a member throws CodedError INTERNAL when the key is another one. */
  secretsOf(record: GatewayRecord): RecordSecrets {
    return new RecordSecrets(this.secrets, record);
  }

  listCapabilities(kind: CapabilityKind, filter: CapabilityFilter): Promise<Page<OwnedCapability>> {
    return this.capabilities.list(kind, filter);
  }

  /** @throws CodedError NOT_FOUND */
  getCapability(kind: CapabilityKind, id: string): Promise<OwnedCapability> {
    return this.capabilities.get(kind, id);
  }

  /** What an administrator sets; it survives every refresh (SPEC G-5). @throws CodedError NOT_FOUND */
  async editCapability(kind: CapabilityKind, id: string, edit: CapabilityEdit): Promise<OwnedCapability> {
    const record = await this.capabilities.edit(kind, id, edit);
    this.lookups.invalidateGateway(record.gatewayId);
    this.changes.publish({ gatewayId: record.gatewayId, kinds: [kind] });
    return record;
  }

  /** The gateway in memory; disabled ones too. Synchronous and without the database while the cache is warm (G-8). */
  findGateway(id: string): GatewayEntry | undefined | Promise<GatewayEntry | undefined> {
    return this.lookups.gateway(id);
  }

  /**
   * Reads lists of a gateway anew and stores what has changed (SPEC G-5, G-6).
   *
   * @throws CodedError NOT_FOUND; CONFLICT while another refresh runs, if the request does not wait; what kept the server
   *   from being read
   */
  refresh(id: string, request: RefreshRequest, signal: AbortSignal): Promise<RefreshReport> {
    return this.refresher.run(id, request, signal);
  }

  /** The gateways that health checks look at (SPEC G-7). */
  healthStates(): Promise<HealthState[]> {
    return this.health.states();
  }

  /** Stores what health checks have found. @returns false when it is out of date; nothing is changed then */
  async noteHealth(seen: HealthState, finding: HealthFinding): Promise<boolean> {
    if (!(await this.health.note(seen, finding))) return false;
    await this.renew(seen.id);
    this.changes.publish({ gatewayId: seen.id, kinds: [] });
    return true;
  }

  /** One gateway alone, with its own names (SPEC G-10). Nothing is looked up yet. */
  gatewayAlone(id: string): CatalogueView {
    return this.view(id);
  }

  private view(gatewayId?: string): CatalogueView {
    const { lookups, lists } = this;
    return viewOf({ lookups, lists, describe: (id) => this.describe(id) }, gatewayId);
  }

  private async describe(gatewayId?: string): Promise<EndpointDescription> {
    if (gatewayId === undefined) return this.descriptions.ofAll();
    const description = await this.descriptions.ofGateway(gatewayId);
    if (!description) throw new CodedError('NOT_FOUND', `there is no gateway ${gatewayId}`);
    return description;
  }

  private async refreshed(id: string, kinds: readonly CapabilityKind[]): Promise<void> {
    const record = await this.renew(id);
    if (record?.enabled && kinds.length > 0) this.changes.publish({ gatewayId: id, kinds });
  }

  /** What is remembered of the gateway is dropped, and calls see the newest record. */
  private async renew(id: string): Promise<GatewayRecord | undefined> {
    this.lookups.invalidateGateway(id);
    const record = await this.gateways.find(id);
    if (record) this.entries.renew(record);
    return record;
  }

  private async changed(id: string, connectionChanged: boolean): Promise<GatewayDetails> {
    this.lookups.invalidateGateway(id);
    const details = await this.gateways.get(id);
    this.entries.renew(details.record);
    if (connectionChanged) this.sessions.evictGateway(id);
    this.changes.publish({ gatewayId: id, kinds: CAPABILITY_KINDS });
    return details;
  }
}
