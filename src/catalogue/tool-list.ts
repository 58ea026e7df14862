import { type DataSource } from 'typeorm';
import { decodeCursor, type Page, pageOf, type PageRequest } from './cursor.js';
import { spliceDefinition } from './splice-definition.js';

interface ToolRow {
  readonly public_name: string;
  readonly definition: string;
  readonly description_override: string | null;
}

const LIST = 'tools/list';

/** `tools/list` as clients see it (SPEC D-6, D-7): enabled tools of enabled gateways, by public name. */
export class ToolList {
  constructor(private readonly database: DataSource) {}

  /** @throws CodedError INVALID_PARAMS for a cursor that this list did not hand out */
  async page({ cursor, limit }: PageRequest): Promise<Page<Buffer>> {
    const after = cursor === undefined ? '' : decodeCursor(LIST, cursor);
    const rows = await this.database.query<ToolRow[]>(
      `SELECT c."public_name", c."definition", c."description_override" FROM "capabilities" c
       JOIN "gateways" g ON g."id" = c."gateway_id"
       WHERE c."kind" = 'tool' AND c."public_name" > $1 AND c."enabled" AND g."enabled"
       ORDER BY c."public_name" LIMIT $2`,
      [after, limit + 1],
    );
    const page = pageOf(LIST, rows, limit, (row) => row.public_name);
    return { ...page, items: page.items.map(shown) };
  }
}

function shown(row: ToolRow): Buffer {
  return spliceDefinition(Buffer.from(row.definition, 'utf8'), {
    name: row.public_name,
    ...(row.description_override === null ? {} : { description: row.description_override }),
  });
}
