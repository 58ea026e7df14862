import { type DataSource, type EntityManager } from 'typeorm';
import { CodedError } from '../../common/errors.js';
import { type ServerReading } from '../capability-reading.js';
import { type CapabilityChanges, type CapabilityStore } from '../capability-store.js';
import { GatewayRecord } from '../entities/gateway.entity.js';
import { findLocked, isComplete, sameConnection, serverColumns } from '../gateway-store.js';
import { lockNames } from '../name-lock.js';
import { type RefreshKind } from './refresh-kinds.js';

/** What has been asked of a gateway, and what is done (SPEC G-6). */
export interface PendingRefresh {
  readonly dirtySeq: bigint;
  readonly refreshedSeq: bigint;
  readonly kinds: readonly RefreshKind[];
  /** As it was then: how the server is reached. */
  readonly record: GatewayRecord;
}

export interface StoredRefresh {
  readonly changes: CapabilityChanges;
  /** What the server itself told besides its lists is another than before. */
  readonly serverChanged: boolean;
}

/** The database's side of a refresh. Numbers only grow, so nothing depends on clocks or on who is asked. */
export class RefreshStore {
  constructor(
    private readonly database: DataSource,
    private readonly capabilities: CapabilityStore,
  ) {}

  /** Notes that the lists must be read. @returns the number of the request @throws CodedError NOT_FOUND */
  async request(id: string, kinds: readonly RefreshKind[]): Promise<bigint> {
    const [rows] = await this.database.query<[{ dirty_seq: string }[], number]>(
      `UPDATE "gateways" SET "dirty_seq" = "dirty_seq" + 1,
         "dirty_kinds" = ARRAY(SELECT DISTINCT unnest("dirty_kinds" || $2::text[]) ORDER BY 1)
       WHERE "id" = $1 RETURNING "dirty_seq"`,
      [id, kinds],
    );
    const [row] = rows;
    if (!row) throw new CodedError('NOT_FOUND', `there is no gateway ${id}`);
    return BigInt(row.dirty_seq);
  }

  /** To be noted before the first page is asked for. @returns undefined when the gateway is gone */
  async pending(id: string): Promise<PendingRefresh | undefined> {
    const record = await this.database.manager.findOneBy(GatewayRecord, { id });
    if (!record) return undefined;
    return {
      dirtySeq: BigInt(record.dirtySeq),
      refreshedSeq: BigInt(record.refreshedSeq),
      kinds: record.dirtyKinds,
      record,
    };
  }

  /**
   * Stores what was read, in one transaction.
   *
   * @param seen what was pending before the first page was asked for
   * @returns undefined when it is of no use any more: the gateway is gone or leads elsewhere, or what had been asked for
   *   has been covered by another refresh meanwhile
   */
  async commit(
    id: string,
    reading: ServerReading,
    seen: PendingRefresh,
    createdVia: string,
  ): Promise<StoredRefresh | undefined> {
    return this.database.transaction(async (manager) => {
      await lockNames(manager);
      const record = await findLocked(manager, id);
      if (!record || !sameConnection(record, seen.record)) return undefined;
      // Who has covered the same requests read the lists after them, too; whose reading is newer cannot be told.
      if (BigInt(record.refreshedSeq) >= seen.dirtySeq) return undefined;
      const changes = await this.capabilities.apply(manager, record, reading.capabilities, createdVia);
      const serverChanged = await this.updateGateway(manager, record, reading, seen);
      return { changes, serverChanged };
    });
  }

  private async updateGateway(
    manager: EntityManager,
    record: GatewayRecord,
    reading: ServerReading,
    seen: PendingRefresh,
  ): Promise<boolean> {
    const { lastSeen, lastRefreshAt, ...server } = serverColumns(reading);
    // A request that a failed list belongs to is still open.
    const covered = Object.values(reading.capabilities.lists).every((list) => list.status !== 'failed');
    const now = new Date();
    await manager.update(
      GatewayRecord,
      { id: record.id },
      {
        ...server,
        lastSeen,
        ...(isComplete(reading.capabilities) ? { lastRefreshAt } : covered ? { lastRefreshAt: now } : {}),
        ...(covered ? { refreshedSeq: String(seen.dirtySeq) } : {}),
        // Asked for since then: which kinds, cannot be told apart, and to read more is never wrong.
        ...(covered && BigInt(record.dirtySeq) === seen.dirtySeq ? { dirtyKinds: [] } : {}),
        updatedAt: record.updatedAt,
      },
    );
    const members = ['capabilities', 'serverInfo', 'instructions', 'stateful', 'reachable'] as const;
    return members.some((member) => server[member] !== record[member]);
  }
}
