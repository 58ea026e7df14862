import { afterEach, describe, expect, it } from '@jest/globals';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { SSEClientTransport } from '@modelcontextprotocol/sdk/client/sse.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { ResultSchema } from '@modelcontextprotocol/sdk/types.js';
import { deferred } from './deferred.js';
import { type McpServerOptions, type McpTestServer, startMcpServer } from './mcp-server.js';

/** The test server against the SDK's own client: what other tests rely on. */
describe('McpTestServer', () => {
  const open: (() => Promise<void>)[] = [];
  afterEach(async () => {
    for (const close of open.splice(0).reverse()) await close();
  });

  async function start(options: McpServerOptions = {}): Promise<McpTestServer> {
    const server = await startMcpServer(options);
    open.push(() => server.close());
    return server;
  }

  async function connect(server: McpTestServer, over: 'http' | 'sse' = 'http'): Promise<Client> {
    const client = new Client({ name: 'spec', version: '1' });
    await client.connect(
      over === 'http'
        ? new StreamableHTTPClientTransport(new URL(server.mcpUrl))
        : new SSEClientTransport(new URL(server.sseUrl)),
    );
    open.push(() => client.close());
    return client;
  }

  /** All pages of a list, or the error that ended it. */
  async function pages(client: Client, method: string, key: string): Promise<unknown[][]> {
    const found: unknown[][] = [];
    let cursor: unknown;
    do {
      const params = cursor === undefined ? {} : { cursor };
      const result = await client.request({ method, params }, ResultSchema);
      found.push(result[key] as unknown[]);
      cursor = result['nextCursor'];
    } while (cursor !== undefined && found.length < 20);
    return found;
  }

  async function call(client: Client, name: string, args: Record<string, unknown> = {}): Promise<string> {
    const result = await client.callTool({ name, arguments: args });
    return (result.content as { text: string }[])[0]?.text ?? '';
  }

  it('1,200 tools come on 12 pages, and each of them runs', async () => {
    const server = await start({ tools: 1_200, pageSize: 100, baseTools: false });
    const client = await connect(server);

    const found = await pages(client, 'tools/list', 'tools');

    expect(found.map((page) => page.length)).toEqual(Array(12).fill(100));
    expect(new Set(found.flat().map((tool) => (tool as { name: string }).name)).size).toBe(1_200);
    expect(await call(client, 'tool_1200')).toBe('tool_1200 ran');
    expect(server.stats.requests['tools/list']).toBe(12);
  });

  it('lists can be made to fail, to go round in circles and to hold an invalid entry', async () => {
    const server = await start({ tools: 10, pageSize: 5, baseTools: false });
    const client = await connect(server);
    const method = 'tools/list';

    server.faults.listFault = { method, page: 2, fault: 'error' };
    await expect(pages(client, method, 'tools')).rejects.toThrow('page 2 of tools/list is broken');
    server.faults.listFault = { method, page: 2, fault: 'repeat-cursor' };
    expect(await pages(client, method, 'tools')).toHaveLength(20);
    server.faults.listFault = { method, page: 1, fault: 'invalid-entry' };
    expect((await pages(client, method, 'tools'))[0]?.[1]).toMatchObject({ name: 42 });
  });

  it('has resources, templates, prompts and subscriptions, over both transports', async () => {
    const server = await start();
    for (const over of ['http', 'sse'] as const) {
      const client = await connect(server, over);
      const updated = new Promise((resolve) => (client.fallbackNotificationHandler = async (heard) => resolve(heard)));

      expect((await client.listResources()).resources.map(({ uri }) => uri)).toEqual([
        'test://static/one',
        'test://static/two',
      ]);
      expect((await client.listResourceTemplates()).resourceTemplates).toHaveLength(1);
      expect((await client.listPrompts()).prompts.map(({ name }) => name)).toEqual(['hello', 'greet']);
      expect((await client.readResource({ uri: 'test://item/7' })).contents[0]).toMatchObject({ text: '{"id":"7"}' });
      const prompt = await client.getPrompt({ name: 'greet', arguments: { name: 'Ada' } });
      expect(prompt.messages[0]?.content).toEqual({ type: 'text', text: 'Hello, Ada!' });
      await client.subscribeResource({ uri: 'test://static/one' });
      if (over === 'http') await server.waitFor(({ getStreams }) => getStreams === 1);
      await server.updateResource('test://static/one');
      expect(await updated).toMatchObject({ params: { uri: 'test://static/one' } });
      await client.close();
    }
  });

  it('declares only the kinds it is told to', async () => {
    const server = await start({ kinds: ['prompts'], instructions: 'be kind' });
    const client = await connect(server);

    expect(client.getServerCapabilities()).toEqual({ completions: {}, logging: {}, prompts: { listChanged: true } });
    expect(client.getInstructions()).toBe('be kind');
  });

  it('keeps a counter for each session, and one for each call id', async () => {
    const server = await start();
    const [first, second] = [await connect(server), await connect(server, 'sse')];

    expect(await call(first, 'counter', { callId: 'x' })).toBe('1');
    expect(await call(first, 'counter', { callId: 'x' })).toBe('2');
    expect(await call(second, 'counter')).toBe('1');
    expect(server.executionsOf('x')).toBe(2);
    expect(server.stats).toMatchObject({ openSessions: 2, initialize: 2, executions: 3 });
  });

  it('without sessions, every POST stands alone', async () => {
    const server = await start({ stateless: true });
    const client = await connect(server);

    expect(JSON.parse(await call(client, 'whoami'))).not.toHaveProperty('sessionId');
    expect(await call(client, 'counter')).toBe('1');
    expect(await call(client, 'counter')).toBe('1');
    expect(server.sessions()).toEqual([]);
  });

  it('with an event store, a broken stream can be resumed', async () => {
    const server = await start({ eventStore: true, retryMs: 1 });
    const client = await connect(server);
    const args = { name: 'gate', arguments: { text: 'resumed' } };
    const reached = deferred();
    const answer = client.callTool(args, undefined, { onprogress: () => reached.resolve() });
    await reached.promise; // so the client has an event id to resume from

    server.cutStreams('post');
    await server.waitFor(({ resumed }) => resumed > 0);
    await server.waitFor(({ atGate }) => atGate === 1);
    server.openGate();

    expect(await answer).toMatchObject({ content: [{ text: 'resumed' }] });
    expect(server.stats.executions).toBe(1);
  });

  it('refuses, delays, stalls and forgets as it is told to', async () => {
    const server = await start();
    const client = await connect(server);
    const failure = (): Promise<string> => call(client, 'echo', { text: 'x' }).catch(String);

    server.faults.authorization = 'Bearer right';
    expect(await failure()).toContain('authorization required');
    server.faults.authorization = undefined;
    server.faults.answer = 503;
    expect(await failure()).toContain('answer 503');
    server.faults.answer = undefined;
    server.faults.unknownSession = 400;
    server.dropSessions();
    expect(await failure()).toContain('No valid session ID provided');
    expect(server.stats.badSession).toBe(1);
    server.faults.stall = 'ping';
    const stalled = (await connect(server)).ping().catch(String);
    await server.waitFor(({ stalled: count }) => count === 1);
    await server.stop();
    expect(await stalled).toContain('fetch failed');
    expect(server.stats).toMatchObject({ openSessions: 0, getStreams: 0, openPosts: 0, sockets: 0 });
    await server.start();
    server.faults.stall = undefined;
    expect(await call(await connect(server), 'counter')).toBe('1');
  });

  it('tools come and go while it runs, and every session is told', async () => {
    const server = await start({ tools: 1 });
    const client = await connect(server, 'sse');
    let told = 0;
    client.fallbackNotificationHandler = async ({ method }) => void (told += Number(method.endsWith('list_changed')));

    server.addTool('late');
    expect(await call(client, 'late')).toBe('late ran');
    server.removeTool('late');
    expect(await call(client, 'late')).toContain('not found');

    expect(told).toBe(2);
  });
});
