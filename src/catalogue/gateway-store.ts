import { randomUUID } from 'node:crypto';
import { type DataSource, type EntityManager, QueryFailedError } from 'typeorm';
import { CodedError } from '../common/errors.js';
import { type CapabilityReading, type ServerReading } from './capability-reading.js';
import { type CapabilityChanges, type CapabilityStore } from './capability-store.js';
import { GatewayRecord } from './entities/gateway.entity.js';
import { type GatewaySecrets } from './gateway-secrets.js';
import { type GatewaySpec } from './gateway-spec.js';
import { lockNames } from './name-lock.js';
import { slugFor } from './naming.js';

/** The columns that decide how a gateway is reached. */
const CONNECTION_COLUMNS = ['url', 'urlSealed', 'transportChoice', 'authSealed', 'tlsSealed'] as const;
export type ConnectionColumns = Pick<GatewayRecord, (typeof CONNECTION_COLUMNS)[number]>;

export type ServerColumns = Omit<
  GatewayRecord,
  keyof SpecColumns | 'id' | 'slug' | 'dirtySeq' | 'refreshedSeq' | 'dirtyKinds' | 'createdAt' | 'updatedAt'
>;
type SpecColumns = Pick<
  GatewayRecord,
  | 'name'
  | 'url'
  | 'urlSealed'
  | 'transportChoice'
  | 'description'
  | 'tags'
  | 'enabled'
  | 'sessionPolicy'
  | 'authSealed'
  | 'tlsSealed'
  | 'passthroughHeaders'
>;

const UNIQUE_VIOLATION = '23505';

/** Writes gateways, each change in one transaction (SPEC G-2). */
export class GatewayStore {
  constructor(
    private readonly database: DataSource,
    private readonly capabilities: CapabilityStore,
    private readonly secrets: GatewaySecrets,
  ) {}

  /**
   * @param reading what the server told; undefined stores the gateway unreached (`deferred`)
   * @throws CodedError CONFLICT when the name is taken
   */
  async insert(spec: GatewaySpec, reading: ServerReading | undefined, id: string = randomUUID()): Promise<string> {
    await this.transaction(async (manager) => {
      await lockNames(manager);
      const slug = await freeSlug(manager, spec.name, id);
      const server = reading ? serverColumns(reading) : UNREACHED;
      await manager.insert(GatewayRecord, { id, slug, ...this.specColumns(id, spec), ...server });
      if (reading) await this.capabilities.apply(manager, { id, slug }, reading.capabilities, 'registration');
    });
    return id;
  }

  /**
   * @param change the new values; with `reading` the server was read under them
   * @param seen the connection that `change` was made for; another one by now means that somebody else changed it
   * @throws CodedError NOT_FOUND, or CONFLICT when the name is taken or `seen` is not the connection any more
   */
  async update(
    id: string,
    change: Partial<GatewaySpec>,
    reading?: ServerReading,
    seen?: ConnectionColumns,
  ): Promise<void> {
    await this.transaction(async (manager) => {
      await lockNames(manager);
      const record = await lockGateway(manager, id);
      if (seen && !sameConnection(record, seen)) {
        throw new CodedError('CONFLICT', `gateway ${record.name} was changed meanwhile; look at it and try again`);
      }
      const server = reading ? serverColumns(reading) : {};
      await manager.update(
        GatewayRecord,
        { id },
        { ...this.specColumns(id, change), ...server, updatedAt: new Date() },
      );
      if (reading) await this.capabilities.apply(manager, record, reading.capabilities, 'registration');
    });
  }

  /**
   * Stores the first reading of a deferred gateway.
   *
   * @returns what it changed; undefined when the gateway is gone, was read by somebody else or leads elsewhere by now
   */
  async fill(id: string, reading: ServerReading, seen: ConnectionColumns): Promise<CapabilityChanges | undefined> {
    return this.transaction(async (manager) => {
      await lockNames(manager);
      const record = await findLocked(manager, id);
      if (!record || record.lastRefreshAt !== null || !sameConnection(record, seen)) return undefined;
      await manager.update(GatewayRecord, { id }, serverColumns(reading));
      return this.capabilities.apply(manager, record, reading.capabilities, 'registration');
    });
  }

