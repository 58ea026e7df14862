import { once } from 'node:events';
import { get, type IncomingMessage } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { type McpTestServer, startMcpServer } from '../support/mcp-server.js';
import { type Replica, startReplica } from '../support/replica.js';
import { initialize, MCP_HEADERS, post, register, request, send } from '../support/rpc.js';
import { createDatabase, type TestDatabase } from '../support/services.js';

let database: TestDatabase;
let server: McpTestServer;
let replica: Replica;
let mcp: string;
let rpc: string;

beforeAll(async () => {
  database = await createDatabase();
  server = await startMcpServer();
  replica = await startReplica({ DATABASE_URL: database.url, MAX_BODY_BYTES: '65536' });
  mcp = `${replica.url}/mcp`;
  rpc = `${replica.url}/rpc`;
  await register(replica.url, { name: 'Demo', url: server.mcpUrl });
});

afterAll(async () => {
  await replica.close();
  await server.close();
  await database.drop();
});

describe('a real client through the gateway', () => {
  it('initializes, lists and calls over one pooled upstream session', async () => {
    const before = server.stats.initialize;
    const client = new Client({ name: 'test', version: '1' });
    const transport = new StreamableHTTPClientTransport(new URL(mcp));
    await client.connect(transport);
    const { tools } = await client.listTools();
    expect(tools.map((tool) => tool.name)).toContain('demo-echo');
    for (const text of ['one', 'two', 'three']) {
      const answer = await client.callTool({ name: 'demo-echo', arguments: { text } });
      expect(answer.content).toEqual([{ type: 'text', text }]);
    }
    expect(server.stats.initialize - before).toBe(1);
    await client.ping();
    await transport.terminateSession();
    await client.close();
  });

  it('two sessions of one user never share an upstream session that keeps state', async () => {
    const counts: unknown[] = [];
    const [first, second] = [await initialize(replica.url), await initialize(replica.url)];
    for (const session of [first, first, second, first]) {
      const answer = await post(mcp, request('tools/call', { name: 'demo-counter', arguments: {} }), session);
      counts.push((answer.json.result as { content: { text: string }[] }).content[0]?.text);
    }
    expect(counts.map((text) => Number(/\d+/.exec(String(text))?.[0]))).toEqual([1, 2, 1, 3]);
  });
});

describe('what passes through (D-7)', () => {
  it('arguments and results are the bytes that came, big numbers and all', async () => {
    const raw =
      '{"jsonrpc":"2.0","id":"x","method":"tools/call","params":{"name":"demo-echo",' +
      '"arguments":{"text":"é","n":12345678901234567890,"one":1.0},"_meta":{"k":[1.50]}}}';
    const answer = await post(rpc, raw);
    expect(answer.text.startsWith('{"jsonrpc":"2.0","id":"x","result":')).toBe(true);
    const seen = server.lastBody('tools/call');
    expect(seen).toContain('"arguments":{"text":"é","n":12345678901234567890,"one":1.0},"_meta":{"k":[1.50]}');
    expect(seen).toContain('"name":"echo"');
  });

  // It used to go upstream as it was where nobody listens, and could be the one that another call on a shared session got.
  it('a progress token of a client never goes upstream, not even from /rpc (D-8)', async () => {
    const params = { name: 'demo-echo', arguments: { text: 'x' }, _meta: { progressToken: 987_654, k: 1 } };
    expect((await post(rpc, request('tools/call', params))).json.result).toBeDefined();
    expect(server.lastBody('tools/call')).toMatch(/"_meta":\{"progressToken":\d{1,4},"k":1\}/);
  });

  it("wrong arguments: the server's own error, unchanged", async () => {
    const direct = await directCall('add', { a: 'x' });
    const answer = await post(rpc, request('tools/call', { name: 'demo-add', arguments: { a: 'x' } }));
    expect(answer.status).toBe(200);
    expect(answer.json.result ?? answer.json.error).toEqual(direct);
  });

  it('a tool that fails: its isError result, unchanged', async () => {
    const answer = await post(rpc, request('tools/call', { name: 'demo-fail', arguments: {} }));
    expect(answer.json.result).toMatchObject({ isError: true });
  });
});

