/** Revisions over streamable HTTP, the newest first (SPEC §1). */
export const PROTOCOL_VERSIONS = ['2025-11-25', '2025-06-18', '2025-03-26'] as const;
export type ProtocolVersion = (typeof PROTOCOL_VERSIONS)[number];

export function isSupported(version: string): version is ProtocolVersion {
  return (PROTOCOL_VERSIONS as readonly string[]).includes(version);
}

/** MCP, Lifecycle, "Version Negotiation": the client's if we speak it, else our newest. */
export function negotiate(requested: string): ProtocolVersion {
  return isSupported(requested) ? requested : PROTOCOL_VERSIONS[0];
}
