import { describe, expect, it } from '@jest/globals';
import { expandEnv } from './expand-env.js';
import { type ExportableGateway, mcpServersOf } from './mcp-servers-export.js';
import { readMcpServers } from './mcp-servers-file.js';

const ENV = { KEY: 'k-1', EMPTY: '', HOST: 'example.org' };
const read = (servers: unknown) => readMcpServers(JSON.stringify({ mcpServers: servers }), ENV);
const gateway = (entry: unknown): unknown => {
  const [first] = read({ one: entry });
  return first?.kind === 'gateway' ? first.gateway : first;
};

describe('expandEnv (SPEC G-11)', () => {
  it.each([
    ['${KEY}', 'k-1'],
    ['a ${KEY}-${KEY} $KEY {KEY}', 'a k-1-k-1 $KEY {KEY}'],
    ['${env:KEY}', 'k-1'],
    ['${NONE:-a:-b}', 'a:-b'],
    ['${EMPTY:-x}', 'x'],
    ['${KEY:-x}', 'k-1'],
    ['${NONE:-}', ''],
  ])('%s is %s', (text, expanded) => {
    const problems: string[] = [];
    expect([expandEnv(text, ENV, problems), problems]).toEqual([expanded, []]);
  });

  it.each([
    ['${NONE}', 'NONE is not set in the environment'],
    ['${EMPTY}', 'EMPTY is not set in the environment'],
    ['${input:key}', '${input:key} is no reference to the environment'],
    ['${}', '${} is no reference to the environment'],
  ])('%s is refused', (text, problem) => {
    const problems: string[] = [];
    expandEnv(text, ENV, problems);
    expect(problems).toEqual([problem]);
  });
});

describe('readMcpServers (SPEC G-11)', () => {
  it.each([
    [{ url: 'http://h/mcp' }, { url: 'http://h/mcp' }],
    [
      { type: 'http', url: 'http://${HOST}/mcp?k=${KEY}' },
      { url: 'http://example.org/mcp?k=k-1', transport: 'streamablehttp' },
    ],
    [
      { type: 'Streamable-HTTP', url: 'u' },
      { url: 'u', transport: 'streamablehttp' },
    ],
    [
      { transport: 'sse', serverUrl: 'u', disabled: true },
      { url: 'u', transport: 'sse', enabled: false },
    ],
    [
      { httpUrl: 'u', headers: {} },
      { url: 'u', transport: 'streamablehttp' },
    ],
    [
      { url: 'u', headers: { authorization: 'bearer ${KEY}' } },
      { url: 'u', auth: { type: 'bearer', token: 'k-1' } },
    ],
    [
      { url: 'u', headers: { Authorization: 'Basic ${KEY}' } },
      { url: 'u', auth: { type: 'headers', headers: { Authorization: 'Basic k-1' } } },
    ],
    [
      { url: 'u', headers: { Authorization: 'Bearer t', 'X-Key': 'a ${KEY}' } },
      { url: 'u', auth: { type: 'headers', headers: { Authorization: 'Bearer t', 'X-Key': 'a k-1' } } },
    ],
  ])('%j', (entry, expected) => {
    expect(gateway(entry)).toEqual({ name: 'one', ...expected });
  });

  it('a command is skipped with the way out, members without a meaning here are named', () => {
    const [local, stdio, remote] = read({
      local: { command: 'npx', args: ['x'], env: { A: '${NONE}' } },
      stdio: { type: 'stdio' },
      remote: { url: 'u', timeout: 3, alwaysAllow: [] },
    });
    expect([local, stdio]).toMatchObject([
      { kind: 'skipped', why: expect.stringContaining('stdio-to-HTTP bridge') },
      { kind: 'skipped', why: expect.stringContaining('stdio-to-HTTP bridge') },
    ]);
    expect(remote).toMatchObject({ kind: 'gateway', ignored: ['timeout', 'alwaysAllow'] });
  });

  it('tells every problem of an entry and goes on with the others', () => {
    const headers = { A: '${NONE}', B: '${NONE}', C: 7 };
    expect(read({ a: { type: 'ws', headers }, b: 'x', c: { url: 'u', headers: [] }, d: { url: 'u' } })).toEqual([
      {
        ...{ kind: 'invalid', name: 'a' },
        problems: [
          'url is missing',
          'type "ws" is none of http, streamable-http, sse',
          'NONE is not set in the environment',
          'headers.C must be text',
        ],
      },
      { kind: 'invalid', name: 'b', problems: ['must be an object'] },
      { kind: 'invalid', name: 'c', problems: ['headers must be an object'] },
      { kind: 'gateway', name: 'd', gateway: { name: 'd', url: 'u' }, ignored: [] },
    ]);
  });

  it.each(['{', '[]', '{}', '{"mcpServers":[]}', 'null'])('%s is no such file', (text) => {
    expect(() => readMcpServers(text, ENV)).toThrow(/the file (is not JSON|has no object)/);
  });
});

describe('mcpServersOf (SPEC G-11)', () => {
  const base: ExportableGateway = {
    ...{ name: 'a b', url: 'http://h/mcp', transport: 'auto', enabled: true },
    ...{ auth: { type: 'none' }, tls: null, passthroughHeaders: [] },
  };

  it('writes a variable where a secret is, each once, and says which', () => {
    const headers = { 'X-Api-Key': '***', 'x-api_key': '***' };
    const { mcpServers, notes } = mcpServersOf([
      base,
      { ...base, name: '1', transport: 'sse', auth: { type: 'bearer' }, enabled: false },
      { ...base, name: 'a.b', transport: 'streamablehttp', auth: { type: 'headers', headers } },
      { ...base, name: 'q', url: 'http://h/mcp?key=***&flag&***', auth: { type: 'basic' }, tls: {} },
    ]);
    expect(mcpServers).toEqual({
      'a b': { url: 'http://h/mcp' },
      '1': { type: 'sse', url: 'http://h/mcp', headers: { Authorization: 'Bearer ${_1_TOKEN}' }, disabled: true },
      'a.b': {
        ...{ type: 'http', url: 'http://h/mcp' },
        headers: { 'X-Api-Key': '${A_B_X_API_KEY}', 'x-api_key': '${A_B_X_API_KEY_2}' },
      },
      q: { url: 'http://h/mcp?key=${Q_KEY}&flag&${Q_QUERY}', headers: { Authorization: 'Basic ${Q_BASIC}' } },
    });
    expect(notes).toEqual([
      'q: tls has no place in this form',
      'to be set before an import: _1_TOKEN, A_B_X_API_KEY, A_B_X_API_KEY_2, Q_BASIC, Q_KEY, Q_QUERY',
    ]);
  });
});
