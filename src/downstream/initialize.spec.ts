import { describe, expect, it } from '@jest/globals';
import { CLIENT_INFO } from '../common/version.js';
import { initializeResult, termsOf } from './initialize.js';

const terms = (params: unknown, transport: 'http' | 'sse' = 'http') =>
  termsOf(params === undefined ? undefined : Buffer.from(JSON.stringify(params)), transport);

describe('what a client proposes (MCP, Lifecycle)', () => {
  it('is taken as it is, the revision if it is spoken there', () => {
    const clientInfo = { name: 'c', version: '1', extra: [1] };
    const capabilities = { sampling: { context: {} }, elicitation: { form: {}, url: {} }, experimental: { x: 1 } };
    expect(terms({ protocolVersion: '2025-06-18', clientInfo, capabilities })).toEqual({
      ...{ protocolVersion: '2025-06-18', clientInfo, clientCapabilities: capabilities },
    });
    expect(terms({ protocolVersion: '2024-11-05' }, 'sse').protocolVersion).toBe('2024-11-05');
    expect(terms({ protocolVersion: '2024-11-05' }, 'http').protocolVersion).toBe('2025-11-25');
  });

  it.each([undefined, [], {}, { protocolVersion: 1 }, { protocolVersion: null }])('%j names no revision', (params) => {
    expect(() => terms(params)).toThrow(expect.objectContaining({ code: 'INVALID_PARAMS' }));
  });

  it.each([[[]], ['x'], [null], [7]])('capabilities and clientInfo that are %j are none', (value) => {
    const { clientInfo, clientCapabilities } = terms({
      ...{ protocolVersion: '2025-11-25', clientInfo: value, capabilities: value },
    });
    expect([clientInfo, clientCapabilities]).toEqual([{}, {}]);
  });
});

describe('the result (SPEC D-6)', () => {
  const agreed = { protocolVersion: '2025-06-18', clientInfo: {}, clientCapabilities: {} } as const;
  const result = (...given: Parameters<typeof initializeResult>) =>
    JSON.parse(initializeResult(...given).toString()) as unknown;

  it('names us where the endpoint is none of a server', () => {
    const capabilities = { tools: { listChanged: true } };
    expect(result(agreed, { capabilities })).toEqual({
      ...{ protocolVersion: '2025-06-18', capabilities, serverInfo: CLIENT_INFO },
    });
  });

  it("is the gateway's own where it is one gateway (G-10)", () => {
    const serverInfo = { name: 's', version: '9', title: 'S' };
    expect(result(agreed, { capabilities: {}, serverInfo, instructions: 'do' })).toEqual({
      ...{ protocolVersion: '2025-06-18', capabilities: {}, serverInfo, instructions: 'do' },
    });
  });
});
