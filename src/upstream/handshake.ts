import { withDeadline } from '../common/deadline.js';
import { type ConnectorOptions, UPSTREAM_PROTOCOL_VERSIONS } from './connector-options.js';
import { UpstreamError } from './upstream.errors.js';
import { type ConnectOptions, type ServerInfo, type UpstreamReply, type UpstreamSession } from './upstream.port.js';

/**
 * The handshake of a new session, whatever the transport (MCP, Lifecycle).
 *
 * @param adopt takes what the server said before `notifications/initialized` is sent: that carries the revision
 * @throws UpstreamError UPSTREAM_TIMEOUT after `transportTimeoutMs`; UPSTREAM_NOT_MCP; what the session throws
 */
export async function initialize(
  session: UpstreamSession,
  gateway: string,
  { transportTimeoutMs, clientInfo }: ConnectorOptions,
  { clientCapabilities, signal }: ConnectOptions,
  adopt: (server: ServerInfo) => void,
): Promise<void> {
  const late = (): Error =>
    new UpstreamError('UPSTREAM_TIMEOUT', `${gateway}: no answer to initialize in ${transportTimeoutMs} ms`, {
      reason: 'timeout',
      execution: 'unknown',
      gateway,
    });
  const params = initializeParams(clientInfo, clientCapabilities);
  const reply = await withDeadline(transportTimeoutMs, signal, late, (limit) =>
    session.request('initialize', params, { signal: limit }),
  );
  adopt(readInitializeResult(reply, gateway));
  await session.notify('notifications/initialized', undefined, signal);
}

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
