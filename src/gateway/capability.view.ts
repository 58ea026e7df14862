import { z } from 'zod';
import { type CapabilityKind, type OwnedCapability, type Page } from '../catalogue/index.js';

/** How each kind calls its public and its original name. */
const NAME_MEMBERS: Readonly<Record<CapabilityKind, readonly [string, string]>> = {
  tool: ['name', 'originalName'],
  prompt: ['name', 'originalName'],
  resource: ['uri', 'originalUri'],
  resource_template: ['uriTemplate', 'originalUriTemplate'],
};

const shared = {
  id: z.string(),
  gateway: z.object({ id: z.string(), slug: z.string(), name: z.string() }),
  enabled: z.boolean(),
  description: z.string().nullable().describe('The one set here, else the one of the server'),
  createdVia: z.string(),
  createdAt: z.string(),
  updatedAt: z.string(),
  definition: z.record(z.string(), z.unknown()).describe('As the server sent it, byte for byte'),
};

/** For the documentation: answers are put together as text, so that `definition` keeps its bytes (SPEC D-7). */
export function capabilitySchema(kind: CapabilityKind) {
  const [name, original] = NAME_MEMBERS[kind];
  return z.object({ ...shared, [name]: z.string(), [original]: z.string() });
}

export function capabilityListSchema(kind: CapabilityKind) {
  return z.object({ items: z.array(capabilitySchema(kind)), nextCursor: z.string().optional() });
}

/** JSON text of one record. */
export function capabilityJson(record: OwnedCapability): string {
  const [name, original] = NAME_MEMBERS[record.kind];
  const { id, slug, name: gatewayName } = record.gateway;
  const view = {
    id: record.id,
    [name]: record.publicName,
    [original]: record.originalName,
    gateway: { id, slug, name: gatewayName },
    enabled: record.enabled,
    description: record.descriptionOverride ?? ownDescription(record.definition),
    createdVia: record.createdVia,
    createdAt: record.createdAt,
    updatedAt: record.updatedAt,
  };
  return `${JSON.stringify(view).slice(0, -1)},"definition":${record.definition}}`;
}

/** JSON text of a page. */
export function capabilityListJson({ items, nextCursor }: Page<OwnedCapability>): string {
  const tail = nextCursor === undefined ? '' : `,"nextCursor":${JSON.stringify(nextCursor)}`;
  return `{"items":[${items.map(capabilityJson).join(',')}]${tail}}`;
}

function ownDescription(definition: string): string | null {
  const { description } = JSON.parse(definition) as { description?: unknown };
  return typeof description === 'string' ? description : null;
}
