import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { type McpTestServer, startMcpServer } from '../support/mcp-server.js';
import { type Replica, startReplica } from '../support/replica.js';
import { initialize, post, register, request } from '../support/rpc.js';
import { createDatabase, type TestDatabase } from '../support/services.js';

let database: TestDatabase;
let server: McpTestServer;
let replica: Replica;
let mcp: string;
let rpc: string;

beforeAll(async () => {
  database = await createDatabase();
  server = await startMcpServer();
  replica = await startReplica({ DATABASE_URL: database.url });
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

/** What the server says when it is asked without the gateway. */
async function directCall(name: string, args: unknown): Promise<unknown> {
  const client = new Client({ name: 'direct', version: '1' });
  await client.connect(new StreamableHTTPClientTransport(new URL(server.mcpUrl)));
  const answer = await client.callTool({ name, arguments: args as Record<string, unknown> }).catch((e: unknown) => e);
  await client.close();
  return answer;
}
