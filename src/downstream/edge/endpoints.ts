/** Where an MCP endpoint stands. */
export interface McpPath {
  /** As it was asked for: a session belongs to one endpoint. */
  readonly path: string;
  /** The route, for metrics. */
  readonly label: string;
  /** One gateway alone (SPEC G-10); undefined: all of them. */
  readonly gatewayId?: string;
}

/** A UUID as the database takes it, or there is no such gateway. */
const ROUTE = /^\/gateways\/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\/(mcp|sse)$/;

/** The MCP endpoint of a path, without its query. @param transport what its last part must be */
export function mcpPathOf(path: string, transport: 'mcp' | 'sse'): McpPath | undefined {
  if (path === `/${transport}`) return { path, label: path };
  const [, gatewayId, last] = ROUTE.exec(path) ?? [];
  if (gatewayId === undefined || last !== transport) return undefined;
  return { path, label: `/gateways/:id/${transport}`, gatewayId };
}
