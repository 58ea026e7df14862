import { z } from 'zod';
import {
  CAPABILITY_KINDS,
  type ServerItem,
  shownName,
  type VirtualServerDetails,
  type VirtualServerSummary,
} from '../catalogue/index.js';

const shared = {
  id: z.string(),
  slug: z.string(),
  name: z.string(),
  description: z.string().nullable(),
  enabled: z.boolean().describe('A disabled server is no endpoint'),
  endpoints: z
    .object({ mcp: z.string(), sse: z.string() })
    .describe('Where clients connect, below the address of this'),
  createdAt: z.string(),
  updatedAt: z.string(),
};

const ServerItemView = z.object({
  capability: z.string().describe('Its id'),
  kind: z.enum(CAPABILITY_KINDS),
  name: z.string().describe('What clients of the server know it by'),
  publicName: z.string(),
  gateway: z.object({ id: z.string(), slug: z.string(), name: z.string() }),
  visible: z.boolean().describe('false while it, or its gateway, is disabled'),
});

export const ServerViewSchema = z.object({ ...shared, items: z.array(ServerItemView) });
export type ServerView = z.output<typeof ServerViewSchema>;

export const ServerListViewSchema = z.object({
  items: z.array(
    z.object({
      ...shared,
      counts: z.object({ tools: z.int(), resources: z.int(), resourceTemplates: z.int(), prompts: z.int() }),
    }),
  ),
  nextCursor: z.string().optional(),
});
export type ServerListView = z.output<typeof ServerListViewSchema>;

export function serverView({ record, items }: VirtualServerDetails): ServerView {
  return { ...sharedView(record), items: items.map(itemView) };
}

export function serverSummaryView({ record, counts }: VirtualServerSummary): ServerListView['items'][number] {
  return {
    ...sharedView(record),
    counts: {
      tools: counts.tool,
      resources: counts.resource,
      resourceTemplates: counts.resource_template,
      prompts: counts.prompt,
    },
  };
}

function sharedView(record: VirtualServerDetails['record']) {
  const { id, slug, name, description, enabled } = record;
  return {
    ...{ id, slug, name, description, enabled },
    endpoints: { mcp: `/servers/${id}/mcp`, sse: `/servers/${id}/sse` },
    createdAt: record.createdAt.toISOString(),
    updatedAt: record.updatedAt.toISOString(),
  };
}

function itemView(item: ServerItem): ServerView['items'][number] {
  const { id, kind, publicName, enabled, gateway } = item.capability;
  return {
    ...{ capability: id, kind, name: shownName(item), publicName },
    gateway: { id: gateway.id, slug: gateway.slug, name: gateway.name },
    visible: enabled && gateway.enabled,
  };
}
