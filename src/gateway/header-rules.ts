/** Headers that belong to the connection or to the protocol: nobody sets them for a gateway (SPEC P-16). */
const RESERVED: ReadonlySet<string> = new Set([
  ...['connection', 'keep-alive', 'proxy-authenticate', 'proxy-authorization', 'proxy-connection', 'te', 'trailer'],
  ...['transfer-encoding', 'upgrade', 'host', 'content-length', 'content-type', 'accept', 'expect', 'content-encoding'],
  ...['mcp-session-id', 'x-mcp-session-id', 'mcp-protocol-version', 'last-event-id'],
]);

export function isHeaderName(name: string): boolean {
  return name.length <= 128 && /^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/.test(name);
}

/** Tab, and printable characters of Latin-1: what can stand in a header without ending it. */
export function isHeaderValue(value: string): boolean {
  return /^[\t\x20-\x7e\xa0-\xff]*$/.test(value);
}

export function headerProblem(name: string): string | undefined {
  if (!isHeaderName(name)) return 'is not the name of a header';
  if (RESERVED.has(name.toLowerCase())) return 'is set by the protocol or the connection and cannot be chosen';
  return undefined;
}