describe('errors of a call', () => {
  it('an unknown tool is −32602 with a stable code (D-6)', async () => {
    const answer = await post(rpc, request('tools/call', { name: 'demo-nothing', arguments: {} }));
    expect(answer.status).toBe(200);
    expect(answer.json.error).toMatchObject({ code: -32602, data: { code: 'UNKNOWN_TOOL', retryable: false } });
  });

  it.each([
    ['no params', undefined],
    ['no name', { arguments: {} }],
    ['a name that is no string', { name: 7 }],
    ['params that are a list', ['demo-echo']],
  ])('%s is −32602', async (_what, params) => {
    const answer = await post(rpc, request('tools/call', params));
    expect(answer.json.error).toMatchObject({ code: -32602, data: { code: 'INVALID_PARAMS' } });
  });

  it('a repeated member is refused, for two parsers might choose different ones', async () => {
    const raw = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"demo-echo","name":"demo-add"}}';
    expect((await post(rpc, raw)).json.error).toMatchObject({ code: -32602 });
  });

  it('an unknown method is −32601 at HTTP 200 (P9)', async () => {
    const answer = await post(rpc, request('no/such'));
    expect(answer.status).toBe(200);
    expect(answer.json.error).toMatchObject({ code: -32601 });
  });
});

describe('POST /mcp, the check-list of PROTOCOL §5.1', () => {
  let session: Record<string, string>;
  beforeAll(async () => {
    session = await initialize(replica.url);
  });

  it('I2, I3: the session id is visible ASCII, long, and new each time', async () => {
    const ids = await Promise.all([1, 2, 3].map(async () => (await initialize(replica.url))['mcp-session-id']));
    expect(new Set(ids).size).toBe(3);
    for (const id of ids) expect(id).toMatch(/^[A-Za-z0-9_-]{22,128}$/);
  });

  it('I4, I5: an unknown revision is answered with ours, a known one with itself', async () => {
    const ask = async (protocolVersion: string): Promise<unknown> => {
      const params = { protocolVersion, capabilities: {}, clientInfo: { name: 't', version: '1' } };
      return (await post(mcp, request('initialize', params))).json.result?.['protocolVersion'];
    };
    expect(await ask('1999-01-01')).toBe('2025-11-25');
    expect(await ask('2025-03-26')).toBe('2025-03-26');
  });

  it('P1, P2: notifications and responses are 202 without a body', async () => {
    const answers = [
      await post(mcp, { jsonrpc: '2.0', method: 'notifications/initialized' }, session),
      await post(mcp, { jsonrpc: '2.0', id: 1, result: {} }, session),
    ];
    expect(answers.map(({ status, text }) => [status, text])).toEqual([
      [202, ''],
      [202, ''],
    ]);
  });

  it.each([['abc'], [0], [-1], ['']])('P3, P4: the id %j comes back as it was', async (id) => {
    expect((await post(mcp, { jsonrpc: '2.0', id, method: 'ping' }, session)).json).toEqual({
      jsonrpc: '2.0',
      id,
      result: {},
    });
  });

  it.each([
    ['P6 broken JSON', '{"jsonrpc":', -32700],
    ['P6 not UTF-8', Buffer.from([0x22, 0xff, 0x22]), -32700],
    ['P7 not JSON-RPC', '{"hello":1}', -32600],
    ['P8 a batch', '[{"jsonrpc":"2.0","id":1,"method":"ping"}]', -32600],
    ['a null id', '{"jsonrpc":"2.0","id":null,"method":"ping"}', -32600],
  ])('%s is 400', async (_what, body, code) => {
    const answer = await send('POST', mcp, { ...MCP_HEADERS, ...session }, body);
    expect(answer.status).toBe(400);
    expect(answer.json.error?.code).toBe(code);
  });

  it.each([
    ['A1 Accept without event streams', { accept: 'application/json' }, 406],
    ['A3 Content-Type text/plain', { 'content-type': 'text/plain' }, 415],
    ['V1 an unknown protocol version', { 'mcp-protocol-version': '1999-01-01' }, 400],
    ['S2 an unknown session', { 'mcp-session-id': 'nobody' }, 404],
    ['O1 a foreign Origin', { origin: 'http://evil.example.com' }, 403],
    ['O2 the Origin null', { origin: 'null' }, 403],
  ])('%s is refused', async (_what, headers, status) => {
    const answer = await post(mcp, request('ping'), { ...session, ...headers });
    expect(answer.status).toBe(status);
    expect(answer.json.error?.data?.['code']).toBeDefined();
  });

  it("§8: a refusal carries the caller's id, also when the body had not been read yet", async () => {
    const answers = [
      await post(mcp, { jsonrpc: '2.0', id: 7, method: 'ping' }, { ...session, 'content-type': 'text/plain' }),
      await post(mcp, { jsonrpc: '2.0', id: 'x', method: 'ping' }, { ...session, origin: 'http://evil.example.com' }),
      await post(mcp, { jsonrpc: '2.0', id: 9, method: 'ping' }, { ...session, accept: 'text/html' }),
    ];
    expect(answers.map(({ status, json }) => [status, json.id])).toEqual([
      [415, 7],
      [403, 'x'],
      [406, 9],
    ]);
  });

  it('S-7: a foreign Host is refused, except for probes, which come with the address of the pod', async () => {
    const ask = (path: string) => statusWithHost(`${replica.url}${path}`, '10.2.3.4:4444');
    expect([await ask('/health'), await ask('/ready'), await ask('/metrics')]).toEqual([200, 200, 200]);
    expect([await ask('/gateways'), await ask('/mcp')]).toEqual([403, 403]);
  });

  it('A4: a charset does no harm; O6: no Origin and our own Origin are fine', async () => {
    const answer = await post(mcp, request('ping'), {
      ...session,
      'content-type': 'application/json; charset=utf-8',
      origin: replica.url,
    });
    expect(answer.status).toBe(200);
  });

  it('A6: other methods are 405 with Allow', async () => {
    const answer = await send('PUT', mcp, session);
    expect([answer.status, answer.headers.get('allow')]).toEqual([405, 'GET, POST, DELETE']);
  });

  it('S1: a request without a session is 400; S7: a second initialize is refused', async () => {
    expect((await post(mcp, request('ping'))).json.error?.data).toMatchObject({ code: 'SESSION_REQUIRED' });
    const again = await post(mcp, request('initialize', { protocolVersion: '2025-11-25' }), session);
    expect(again.status).toBe(400);
  });

  it('S5, S6: DELETE ends the session; everything after it is 404, a second DELETE too (D-10)', async () => {
    const own = await initialize(replica.url);
    expect((await send('DELETE', mcp, own)).status).toBe(200);
    expect((await post(mcp, request('ping'), own)).status).toBe(404);
    expect((await send('DELETE', mcp, own)).status).toBe(404);
  });

  it('a body over the limit is 413 and says which setting', async () => {
    const answer = await post(mcp, request('ping', { filler: 'x'.repeat(70_000) }), session);
    expect(answer.status).toBe(413);
    expect(answer.json.error?.message).toContain('MAX_BODY_BYTES');
  });

  it('the request id goes in and out', async () => {
    const answer = await post(mcp, request('ping'), { ...session, 'x-request-id': 'abc-1' });
    expect(answer.headers.get('x-request-id')).toBe('abc-1');
  });
});

