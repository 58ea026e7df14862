import { type DataSource } from 'typeorm';
import { CodedError } from '../../common/errors.js';
import { CAPABILITY_KINDS, type CapabilityKind, KIND_PROTOCOL } from '../capability-kind.js';
import { shown } from '../capability-list.js';
import { type OwnedCapability } from '../capability-queries.js';
import { decodeCursor, type Page, pageOf, type PageRequest } from '../cursor.js';
import { VirtualServerItemRecord, VirtualServerRecord } from '../entities/index.js';
import { containing } from '../like.js';
import {
  type ServerItem,
  shownName,
  type VirtualServerDetails,
  type VirtualServerFilter,
  type VirtualServerSummary,
} from './server-spec.js';

/** A digest of what each kind's list shows; a kind without entries has none. */
export type Fingerprint = ReadonlyMap<CapabilityKind, string>;

interface ListRow {
  readonly public_name: string;
  readonly definition: string;
  readonly description_override: string | null;
}

const LIST = 'servers';
const SHOWN_NAME = `COALESCE(i."public_name", c."public_name") COLLATE "C"`;
/** What clients see: enabled capabilities of enabled gateways, while the server is enabled itself. */
const VISIBLE = `"virtual_server_items" i JOIN "virtual_servers" s ON s."id" = i."server_id" AND s."enabled"
  JOIN "capabilities" c ON c."id" = i."capability_id" AND c."enabled"
  JOIN "gateways" g ON g."id" = c."gateway_id" AND g."enabled"`;

/** Reads virtual servers and what they show. */
export class VirtualServerQueries {
  constructor(private readonly database: DataSource) {}

  /** @throws CodedError NOT_FOUND */
  async get(id: string): Promise<VirtualServerDetails> {
    const record = await this.database.manager.findOneBy(VirtualServerRecord, { id });
    if (!record) throw new CodedError('NOT_FOUND', `there is no virtual server ${id}`);
    return { record, items: (await this.itemsOf(id)).sort(inOrder) };
  }

  /** Ordered by name. @throws CodedError INVALID_PARAMS for a cursor that is none */
  async list({ limit, cursor, enabled, search }: VirtualServerFilter): Promise<Page<VirtualServerSummary>> {
    const query = this.database.manager
      .createQueryBuilder(VirtualServerRecord, 's')
      .orderBy('s.name')
      .take(limit + 1);
    if (cursor !== undefined) query.andWhere('s.name > :after', { after: decodeCursor(LIST, cursor) });
    if (enabled !== undefined) query.andWhere('s.enabled = :enabled', { enabled });
    if (search !== undefined) {
      const part = containing(search);
      query.andWhere('(s.name ILIKE :part OR s.slug ILIKE :part OR s.description ILIKE :part)', { part });
    }
    const page = pageOf(LIST, await query.getMany(), limit, (record) => record.name);
    const counts = await this.countsOf(page.items.map(({ id }) => id));
    return { ...page, items: page.items.map((record) => ({ record, counts: counts.get(record.id) ?? NONE })) };
  }

  /** What the server shows; undefined when there is no such server, or it is disabled. */
  async selection(id: string): Promise<ServerItem[] | undefined> {
    if (!(await this.exists(id))) return undefined;
    return (await this.itemsOf(id)).filter(({ capability }) => capability.enabled && capability.gateway.enabled);
  }

  /** Whether there is such a server and it is enabled. */
  exists(id: string): Promise<boolean> {
    return this.database.manager.existsBy(VirtualServerRecord, { id, enabled: true });
  }

  /** One page of a list as clients of the server see it. @throws CodedError INVALID_PARAMS */
  async page(kind: CapabilityKind, { cursor, limit }: PageRequest, serverId: string): Promise<Page<Buffer>> {
    const { method, key } = KIND_PROTOCOL[kind];
    const list = `${method} ${serverId}`;
    const after = cursor === undefined ? '' : decodeCursor(list, cursor);
    const rows = await this.database.query<ListRow[]>(
      `SELECT ${SHOWN_NAME} AS "public_name", c."definition", c."description_override" FROM ${VISIBLE}
       WHERE i."server_id" = $1 AND c."kind" = $2 AND ${SHOWN_NAME} > $3 ORDER BY 1 LIMIT $4`,
      [serverId, kind, after, limit + 1],
    );
    const page = pageOf(list, rows, limit, (row) => row.public_name);
    return { ...page, items: page.items.map((row) => shown(row, key)) };
  }

  /** What the gateways behind the selection declared. */
  async declaredBehind(serverId: string): Promise<(string | null)[]> {
    const rows = await this.database.query<{ capabilities: string | null }[]>(
      `SELECT DISTINCT g."id", g."capabilities" FROM ${VISIBLE} WHERE i."server_id" = $1`,
      [serverId],
    );
    return rows.map(({ capabilities }) => capabilities);
  }

  /** Equal fingerprints mean equal lists, byte for byte. A server that shows nothing has an empty one. */
  async fingerprints(serverIds: readonly string[]): Promise<Map<string, Fingerprint>> {
    const rows = await this.database.query<{ server_id: string; kind: CapabilityKind; digest: string }[]>(
      `SELECT i."server_id", c."kind", encode(sha256(convert_to(string_agg(encode(sha256(convert_to(
         ${SHOWN_NAME} || E'\\n' || COALESCE('=' || c."description_override", '') || E'\\n' || c."definition",
         'UTF8')), 'hex'), '' ORDER BY ${SHOWN_NAME}), 'UTF8')), 'hex') AS "digest"
       FROM ${VISIBLE} WHERE i."server_id" = ANY($1::uuid[]) GROUP BY i."server_id", c."kind"`,
      [serverIds],
    );
    const found = new Map(serverIds.map((id) => [id, new Map<CapabilityKind, string>()]));
    for (const { server_id: id, kind, digest } of rows) found.get(id)?.set(kind, digest);
    return found;
  }

  private async itemsOf(serverId: string): Promise<ServerItem[]> {
    const rows = await this.database.manager
      .createQueryBuilder(VirtualServerItemRecord, 'i')
      .innerJoinAndSelect('i.capability', 'c')
      .innerJoinAndSelect('c.gateway', 'g')
      .where('i.server_id = :serverId', { serverId })
      .getMany();
    return rows.map(({ capability, publicName }) => ({
      capability: capability as OwnedCapability,
      chosenName: publicName,
    }));
  }

  private async countsOf(ids: readonly string[]): Promise<Map<string, VirtualServerSummary['counts']>> {
    const rows = await this.database.query<{ server_id: string; kind: CapabilityKind; count: number }[]>(
      `SELECT i."server_id", c."kind", count(*)::integer AS "count" FROM "virtual_server_items" i
       JOIN "capabilities" c ON c."id" = i."capability_id" WHERE i."server_id" = ANY($1::uuid[]) GROUP BY 1, 2`,
      [ids],
    );
    const counts = new Map<string, VirtualServerSummary['counts']>();
    for (const { server_id: id, kind, count } of rows) counts.set(id, { ...(counts.get(id) ?? NONE), [kind]: count });
    return counts;
  }
}

const NONE: VirtualServerSummary['counts'] = { tool: 0, resource: 0, resource_template: 0, prompt: 0 };

function inOrder(a: ServerItem, b: ServerItem): number {
  const kinds = CAPABILITY_KINDS.indexOf(a.capability.kind) - CAPABILITY_KINDS.indexOf(b.capability.kind);
  return kinds || Buffer.compare(Buffer.from(shownName(a)), Buffer.from(shownName(b)));
}
