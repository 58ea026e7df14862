import { type Server } from '@modelcontextprotocol/sdk/server/index.js';
import {
  ErrorCode,
  type ListPromptsResult,
  ListPromptsRequestSchema,
  type ListResourcesResult,
  ListResourcesRequestSchema,
  type ListResourceTemplatesResult,
  ListResourceTemplatesRequestSchema,
  type ListToolsResult,
  ListToolsRequestSchema,
  McpError,
} from '@modelcontextprotocol/sdk/types.js';
import * as z from 'zod';
import { PROMPTS, RESOURCES, TEMPLATES } from './mcp-content.js';
import { type ListMethod } from './mcp-options.js';
import { BASE_TOOLS } from './mcp-tools.js';
import { type World } from './mcp-world.js';

/** Replaces the SDK's list handlers, which know neither pages nor faults, by ones that do. */
export function setListHandlers(server: Server, world: World): void {
  const page = (method: ListMethod, key: string, items: readonly unknown[], cursor: string | undefined): unknown =>
    onePage(world, method, key, items, cursor);
  if (world.offers('tools')) {
    server.setRequestHandler(
      ListToolsRequestSchema,
      ({ params }) => page('tools/list', 'tools', toolEntries(world), params?.cursor) as ListToolsResult,
    );
  }
  if (world.offers('resources')) {
    server.setRequestHandler(
      ListResourcesRequestSchema,
      ({ params }) => page('resources/list', 'resources', RESOURCES, params?.cursor) as ListResourcesResult,
    );
    server.setRequestHandler(
      ListResourceTemplatesRequestSchema,
      ({ params }) =>
        page('resources/templates/list', 'resourceTemplates', TEMPLATES, params?.cursor) as ListResourceTemplatesResult,
    );
  }
  if (world.offers('prompts')) {
    server.setRequestHandler(
      ListPromptsRequestSchema,
      ({ params }) => page('prompts/list', 'prompts', PROMPTS, params?.cursor) as ListPromptsResult,
    );
  }
}

const BASE_ENTRIES = BASE_TOOLS.map(({ name, description, input, output, annotations }) => ({
  name,
  description,
  inputSchema: z.toJSONSchema(z.object(input), { io: 'input' }),
  ...(output ? { outputSchema: z.toJSONSchema(z.object(output)) } : {}),
  annotations,
}));

function toolEntries(world: World): unknown[] {
  const extra = world.extraTools.map((name) => ({
    name,
    description: `Generated tool ${name}`,
    inputSchema: { type: 'object' },
  }));
  return world.options.baseTools === false ? extra : [...BASE_ENTRIES, ...extra];
}

/** Cursors are `page-<n>`; the fault of this page, if any, is worked in. */
function onePage(world: World, method: ListMethod, key: string, all: readonly unknown[], cursor?: string): unknown {
  const size = world.options.pageSize ?? Math.max(all.length, 1);
  const number = cursor === undefined ? 1 : Number(/^page-(\d+)$/.exec(cursor)?.[1] ?? NaN);
  if (!(number >= 1 && (number - 1) * size <= all.length)) {
    throw new McpError(ErrorCode.InvalidParams, `unknown cursor ${String(cursor)}`);
  }
  const { listFault } = world.faults;
  const fault = listFault?.method === method && listFault.page === number ? listFault.fault : undefined;
  if (fault === 'error') throw new McpError(ErrorCode.InternalError, `page ${number} of ${method} is broken`);
  const items = all.slice((number - 1) * size, number * size);
  if (fault === 'invalid-entry')
    items.splice(1, 0, { name: 42, uri: 42, uriTemplate: 42, description: 'not an entry' });
  if (fault === 'repeat-cursor') return { [key]: items, nextCursor: cursor ?? 'page-1' };
  return { [key]: items, ...(number * size < all.length ? { nextCursor: `page-${number + 1}` } : {}) };
}