  /** Notes why a gateway that was never read cannot be read. */
  async noteFailure(id: string, reason: string, message: string): Promise<void> {
    const failure = { lastErrorReason: reason, lastError: storable(message) };
    await this.database.manager
      .createQueryBuilder()
      .update(GatewayRecord)
      .set(failure)
      .where('id = :id AND last_refresh_at IS NULL', { id })
      .execute();
  }

  /** @returns whether there was one; its capabilities go with it */
  async remove(id: string): Promise<boolean> {
    const { affected } = await this.database.manager.delete(GatewayRecord, { id });
    return (affected ?? 0) > 0;
  }

  private specColumns(id: string, spec: GatewaySpec): SpecColumns;
  private specColumns(id: string, spec: Partial<GatewaySpec>): Partial<SpecColumns>;
  private specColumns(id: string, spec: Partial<GatewaySpec>): Partial<SpecColumns> {
    const { url, transport, auth, tls, tags, passthroughHeaders, ...plain } = spec;
    return {
      ...plain,
      ...(url === undefined ? {} : this.secrets.sealUrl(id, url)),
      ...(transport === undefined ? {} : { transportChoice: transport }),
      ...(auth === undefined ? {} : { authSealed: this.secrets.sealAuth(id, auth) }),
      ...(tls === undefined ? {} : { tlsSealed: this.secrets.sealTls(id, tls) }),
      ...(tags === undefined ? {} : { tags: [...tags] }),
      ...(passthroughHeaders === undefined ? {} : { passthroughHeaders: [...passthroughHeaders] }),
    };
  }

  private async transaction<T>(work: (manager: EntityManager) => Promise<T>): Promise<T> {
    try {
      return await this.database.transaction(work);
    } catch (error) {
      if (isTakenName(error)) throw new CodedError('CONFLICT', 'a gateway with this name exists already');
      throw error;
    }
  }
}

const UNREACHED: ServerColumns = {
  transport: null,
  stateful: null,
  capabilities: null,
  serverInfo: null,
  instructions: null,
  protocolVersion: null,
  reachable: false,
  lastSeen: null,
  lastErrorReason: null,
  lastError: null,
  lastRefreshAt: null,
};

export function serverColumns({ transport, stateful, server, capabilities }: ServerReading): ServerColumns {
  const now = new Date();
  return {
    transport,
    stateful,
    capabilities: JSON.stringify(server.capabilities),
    serverInfo: JSON.stringify(server.serverInfo),
    instructions: server.instructions === undefined ? null : storable(server.instructions),
    protocolVersion: storable(server.protocolVersion),
    reachable: true,
    lastSeen: now,
    lastErrorReason: null,
    lastError: null,
    lastRefreshAt: isComplete(capabilities) ? now : null,
  };
}

export function isComplete(reading: CapabilityReading): boolean {
  return Object.values(reading.lists).every((list) => list.status === 'read' || list.status === 'absent');
}

/** Postgres has no NUL in text. */
export function storable(text: string): string {
  return text.replaceAll('\0', '\ufffd');
}

async function freeSlug(manager: EntityManager, name: string, id: string): Promise<string> {
  const taken = new Set<string>();
  for (;;) {
    const slug = slugFor(name, id, (candidate) => taken.has(candidate));
    if (!(await manager.existsBy(GatewayRecord, { slug }))) return slug;
    taken.add(slug);
  }
}

export function findLocked(manager: EntityManager, id: string): Promise<GatewayRecord | null> {
  return manager.findOne(GatewayRecord, { where: { id }, lock: { mode: 'pessimistic_write' } });
}

async function lockGateway(manager: EntityManager, id: string): Promise<GatewayRecord> {
  const record = await findLocked(manager, id);
  if (!record) throw new CodedError('NOT_FOUND', `there is no gateway ${id}`);
  return record;
}

export function sameConnection(a: ConnectionColumns, b: ConnectionColumns): boolean {
  return CONNECTION_COLUMNS.every((column) => a[column] === b[column]);
}

function isTakenName(error: unknown): boolean {
  if (!(error instanceof QueryFailedError)) return false;
  const { code, constraint } = error.driverError as { code?: string; constraint?: string };
  return code === UNIQUE_VIOLATION && constraint === 'uq_gateways_name';
}
