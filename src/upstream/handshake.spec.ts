import { describe, expect, it } from '@jest/globals';
import { UPSTREAM_PROTOCOL_VERSIONS } from './connector-options.js';
import { initializeParams, readInitializeResult } from './handshake.js';
import { UpstreamError } from './upstream.errors.js';

const result = (value: unknown) => ({ kind: 'result', raw: Buffer.from(JSON.stringify(value)) }) as const;

function refusalOf(reply: Parameters<typeof readInitializeResult>[0]): UpstreamError {
  try {
    readInitializeResult(reply, 'files');
  } catch (error) {
    if (error instanceof UpstreamError) return error;
    throw error;
  }
  throw new Error('it was accepted');
}

describe('our half of the handshake', () => {
  it('proposes the newest revision and declares no capabilities by itself (P-4: pooled sessions declare none)', () => {
    expect(JSON.parse(initializeParams({ name: 'gw', version: '1' }).toString())).toEqual({
      protocolVersion: '2025-11-25',
      capabilities: {},
      clientInfo: { name: 'gw', version: '1' },
    });
  });

  it('relays the capabilities that it is given', () => {
    const capabilities = { sampling: {}, roots: { listChanged: true }, experimental: { 'x/y': { z: [1] } } };
    const params = JSON.parse(initializeParams({ name: 'gw', version: '1' }, capabilities).toString());
    expect(params).toMatchObject({ capabilities });
  });
});

describe("the server's half of the handshake", () => {
  it.each(UPSTREAM_PROTOCOL_VERSIONS)('takes revision %s', (protocolVersion) => {
    const answer = { protocolVersion, capabilities: { tools: {} }, serverInfo: { name: 's' }, instructions: 'hi' };
    expect(readInitializeResult(result(answer), 'files')).toEqual(answer);
  });

  it('speaks the revisions of SPEC §1', () => {
    expect(UPSTREAM_PROTOCOL_VERSIONS).toEqual(['2025-11-25', '2025-06-18', '2025-03-26', '2024-11-05']);
  });

  it.each([
    ['nothing else', {}],
    ['nulls', { capabilities: null, serverInfo: null, instructions: null }],
    ['the wrong kinds', { capabilities: ['tools'], serverInfo: 'me', instructions: { text: 'x' } }],
  ])('is lenient with %s', (_what, rest) => {
    const info = readInitializeResult(result({ protocolVersion: '2025-06-18', ...rest }), 'files');
    expect(info).toEqual({ protocolVersion: '2025-06-18', capabilities: {}, serverInfo: {} });
    expect(info).not.toHaveProperty('instructions');
  });

  it.each([
    ['null', null],
    ['a list', [{ protocolVersion: '2025-06-18' }]],
    ['a string', '2025-06-18'],
    ['no version', { capabilities: {} }],
    ['a version that is a number', { protocolVersion: 20250618 }],
    ['a list of versions', { protocolVersion: ['2025-06-18'] }],
  ])('G-2: refuses %s as not MCP', (_what, value) => {
    const error = refusalOf(result(value));
    expect(error).toMatchObject({ code: 'UPSTREAM_NOT_MCP', reason: 'not-mcp', execution: 'none' });
    expect(error.message).toBe('files: the answer to initialize is not MCP');
  });

  it.each(['2026-07-28', '2025-06-18 ', '', '1.0'])('G-2: refuses revision %j and names ours', (protocolVersion) => {
    const error = refusalOf(result({ protocolVersion, capabilities: {} }));
    expect(error.code).toBe('UPSTREAM_NOT_MCP');
    expect(error.message).toContain(UPSTREAM_PROTOCOL_VERSIONS.join(', '));
  });

  it('does not repeat an endless version', () => {
    expect(refusalOf(result({ protocolVersion: 'v'.repeat(100_000) })).message.length).toBeLessThan(200);
  });

  it('G-2: a JSON-RPC error of the server is a refusal, told shortened', () => {
    const raw = Buffer.from(JSON.stringify({ code: -32602, message: 'bad client', data: 'x'.repeat(10_000) }));
    const error = refusalOf({ kind: 'error', raw });
    expect(error.message).toMatch(/^files: the server refuses to initialize: \{"code":-32602,"message":"bad client"/);
    expect(error.message.length).toBeLessThan(400);
    expect(error.data).toMatchObject({ reason: 'not-mcp', gateway: 'files' });
  });

  it('a __proto__ member changes nothing', () => {
    const raw = Buffer.from('{"protocolVersion":"2025-06-18","capabilities":{"__proto__":{"tools":{}}}}');
    const { capabilities } = readInitializeResult({ kind: 'result', raw }, 'files');
    expect(capabilities.tools).toBeUndefined();
  });
});
