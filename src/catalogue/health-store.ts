import { type DataSource } from 'typeorm';
import { GatewayRecord } from './entities/gateway.entity.js';
import { storable } from './gateway-store.js';

/** What the record says of a gateway's health. */
export type HealthState = Pick<GatewayRecord, 'id' | 'name' | 'reachable' | 'lastSeen' | 'lastErrorReason'>;

/** What health checks have found. */
export type HealthFinding =
  | { readonly reachable: true; readonly lastSeen: Date }
  | {
      readonly reachable: false;
      /** When it was last known to answer. */
      readonly lastSeen: Date | null;
      readonly reason: string | null;
      readonly message: string;
    };

/** The database's side of health (SPEC G-7). What an administrator set is only read. */
export class HealthStore {
  constructor(private readonly database: DataSource) {}

  /** Enabled gateways that were reached once; the others are disabled, or deferred and tried elsewhere. */
  states(): Promise<HealthState[]> {
    return this.database.manager
      .createQueryBuilder(GatewayRecord, 'g')
      .select(['g.id', 'g.name', 'g.reachable', 'g.lastSeen', 'g.lastErrorReason'])
      .where('g.enabled AND g.transport IS NOT NULL')
      .getMany();
  }

  /**
   * @param seen the state that the finding was worked out from
   * @returns false when it is of no use any more: the gateway is gone or disabled, or somebody else has reached it since
   *   (every reading renews `lastSeen`, so one of another connection counts as such)
   */
  async note(seen: HealthState, finding: HealthFinding): Promise<boolean> {
    const { reachable, lastSeen } = finding;
    const [reason, message] = finding.reachable ? [null, null] : [finding.reason, storable(finding.message)];
    const [, affected] = await this.database.query<[unknown[], number]>(
      `UPDATE "gateways" SET "reachable" = $2, "last_seen" = $3, "last_error_reason" = $4, "last_error" = $5
       WHERE "id" = $1 AND "enabled" AND "reachable" = $6 AND "last_seen" IS NOT DISTINCT FROM $7::timestamptz`,
      [seen.id, reachable, lastSeen, reason, message, seen.reachable, seen.lastSeen],
    );
    return affected > 0;
  }
}
