import { type DataSource, type EntityManager, type SelectQueryBuilder } from 'typeorm';
import { CodedError } from '../common/errors.js';
import { type CapabilityKind } from './capability-kind.js';
import { decodeCursor, type Page, pageOf, type PageRequest } from './cursor.js';
import { CapabilityRecord } from './entities/capability.entity.js';
import { type GatewayRecord } from './entities/gateway.entity.js';
import { containing } from './like.js';

export interface CapabilityFilter extends PageRequest {
  /** Id, slug or name. */
  readonly gateway?: string;
  readonly enabled?: boolean;
  /** Part of the public or original name, or of the description that an administrator set. */
  readonly search?: string;
}

/** A capability record together with its gateway. */
export type OwnedCapability = CapabilityRecord & { readonly gateway: GatewayRecord };

/** What a template is found by. */
export type TemplateColumns = Pick<CapabilityRecord, 'id' | 'publicName' | 'originalName' | 'enabled'>;

/** What an administrator may set on a capability; `null` gives the server's own description back. */
export interface CapabilityEdit {
  readonly enabled?: boolean;
  readonly description?: string | null;
}

/** Reads capability records, and stores what an administrator sets on them. */
export class CapabilityQueries {
  constructor(private readonly database: DataSource) {}

  /** Ordered by public name. @throws CodedError INVALID_PARAMS for a cursor that is none */
  async list(kind: CapabilityKind, filter: CapabilityFilter): Promise<Page<OwnedCapability>> {
    const query = owned(this.database.manager, kind)
      .orderBy('c.publicName')
      .limit(filter.limit + 1);
    if (filter.cursor !== undefined) {
      query.andWhere('c.public_name > :after', { after: decodeCursor(kind, filter.cursor) });
    }
    narrow(query, filter);
    const rows = (await query.getMany()) as OwnedCapability[];
    return pageOf(kind, rows, filter.limit, (record) => record.publicName);
  }

  /** @throws CodedError NOT_FOUND */
  async get(kind: CapabilityKind, id: string): Promise<OwnedCapability> {
    const record = await this.findById(kind, id);
    if (!record) throw new CodedError('NOT_FOUND', `there is no ${kind.replace('_', ' ')} ${id}`);
    return record;
  }

  findPublic(kind: CapabilityKind, publicName: string): Promise<OwnedCapability | undefined> {
    return this.one(kind, 'c.public_name = :publicName', { publicName });
  }

  /** What a gateway itself calls by this name. */
  findOriginal(kind: CapabilityKind, gatewayId: string, originalName: string): Promise<OwnedCapability | undefined> {
    return this.one(kind, 'c.gateway_id = :gatewayId AND c.original_name = :originalName', { gatewayId, originalName });
  }

  findById(kind: CapabilityKind, id: string): Promise<OwnedCapability | undefined> {
    return this.one(kind, 'c.id = :id', { id });
  }

  /**
   * All templates, those of the oldest gateway first, each gateway's in its own order. `enabled`: clients see it.
   *
   * @param gatewayId only this gateway's, under the names that it gave them itself
   */
  async templates(gatewayId?: string): Promise<TemplateColumns[]> {
    const name = gatewayId === undefined ? 'c.public_name' : 'c.original_name';
    const query = owned(this.database.manager, 'resource_template')
      .select(['c.id AS "id"', `${name} AS "publicName"`, 'c.original_name AS "originalName"'])
      .addSelect('c.enabled AND g.enabled', 'enabled');
    if (gatewayId !== undefined) query.andWhere('g.id = :gatewayId', { gatewayId });
    return query.orderBy('g.created_at').addOrderBy('g.id').addOrderBy('c.ordinal').getRawMany<TemplateColumns>();
  }

  /** @throws CodedError NOT_FOUND */
  async edit(kind: CapabilityKind, id: string, edit: CapabilityEdit): Promise<OwnedCapability> {
    const change = {
      ...(edit.enabled === undefined ? {} : { enabled: edit.enabled }),
      ...(edit.description === undefined ? {} : { descriptionOverride: edit.description }),
    };
    if (Object.keys(change).length > 0) await this.database.manager.update(CapabilityRecord, { id, kind }, change);
    return this.get(kind, id);
  }

  private async one(kind: CapabilityKind, where: string, values: object): Promise<OwnedCapability | undefined> {
    const record = await owned(this.database.manager, kind).andWhere(where, values).getOne();
    return record ? (record as OwnedCapability) : undefined;
  }
}

function owned(manager: EntityManager, kind: CapabilityKind): SelectQueryBuilder<CapabilityRecord> {
  return manager
    .createQueryBuilder(CapabilityRecord, 'c')
    .innerJoinAndSelect('c.gateway', 'g')
    .where('c.kind = :kind', { kind });
}

function narrow(query: SelectQueryBuilder<CapabilityRecord>, filter: CapabilityFilter): void {
  const { gateway, enabled, search } = filter;
  if (gateway !== undefined)
    query.andWhere('(g.id::text = :gateway OR g.slug = :gateway OR g.name = :gateway)', { gateway });
  if (enabled !== undefined) query.andWhere('c.enabled = :enabled', { enabled });
  if (search !== undefined) {
    const part = containing(search);
    query.andWhere('(c.public_name ILIKE :part OR c.original_name ILIKE :part OR c.description_override ILIKE :part)', {
      part,
    });
  }
}
