import { type CatalogueService, type CatalogueView } from '../../catalogue/index.js';
import { DownstreamError } from '../downstream.errors.js';

/** Where an MCP endpoint stands. */
export interface McpPath {
  /** As it was asked for: a session belongs to one endpoint. */
  readonly path: string;
  /** The route, for metrics. */
  readonly label: string;
  /** One gateway alone (SPEC G-10), as the path names it. */
  readonly gatewayId?: string;
  /** One virtual server (SPEC G-9), as the path names it. Neither of them: all gateways. */
  readonly serverId?: string;
}

const ROUTE = /^\/(gateways|servers)\/([^/]+)\/(mcp|sse)$/;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** The MCP endpoint of a path, without its query. @param transport what its last part must be */
export function mcpPathOf(path: string, transport: 'mcp' | 'sse'): McpPath | undefined {
  if (path === `/${transport}`) return { path, label: path };
  const [, kind, id, last] = ROUTE.exec(path) ?? [];
  if (id === undefined || last !== transport) return undefined;
  return { path, label: `/${kind}/:id/${transport}`, ...(kind === 'gateways' ? { gatewayId: id } : { serverId: id }) };
}

/** What the endpoint shows. @throws DownstreamError NOT_FOUND for what cannot be the id of a gateway or server */
export function viewAt({ gatewayId, serverId }: McpPath, catalogue: CatalogueService): CatalogueView {
  const id = gatewayId ?? serverId;
  if (id === undefined) return catalogue.all;
  if (!UUID.test(id)) {
    throw new DownstreamError(
      'NOT_FOUND',
      `there is no such ${gatewayId === undefined ? 'virtual server' : 'gateway'}`,
    );
  }
  return gatewayId === undefined ? catalogue.servers.view(id) : catalogue.gatewayAlone(id);
}
