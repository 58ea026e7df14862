/** Kept equal to package.json by a test. */
export const VERSION = '0.1.0';

/** How we introduce ourselves, as a client upstream and as a server downstream. */
export const CLIENT_INFO = { name: 'mcp-session-gateway', version: VERSION } as const;
