import { type IncomingHttpHeaders } from 'node:http';

/** Never sent upstream, whoever names them (SPEC P-16): the client's token, session ids, hop-by-hop headers. */
const NEVER: ReadonlySet<string> = new Set([
  ...['authorization', 'proxy-authorization', 'mcp-session-id', 'x-mcp-session-id'],
  ...['connection', 'keep-alive', 'proxy-authenticate', 'te', 'trailer', 'transfer-encoding', 'upgrade'],
  ...['proxy-connection', 'host', 'content-length'],
]);

/** The headers of the request that gateways may ask for, by lower-case name (SPEC S-4). */
export function passthroughOf(headers: IncomingHttpHeaders, names: readonly string[]): Record<string, string> {
  const passed: Record<string, string> = {};
  for (const name of names.map((one) => one.toLowerCase())) {
    const value = headers[name];
    if (value === undefined || NEVER.has(name)) continue;
    passed[name] = Array.isArray(value) ? value.join(', ') : value;
  }
  return passed;
}
