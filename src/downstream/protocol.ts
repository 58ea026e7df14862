/** Revisions over streamable HTTP, the newest first (SPEC §1). */
export const PROTOCOL_VERSIONS = ['2025-11-25', '2025-06-18', '2025-03-26'] as const;
/** Over HTTP+SSE, which is of that revision, clients of all of them come. */
const SSE_PROTOCOL_VERSIONS = [...PROTOCOL_VERSIONS, '2024-11-05'] as const;
export type ProtocolVersion = (typeof SSE_PROTOCOL_VERSIONS)[number];

/** Whether streams of such a client begin with an event that only tells an id (MCP 2025-11-25, Transports). */
export function isPrimed(version: ProtocolVersion): boolean {
  return version >= '2025-11-25'; // revisions are dates
}

/** Whether a POST may hold several messages: the revision after it took that back. */
export function mayBatch(version: ProtocolVersion): boolean {
  return version === '2025-03-26';
}

export function isSupported(version: string): version is ProtocolVersion {
  return (PROTOCOL_VERSIONS as readonly string[]).includes(version);
}

/** MCP, Lifecycle, "Version Negotiation": the client's if we speak it there, else our newest. */
export function negotiate(requested: string, transport: 'http' | 'sse'): ProtocolVersion {
  const spoken: readonly string[] = transport === 'sse' ? SSE_PROTOCOL_VERSIONS : PROTOCOL_VERSIONS;
  return spoken.includes(requested) ? (requested as ProtocolVersion) : PROTOCOL_VERSIONS[0];
}