describe('tools/list', () => {
  it('pages through 1,200 tools of 12 pages, each once (D-6, G-5)', async () => {
    const large = await startMcpServer({ tools: 1_200, pageSize: 100, baseTools: false });
    const record = await register(replica.url, { name: 'Large', url: large.mcpUrl });
    expect((record['counts'] as { tools: number }).tools).toBe(1_200);
    const names: string[] = [];
    let cursor: string | undefined;
    do {
      const params: Record<string, unknown> = cursor === undefined ? {} : { cursor };
      const { result } = (await post(rpc, request('tools/list', params))).json;
      names.push(...(result as { tools: { name: string }[] }).tools.map((tool) => tool.name));
      cursor = (result as { nextCursor?: string }).nextCursor;
    } while (cursor !== undefined);
    expect(names.filter((name) => name.startsWith('large-')).length).toBe(
      (record['counts'] as { tools: number }).tools,
    );
    expect(new Set(names).size).toBe(names.length);
    await large.close();
  });

  it('a made-up cursor is −32602', async () => {
    const answer = await post(rpc, request('tools/list', { cursor: 'made-up' }));
    expect(answer.json.error).toMatchObject({ code: -32602 });
  });
});

/** `fetch` does not let a Host be set. */
async function statusWithHost(url: string, host: string): Promise<number | undefined> {
  const [answer] = (await once(get(url, { headers: { host } }), 'response')) as [IncomingMessage];
  answer.resume();
  return answer.statusCode;
}

/** What the server says when it is asked without the gateway. */
async function directCall(name: string, args: unknown): Promise<unknown> {
  const client = new Client({ name: 'direct', version: '1' });
  await client.connect(new StreamableHTTPClientTransport(new URL(server.mcpUrl)));
  const answer = await client.callTool({ name, arguments: args as Record<string, unknown> }).catch((e: unknown) => e);
  await client.close();
  return answer;
}
