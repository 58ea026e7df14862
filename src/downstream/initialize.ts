import { type EndpointDescription } from '../catalogue/index.js';
import { CLIENT_INFO } from '../common/version.js';
import { DownstreamError } from './downstream.errors.js';
import { negotiate } from './protocol.js';
import { type SessionTerms } from './session/mcp-session.js';

type Members = Readonly<Record<string, unknown>>;

/**
 * What a client proposes in `initialize`, and the revision that comes of it (MCP, Lifecycle).
 *
 * @throws DownstreamError INVALID_PARAMS
 */
export function termsOf(json: Buffer | undefined, transport: 'http' | 'sse'): SessionTerms {
  const params = record(json === undefined ? undefined : (JSON.parse(json.toString('utf8')) as unknown));
  const { protocolVersion, clientInfo, capabilities } = params;
  if (typeof protocolVersion !== 'string') {
    throw new DownstreamError('INVALID_PARAMS', 'params.protocolVersion must be a string');
  }
  return {
    protocolVersion: negotiate(protocolVersion, transport),
    clientInfo: record(clientInfo),
    clientCapabilities: record(capabilities),
  };
}

/** The bytes of the result of `initialize`. */
export function initializeResult(terms: SessionTerms, endpoint: EndpointDescription): Buffer {
  const { capabilities, instructions, serverInfo = CLIENT_INFO } = endpoint;
  const { protocolVersion } = terms;
  return Buffer.from(
    JSON.stringify({
      protocolVersion,
      capabilities,
      serverInfo,
      ...(instructions === undefined ? {} : { instructions }),
    }),
  );
}

function record(value: unknown): Members {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Members) : {};
}
