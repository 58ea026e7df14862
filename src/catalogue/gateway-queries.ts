import { type DataSource, In, type SelectQueryBuilder } from 'typeorm';
import { CodedError } from '../common/errors.js';
import { type CapabilityKind } from './capability-kind.js';
import { decodeCursor, type Page, pageOf, type PageRequest } from './cursor.js';
import { CapabilityRecord } from './entities/capability.entity.js';
import { GatewayRecord } from './entities/gateway.entity.js';
import { containing } from './like.js';

export interface GatewayFilter extends PageRequest {
  readonly enabled?: boolean;
  readonly reachable?: boolean;
  readonly tag?: string;
  /** Part of the name, the slug or the description. */
  readonly search?: string;
}

export type CapabilityCounts = Readonly<Record<CapabilityKind, number>>;

/** A gateway with the number of its capability records. */
export interface GatewayDetails {
  readonly record: GatewayRecord;
  readonly counts: CapabilityCounts;
}

const LIST = 'gateways';

/** Reads gateways. */
export class GatewayQueries {
  constructor(private readonly database: DataSource) {}

  /** @throws CodedError NOT_FOUND */
  async get(id: string): Promise<GatewayDetails> {
    const record = await this.find(id);
    if (!record) throw new CodedError('NOT_FOUND', `there is no gateway ${id}`);
    const counts = await this.countsOf([id]);
    return { record, counts: counts.get(id) ?? NONE };
  }

  async find(id: string): Promise<GatewayRecord | undefined> {
    return (await this.database.manager.findOneBy(GatewayRecord, { id })) ?? undefined;
  }

  nameTaken(name: string): Promise<boolean> {
    return this.database.manager.existsBy(GatewayRecord, { name });
  }

  /** Ordered by name. @throws CodedError INVALID_PARAMS for a cursor that is none */
  async list(filter: GatewayFilter): Promise<Page<GatewayDetails>> {
    const query = this.database.manager
      .createQueryBuilder(GatewayRecord, 'g')
      .orderBy('g.name')
      .take(filter.limit + 1);
    if (filter.cursor !== undefined) query.andWhere('g.name > :after', { after: decodeCursor(LIST, filter.cursor) });
    narrow(query, filter);
    const page = pageOf(LIST, await query.getMany(), filter.limit, (record) => record.name);
    const counts = await this.countsOf(page.items.map((record) => record.id));
    return { ...page, items: page.items.map((record) => ({ record, counts: counts.get(record.id) ?? NONE })) };
  }

  /** Gateways that were stored deferred and have never been read. */
  async neverRead(): Promise<string[]> {
    const rows = await this.database.manager
      .createQueryBuilder(GatewayRecord, 'g')
      .select('g.id', 'id')
      .where('g.last_refresh_at IS NULL')
      .getRawMany<{ id: string }>();
    return rows.map((row) => row.id);
  }

  async enabledIds(): Promise<string[]> {
    const rows = await this.database.manager.find(GatewayRecord, { select: { id: true }, where: { enabled: true } });
    return rows.map(({ id }) => id);
  }

  private async countsOf(ids: readonly string[]): Promise<Map<string, CapabilityCounts>> {
    const counts = new Map<string, CapabilityCounts>();
    if (ids.length === 0) return counts;
    const rows = await this.database.manager
      .createQueryBuilder(CapabilityRecord, 'c')
      .select(['c.gateway_id AS "gatewayId"', 'c.kind AS "kind"', 'count(*)::integer AS "count"'])
      .where({ gatewayId: In([...ids]) })
      .groupBy('c.gateway_id')
      .addGroupBy('c.kind')
      .getRawMany<{ gatewayId: string; kind: CapabilityKind; count: number }>();
    for (const { gatewayId, kind, count } of rows) {
      counts.set(gatewayId, { ...(counts.get(gatewayId) ?? NONE), [kind]: count });
    }
    return counts;
  }
}

const NONE: CapabilityCounts = { tool: 0, resource: 0, resource_template: 0, prompt: 0 };

function narrow(query: SelectQueryBuilder<GatewayRecord>, filter: GatewayFilter): void {
  const { enabled, reachable, tag, search } = filter;
  if (enabled !== undefined) query.andWhere('g.enabled = :enabled', { enabled });
  if (reachable !== undefined) query.andWhere('g.reachable = :reachable', { reachable });
  if (tag !== undefined) query.andWhere(':tag = ANY(g.tags)', { tag });
  if (search !== undefined) {
    const part = containing(search);
    query.andWhere('(g.name ILIKE :part OR g.slug ILIKE :part OR g.description ILIKE :part)', { part });
  }
}
