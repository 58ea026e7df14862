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

  /** @throws CodedError INVALID_PARAMS for a cursor that this list did not hand out */
  async page(kind: CapabilityKind, { cursor, limit }: PageRequest): Promise<Page<Buffer>> {
    const { method, key } = KIND_PROTOCOL[kind];
    const after = cursor === undefined ? '' : decodeCursor(method, cursor);
    const rows = await this.database.query<Row[]>(
      `SELECT c."public_name", c."definition", c."description_override" FROM "capabilities" c
       JOIN "gateways" g ON g."id" = c."gateway_id"
       WHERE c."kind" = $1 AND c."public_name" > $2 AND c."enabled" AND g."enabled"
       ORDER BY c."public_name" LIMIT $3`,
      [kind, after, limit + 1],
    );
    const page = pageOf(method, rows, limit, (row) => row.public_name);
    return { ...page, items: page.items.map((row) => shown(row, key)) };
  }
}

function shown(row: Row, key: string): Buffer {
  return spliceDefinition(Buffer.from(row.definition, 'utf8'), {
    [key]: row.public_name,
    ...(row.description_override === null ? {} : { description: row.description_override }),
  });
}
