import { type DataSource } from 'typeorm';
import { type CapabilityKind, KIND_PROTOCOL } from './capability-kind.js';
import { decodeCursor, type Page, pageOf, type PageRequest } from './cursor.js';
import { spliceDefinition } from './splice-definition.js';

interface Row {
  readonly public_name: string;
  readonly definition: string;
  readonly description_override: string | null;
}

/** The lists as clients see them (SPEC D-6, D-7): enabled records of enabled gateways, by public name. */
export class CapabilityList {
  constructor(private readonly database: DataSource) {}

  /**
   * @param gatewayId only this gateway's, under the names that it gave them itself (SPEC G-10)
   * @throws CodedError INVALID_PARAMS for a cursor that this list did not hand out
   */
  async page(kind: CapabilityKind, { cursor, limit }: PageRequest, gatewayId?: string): Promise<Page<Buffer>> {
    const { method, key } = KIND_PROTOCOL[kind];
    const list = gatewayId === undefined ? method : `${method} ${gatewayId}`;
    const after = cursor === undefined ? '' : decodeCursor(list, cursor);
    const rows = await this.database.query<Row[]>(
      `SELECT c."public_name", c."definition", c."description_override" FROM "capabilities" c
       JOIN "gateways" g ON g."id" = c."gateway_id"
       WHERE c."kind" = $1 AND c."public_name" > $2 AND c."enabled" AND g."enabled"
         AND ($4::uuid IS NULL OR g."id" = $4::uuid)
       ORDER BY c."public_name" LIMIT $3`,
      [kind, after, limit + 1, gatewayId ?? null],
    );
    const page = pageOf(list, rows, limit, (row) => row.public_name);
    return { ...page, items: page.items.map((row) => shown(row, gatewayId === undefined ? key : undefined)) };
  }
}

/** An entry as clients see it. @param key the member that gets the public name; undefined leaves the server's own */
export function shown(row: Row, key: string | undefined): Buffer {
  const definition = Buffer.from(row.definition, 'utf8');
  const { public_name: name, description_override: description } = row;
  if (key === undefined && description === null) return definition;
  return spliceDefinition(definition, {
    ...(key === undefined ? {} : { [key]: name }),
    ...(description === null ? {} : { description }),
  });
}
