import { describe, expect, it } from '@jest/globals';
import { mcpPathOf } from './endpoints.js';

const ID = '0b9f6a0e-1111-4222-8333-444455556666';

describe('mcpPathOf (SPEC §8)', () => {
  it.each(['mcp', 'sse'] as const)('all gateways at /%s', (transport) => {
    expect(mcpPathOf(`/${transport}`, transport)).toEqual({ path: `/${transport}`, label: `/${transport}` });
  });

  it.each(['mcp', 'sse'] as const)('one gateway alone at /gateways/:id/%s (G-10)', (transport) => {
    const path = `/gateways/${ID}/${transport}`;
    const label = `/gateways/:id/${transport}`;
    expect(mcpPathOf(path, transport)).toEqual({ path, label, gatewayId: ID });
  });

  it.each([
    ...['', '/', '/mcp/', '/mcpx', '/x/mcp', '//mcp', '/MCP', '/sse'],
    ...[`/gateways/${ID}`, `/gateways/${ID}/`, `/gateways/${ID}/sse`, `/gateways/${ID}/mcp/`, `/gateways//mcp`],
    ...[
      `/gateways/${ID}/mcp/mcp`,
      `/gateways/${ID.toUpperCase()}/mcp`,
      `/gateways/${ID}0/mcp`,
      `/x/gateways/${ID}/mcp`,
    ],
    // The database takes no such id, so it must not be asked for one.
    ...[`/gateways/${'-'.repeat(36)}/mcp`, `/gateways/${'a'.repeat(36)}/mcp`],
  ])('%j is none', (path) => {
    expect(mcpPathOf(path, 'mcp')).toBeUndefined();
  });
});
