import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { encodeCursor } from '../../src/catalogue/cursor.js';
import { type McpTestServer, startMcpServer } from '../support/mcp-server.js';
import { type Replica, startReplica } from '../support/replica.js';
import { post, register, request, type RpcAnswer } from '../support/rpc.js';
import { createDatabase, type TestDatabase } from '../support/services.js';

let database: TestDatabase;
let one: McpTestServer;
let two: McpTestServer;
let replica: Replica;

beforeAll(async () => {
  database = await createDatabase();
  [one, two] = [await startMcpServer(), await startMcpServer()];
  replica = await startReplica({ DATABASE_URL: database.url });
  await register(replica.url, { name: 'one', url: one.mcpUrl });
  await register(replica.url, { name: 'two', url: two.mcpUrl });
});

afterAll(async () => {
  await replica.close();
  await Promise.all([one.close(), two.close()]);
  await database.drop();
});

const rpc = (method: string, params?: unknown): Promise<RpcAnswer> =>
  post(`${replica.url}/rpc`, request(method, params));

describe('resources and prompts through the gateway (SPEC D-6)', () => {
  it('a real client sees that they are there, lists, reads and gets', async () => {
    const client = new Client({ name: 'test', version: '1' });
    await client.connect(new StreamableHTTPClientTransport(new URL(`${replica.url}/mcp`)));
    expect(client.getServerCapabilities()).toEqual({
      tools: { listChanged: true },
      resources: { listChanged: true, subscribe: true },
      prompts: { listChanged: true },
      logging: {},
      completions: {},
    });
    expect((await client.listResources()).resources.map(({ uri }) => uri)).toEqual([
      ...['gw:two:test://static/one', 'gw:two:test://static/two', 'test://static/one', 'test://static/two'],
    ]);
    expect((await client.listResourceTemplates()).resourceTemplates.map(({ uriTemplate }) => uriTemplate)).toEqual([
      ...['gw:two:test://item/{id}', 'test://item/{id}'],
    ]);
    expect((await client.listPrompts()).prompts.map(({ name }) => name)).toEqual([
      ...['one-greet', 'one-hello', 'two-greet', 'two-hello'],
    ]);
    const prompt = await client.getPrompt({ name: 'two-greet', arguments: { name: 'you' } });
    expect(prompt.messages).toMatchObject([{ content: { text: 'Hello, you!' } }]);
    expect(await client.readResource({ uri: 'test://static/one' })).toMatchObject({
      contents: [{ uri: 'test://static/one', text: 'text of one' }],
    });
    await client.close();
  });

  it.each([
    ['its own URI', 'test://static/two', 'one', 'test://static/two'],
    ['an alias', 'gw:two:test://static/two', 'two', 'test://static/two'],
    ['a template', 'test://item/7', 'one', 'test://item/7'],
    ['an aliased template', 'gw:two:test://item/7', 'two', 'test://item/7'],
  ])(
    'resources/read by %s goes to its gateway with the URI that the server knows (G-4)',
    async (_what, uri, to, its) => {
      const [target, other] = to === 'one' ? [one, two] : [two, one];
      const before = [target, other].map((server) => server.stats.requests['resources/read'] ?? 0);
      const answer = await rpc('resources/read', { uri });
      // What comes back bears the name that was asked for.
      expect(answer.json.result).toMatchObject({ contents: [{ uri }] });
      const after = [target, other].map((server) => server.stats.requests['resources/read'] ?? 0);
      expect(after.map((count, i) => count - (before[i] ?? 0))).toEqual([1, 0]);
      expect(target.lastBody('resources/read')).toContain(`"uri":"${its}"`);
    },
  );

  it('only the URI changes on the way: everything else is the bytes that came (D-7)', async () => {
    const raw =
      '{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{ "_meta":{"k":[1.50]}, ' +
      '"uri" : "test:\\/\\/static/one", "n":12345678901234567890 }}';
    const answer = await post(`${replica.url}/rpc`, raw);
    expect(answer.json.result).toMatchObject({ contents: [{ text: 'text of one' }] });
    expect(one.lastBody('resources/read')).toContain(
      '{ "_meta":{"k":[1.50]}, "uri" : "test://static/one", "n":12345678901234567890 }',
    );
  });

  it.each(['prompts/list', 'resources/list', 'resources/templates/list'])(
    '%s does not take the cursor of another list',
    async (method) => {
      const cursor = encodeCursor('tools/list', 'a');
      expect((await rpc(method, { cursor })).json.error).toMatchObject({ code: -32602 });
    },
  );
});

describe('errors', () => {
  it('an unknown resource is −32002 and names it, an unknown prompt −32602 (D-6)', async () => {
    expect((await rpc('resources/read', { uri: 'test://nothing' })).json.error).toMatchObject({
      code: -32002,
      data: { code: 'RESOURCE_NOT_FOUND', uri: 'test://nothing', retryable: false },
    });
    expect((await rpc('prompts/get', { name: 'one-none' })).json.error).toMatchObject({
      code: -32602,
      data: { code: 'UNKNOWN_PROMPT' },
    });
  });

  it.each([
    ['resources/read', undefined],
    ['resources/read', { uri: 7 }],
    ['prompts/get', { arguments: {} }],
  ])('%s with %j is −32602', async (method, params) => {
    expect((await rpc(method, params)).json.error).toMatchObject({ code: -32602, data: { code: 'INVALID_PARAMS' } });
  });

  it("a server's own error is passed on", async () => {
    expect((await rpc('prompts/get', { name: 'one-greet' })).json.error).toMatchObject({ code: -32602 });
    expect((await rpc('prompts/get', { name: 'one-greet' })).json.error?.data?.['code']).toBeUndefined();
  });

  it('methods are labels of the metrics', async () => {
    const text = await (await fetch(`${replica.url}/metrics`)).text();
    expect(text).toMatch(/mcpgateway_mcp_requests_total\{[^}]*method="resources\/read"[^}]*\}/);
  });
});
