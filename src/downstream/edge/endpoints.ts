import { type CatalogueService, type CatalogueView } from '../../catalogue/index.js';

/** Where an MCP endpoint stands. */
export interface McpPath {
  /** As it was asked for: a session belongs to one endpoint. */
  readonly path: string;
  /** The route, for metrics. */
  readonly label: string;
  /** One gateway alone (SPEC G-10). */
  readonly gatewayId?: string;
  /** One virtual server (SPEC G-9). */
  readonly serverId?: string;
}

/** The two transports at one place are one endpoint. */
const ROUTE = /^\/(gateways|servers)\/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\/(mcp|sse)$/;

/** The MCP endpoint of a path, without its query. @param transport what its last part must be */
export function mcpPathOf(path: string, transport: 'mcp' | 'sse'): McpPath | undefined {
  if (path === `/${transport}`) return { path, label: path };
  const [, kind, id, last] = ROUTE.exec(path) ?? [];
  if (id === undefined || last !== transport) return undefined;
  return { path, label: `/${kind}/:id/${transport}`, ...(kind === 'gateways' ? { gatewayId: id } : { serverId: id }) };
}

/** What is shown there. Whether there is such a gateway or server, its `describe` tells. */
export function viewAt({ gatewayId, serverId }: McpPath, catalogue: CatalogueService): CatalogueView {
  if (serverId !== undefined) return catalogue.servers.view(serverId);
  return gatewayId === undefined ? catalogue.all : catalogue.gatewayAlone(gatewayId);
}
