/** The ways from a suite to the fixture: asked directly, and through the gateway's endpoints. */
import { startPrefixProxy } from './prefix-proxy.mjs';

/** @typedef {{ readonly direct: string, readonly one: string, readonly all: string, readonly close: () => Promise<void> }} Ways */

export const WAY_NAMES = /** @type {const} */ (['direct', 'one', 'all']);

/** @typedef {typeof WAY_NAMES[number]} WayName */

/** @type {Readonly<Record<WayName, string>>} */
export const WAY_TITLES = { direct: 'direct', one: '`/gateways/:id/mcp`', all: '`/mcp`' };

/**
 * Registers the fixture with a gateway that knows no other server (the first keeps its resource URIs on `/mcp`).
 *
 * @param {string} fixture its MCP endpoint
 * @param {string} gateway base URL of the service
 * @returns {Promise<Ways>} URLs to run a suite against
 */
export async function openWays(fixture, gateway) {
  const response = await fetch(`${gateway}/gateways`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ name: 'Fixture', url: fixture }),
  });
  const text = await response.text();
  if (response.status !== 201) throw new Error(`the fixture was not registered: HTTP ${response.status} ${text}`);
  const { id, slug } = JSON.parse(text);
  const proxy = await startPrefixProxy(`${gateway}/mcp`, `${slug}-`);
  return { direct: fixture, one: `${gateway}/gateways/${id}/mcp`, all: proxy.url, close: proxy.close };
}
