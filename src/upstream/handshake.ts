import { type ConnectorOptions, UPSTREAM_PROTOCOL_VERSIONS } from './connector-options.js';
import { UpstreamError } from './upstream.errors.js';
import { type ServerInfo, type UpstreamReply } from './upstream.port.js';

/** `params` of `initialize` (MCP, Lifecycle). */
export function initializeParams(
  clientInfo: ConnectorOptions['clientInfo'],
  capabilities: Readonly<Record<string, unknown>> = {},
): Buffer {
  return Buffer.from(JSON.stringify({ protocolVersion: UPSTREAM_PROTOCOL_VERSIONS[0], capabilities, clientInfo }));
}

/**
 * The server's half of the handshake.
 *
 * @throws UpstreamError UPSTREAM_NOT_MCP if it refuses, answers something else, or speaks only revisions we do not
 */
export function readInitializeResult(reply: UpstreamReply, gateway: string): ServerInfo {
  const refuse = (what: string): UpstreamError =>
    new UpstreamError('UPSTREAM_NOT_MCP', `${gateway}: ${what}`, { reason: 'not-mcp', execution: 'none', gateway });
  const value = JSON.parse(reply.raw.toString('utf8')) as unknown;
  if (reply.kind === 'error') throw refuse(`the server refuses to initialize: ${JSON.stringify(value).slice(0, 300)}`);
  if (!isRecord(value) || typeof value.protocolVersion !== 'string')
    throw refuse('the answer to initialize is not MCP');
  const { protocolVersion, capabilities, serverInfo, instructions } = value;
  if (!(UPSTREAM_PROTOCOL_VERSIONS as readonly string[]).includes(protocolVersion)) {
    throw refuse(
      `the server speaks protocol ${protocolVersion.slice(0, 40)}, we speak ${UPSTREAM_PROTOCOL_VERSIONS.join(', ')}`,
    );
  }
  return {
    protocolVersion,
    capabilities: isRecord(capabilities) ? capabilities : {},
    serverInfo: isRecord(serverInfo) ? serverInfo : {},
    ...(typeof instructions === 'string' ? { instructions } : {}),
  };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
