import { type CatalogueService, type CatalogueView } from '../../catalogue/index.js';
import { DownstreamError } from '../downstream.errors.js';

/** Where an MCP endpoint stands. */
export interface McpPath {
  /** As it was asked for: a session belongs to one endpoint. */
  readonly path: string;
  /** The route, for metrics. */
  readonly label: string;
  /** One gateway alone (SPEC G-10), as the path names it; undefined: all of them. */
  readonly gatewayId?: string;
}

const ROUTE = /^\/gateways\/([^/]+)\/(mcp|sse)$/;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** The MCP endpoint of a path, without its query. @param transport what its last part must be */
export function mcpPathOf(path: string, transport: 'mcp' | 'sse'): McpPath | undefined {
  if (path === `/${transport}`) return { path, label: path };
  const [, gatewayId, last] = ROUTE.exec(path) ?? [];
  if (gatewayId === undefined || last !== transport) return undefined;
  return { path, label: `/gateways/:id/${transport}`, gatewayId };
}

/** What the endpoint shows. @throws DownstreamError NOT_FOUND for what cannot be the id of a gateway */
export function viewAt({ gatewayId }: McpPath, catalogue: CatalogueService): CatalogueView {
  if (gatewayId === undefined) return catalogue.all;
  if (!UUID.test(gatewayId)) throw new DownstreamError('NOT_FOUND', 'there is no such gateway');
  return catalogue.gatewayAlone(gatewayId);
}
