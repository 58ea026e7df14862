/** What connectors need to know; milliseconds. */
export interface ConnectorOptions {
  /** TCP and TLS. */
  readonly connectTimeoutMs: number;
  /** `initialize`, notifications and other housekeeping; never a call (SPEC §9). */
  readonly transportTimeoutMs: number;
  /** DELETE and closing of streams at the end of a session. */
  readonly cleanupTimeoutMs: number;
  /** Of one answer or event of a server (SPEC S-6). */
  readonly maxResponseBytes: number;
  readonly clientInfo: { readonly name: string; readonly version: string };
}

/** Revisions that we speak upstream, the one that we propose first (SPEC §1). */
export const UPSTREAM_PROTOCOL_VERSIONS = ['2025-11-25', '2025-06-18', '2025-03-26', '2024-11-05'] as const;
