import { describe, expect, it } from '@jest/globals';
import { type CatalogueService } from '../../catalogue/index.js';
import { type McpPath, mcpPathOf, viewAt } from './endpoints.js';

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
    ...[`/gateways/${ID}/mcp/mcp`, `/x/gateways/${ID}/mcp`],
  ])('%j is none', (path) => {
    expect(mcpPathOf(path, 'mcp')).toBeUndefined();
  });

  // The database takes no such id, so it must not be asked for one.
  it.each([ID.toUpperCase(), `${ID}0`, '-'.repeat(36), 'a'.repeat(36), 'x'])('%j names no gateway', (id) => {
    const path = mcpPathOf(`/gateways/${id}/mcp`, 'mcp');
    const nobody = { all: undefined, gatewayAlone: () => undefined } as unknown as CatalogueService;
    expect(path?.gatewayId).toBe(id);
    expect(() => viewAt(path as McpPath, nobody)).toThrow('there is no such gateway');
  });
});
