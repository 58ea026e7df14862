import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { SSEClientTransport } from '@modelcontextprotocol/sdk/client/sse.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import {
  PromptListChangedNotificationSchema,
  ResourceListChangedNotificationSchema,
  ToolListChangedNotificationSchema,
} from '@modelcontextprotocol/sdk/types.js';
import { type McpTestServer } from '../support/mcp-server.js';
import { post, request } from '../support/rpc.js';
import { until } from '../support/until.js';
import { expectProblem, GatewayWorld, pluck } from './gateways.support.js';

const world = new GatewayWorld();
const NOBODY = '00000000-0000-4000-8000-000000000000';

beforeAll(() => world.open());
afterAll(() => world.close());
afterEach(async () => {
  for (const { id } of (await world.rest('GET', '/servers')).body.items) await world.rest('DELETE', `/servers/${id}`);
  await world.reset();
});

async function twoGateways(): Promise<readonly [McpTestServer, McpTestServer]> {
  const servers = [await world.server(), await world.server()] as const;
  await world.register({ name: 'one', url: servers[0].mcpUrl });
  await world.register({ name: 'two', url: servers[1].mcpUrl });
  return servers;
}

async function create(name: string, ...items: unknown[]): Promise<string> {
  const { status, body } = await world.rest('POST', '/servers', { name, items });
  expect([status, body.problems]).toEqual([201, undefined]);
  return body.id as string;
}

/** A real client, and the notifications that it has had. */
async function connect(path: string): Promise<{ client: Client; heard: string[] }> {
  const client = new Client({ name: 'test', version: '1' });
  const heard: string[] = [];
  const schemas = [
    ...[ToolListChangedNotificationSchema, ResourceListChangedNotificationSchema, PromptListChangedNotificationSchema],
  ];
  for (const schema of schemas) client.setNotificationHandler(schema, ({ method }) => void heard.push(method));
  const url = new URL(world.replica.url + path);
  await client.connect(path.endsWith('/sse') ? new SSEClientTransport(url) : new StreamableHTTPClientTransport(url));
  world.atEnd(() => client.close());
  return { client, heard };
}

async function idOf(list: string, name: string): Promise<string> {
  const { items } = (await world.rest('GET', `/${list}?limit=500`)).body as { items: { id: string; name: string }[] };
  return items.find((item) => item.name === name)?.id ?? '';
}

describe('REST of virtual servers (SPEC G-9)', () => {
  it('creates, shows, lists, changes and removes one', async () => {
    await twoGateways();
    const items = [{ capability: 'one-echo', name: 'say' }, { capability: 'test://static/one' }];
    const made = await world.rest('POST', '/servers', { name: 'My set', description: 'for me', items });
    expect(made.status).toBe(201);
    const { id } = made.body;
    expect(made.headers.get('location')).toBe(`/servers/${id}`);
    expect(made.body).toMatchObject({
      ...{ slug: 'my-set', name: 'My set', description: 'for me', enabled: true },
      endpoints: { mcp: `/servers/${id}/mcp`, sse: `/servers/${id}/sse` },
      items: [
        { kind: 'tool', name: 'say', publicName: 'one-echo', gateway: { slug: 'one' }, visible: true },
        { kind: 'resource', name: 'test://static/one', publicName: 'test://static/one', visible: true },
      ],
    });
    expect((await world.rest('GET', `/servers/${id}`)).body).toEqual(made.body);
    const { items: listed } = (await world.rest('GET', '/servers?q=my')).body;
    expect(listed).toMatchObject([{ id, counts: { tools: 1, resources: 1, resourceTemplates: 0, prompts: 0 } }]);

    const changed = await world.rest('PATCH', `/servers/${id}`, { name: 'other', items: [{ capability: 'two-echo' }] });
    expect(changed.body).toMatchObject({ name: 'other', slug: 'my-set', description: 'for me' });
    expect(pluck(changed.body.items, 'name')).toEqual(['two-echo']);
    expect((await world.rest('DELETE', `/servers/${id}`)).status).toBe(204);
    expectProblem(await world.rest('GET', `/servers/${id}`), 404, 'NOT_FOUND');
    expectProblem(await world.rest('DELETE', `/servers/${id}`), 404, 'NOT_FOUND');
    const said = world.replica.logLines.map(({ msg }) => String(msg)).filter((line) => line.includes(id as string));
    expect(said.map((line) => /items\) (.*)$/.exec(line)?.[1])).toEqual([
      ...['created by anonymous', 'changed (name, items) by anonymous', 'removed by anonymous'],
    ]);
  });

  it('lists every problem, of the form first and then of what is selected', async () => {
    await twoGateways();
    const form = await world.rest('POST', '/servers', {
      name: '!',
      items: [
        { capability: 'one-echo', name: 'x'.repeat(65) },
        { kind: 'toll', capability: '' },
      ],
    });
    expectProblem(form, 400, 'INVALID_PARAMS');
    expect(pluck(form.body.problems, 'path')).toEqual([
      ...['name', 'items.0.name', 'items.0.name', 'items.1.capability', 'items.1.kind'],
    ]);
    const items = [{ capability: 'one-echo' }, { capability: 'two-echo', name: 'one-echo' }, { capability: 'none' }];
    const selection = await world.rest('POST', '/servers', { name: 'a', items });
    expectProblem(selection, 400, 'INVALID_PARAMS');
    expect(pluck(selection.body.problems, 'path')).toEqual(['items.1.name', 'items.2.capability']);
    await create('a');
    expectProblem(await world.rest('POST', '/servers', { name: 'a', items: [] }), 409, 'CONFLICT');
  });
});

describe('the endpoint of a virtual server (SPEC G-9)', () => {
  it.each(['mcp', 'sse'])('/servers/:id/%s: a real client sees and uses exactly the selection', async (transport) => {
    const [one, two] = await twoGateways();
    const id = await create(
      'mine',
      ...[{ capability: 'one-echo', name: 'say' }, { capability: 'two-add' }, { capability: 'two-greet' }],
      ...[{ capability: 'gw:two:test://item/{id}' }, { capability: 'test://static/one' }],
    );
    const { client } = await connect(`/servers/${id}/${transport}`);
    expect(client.getServerCapabilities()).toEqual({
      tools: { listChanged: true },
      resources: { listChanged: true, subscribe: true },
      prompts: { listChanged: true },
      ...{ logging: {}, completions: {} },
    });
    expect(client.getInstructions()).toBeUndefined();
    expect((await client.listTools()).tools.map(({ name }) => name)).toEqual(['say', 'two-add']);
    expect((await client.listPrompts()).prompts.map(({ name }) => name)).toEqual(['two-greet']);
    expect((await client.listResources()).resources.map(({ uri }) => uri)).toEqual(['test://static/one']);
    expect((await client.listResourceTemplates()).resourceTemplates.map(({ uriTemplate }) => uriTemplate)).toEqual([
      'gw:two:test://item/{id}',
    ]);
    const said = await client.callTool({ name: 'say', arguments: { text: 'hi' } });
    expect(said.content).toEqual([{ type: 'text', text: 'hi' }]);
    expect(one.lastBody('tools/call')).toContain('"name":"echo"');
    await client.callTool({ name: 'two-add', arguments: { a: 1, b: 2 } });
    expect([one.stats.requests['tools/call'], two.stats.requests['tools/call']]).toEqual([1, 1]);
    await client.readResource({ uri: 'gw:two:test://item/7' });
    await client.readResource({ uri: 'test://static/one' });
    await client.getPrompt({ name: 'two-greet', arguments: { name: 'you' } });
    for (const name of ['one-echo', 'echo', 'two-echo', 'one-counter']) {
      await expect(client.callTool({ name, arguments: { text: 'x' } })).rejects.toMatchObject({ code: -32602 });
    }
    for (const uri of ['test://static/two', 'gw:two:test://static/one', 'test://item/7']) {
      await expect(client.readResource({ uri })).rejects.toMatchObject({ code: -32002 });
      await expect(client.subscribeResource({ uri })).rejects.toMatchObject({ code: -32002 });
    }
    const complete = (name: string) =>
      client.complete({ ref: { type: 'ref/prompt', name }, argument: { name: 'name', value: '' } });
    expect((await complete('two-greet')).completion.values).toEqual(['Ada', 'Alan', 'Grace']);
    await expect(complete('one-greet')).rejects.toMatchObject({ code: -32602 });
    await expect(client.getPrompt({ name: 'one-greet' })).rejects.toMatchObject({ code: -32602 });
    expect([one.stats.requests['resources/read'], two.stats.requests['resources/read']]).toEqual([1, 1]);
  });

  it('what a selected tool links to is not readable for that', async () => {
    const [one] = await twoGateways();
    const id = await create('mine', { capability: 'one-echo' });
    const link = { type: 'resource_link', uri: 'test://linked', name: 'l' };
    one.faults.rawResult = { tool: 'echo', json: JSON.stringify({ content: [link] }) };
    for (const [path, reads] of [['/mcp', 1] as const, [`/servers/${id}/mcp`, 0] as const]) {
      const before = one.stats.requests['resources/read'] ?? 0;
      const { client } = await connect(path);
      await client.callTool({ name: 'one-echo', arguments: { text: 'x' } });
      await expect(client.readResource({ uri: link.uri })).rejects.toThrow();
      expect((one.stats.requests['resources/read'] ?? 0) - before).toBe(reads);
    }
  });

  it('an unknown, a disabled and a removed server is 404, and its sessions end', async () => {
    await twoGateways();
    const id = await create('mine', { capability: 'one-echo' });
    const at = (server: string) => `${world.replica.url}/servers/${server}/mcp`;
    const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 't', version: '1' } };
    const start = (server: string) => post(at(server), request('initialize', params));
    const refused = async (server: string): Promise<void> => {
      expect((await start(server)).json.error).toMatchObject({ data: { code: 'NOT_FOUND' } });
      expect((await start(server)).status).toBe(404);
      const headers = { accept: 'text/event-stream' };
      expect((await fetch(`${world.replica.url}/servers/${server}/sse`, { headers })).status).toBe(404);
    };
    await refused(NOBODY);
    expect((await start('-'.repeat(36))).status).toBe(404); // no route, and no fault of ours

    const opened = await start(id);
    const session = { 'mcp-session-id': opened.headers.get('mcp-session-id') ?? '' };
    const ping = () => post(at(id), request('ping'), session);
    expect((await ping()).status).toBe(200);
    await world.rest('PATCH', `/servers/${id}`, { enabled: false });
    expect((await ping()).json.error).toMatchObject({ code: -32001, data: { code: 'SESSION_NOT_FOUND' } });
    await refused(id);
    await world.rest('PATCH', `/servers/${id}`, { enabled: true });
    const { client } = await connect(`/servers/${id}/mcp`);
    await world.rest('DELETE', `/servers/${id}`);
    await expect(client.ping()).rejects.toThrow();
    await refused(id);
  });
});

describe('list_changed (SPEC N-7)', () => {
  it('reaches exactly the sessions of the servers whose visible list has changed', async () => {
    await twoGateways();
    const first = await connect(`/servers/${await create('first', { capability: 'one-echo' })}/mcp`);
    const secondId = await create('second', { capability: 'two-echo' }, { capability: 'one-greet' });
    const second = await connect(`/servers/${secondId}/mcp`);
    const overSse = await connect(`/servers/${secondId}/sse`);
    const all = await connect('/mcp');

    // Of the gateway, and selected by one server only.
    await world.rest('PATCH', `/tools/${await idOf('tools', 'one-echo')}`, { description: 'of mine' });
    await until(() => first.heard.length > 0 && all.heard.length > 0, { what: 'the first is told' });
    // Selected by none.
    await world.rest('PATCH', `/tools/${await idOf('tools', 'one-add')}`, { description: 'of mine' });
    await until(() => all.heard.length > 1, { what: 'the whole catalogue is told' });
    // Of the selection itself: nothing that the other servers or /mcp see.
    await world.rest('PATCH', `/servers/${secondId}`, { items: [{ capability: 'two-echo', name: 'say' }] });
    await until(() => second.heard.length > 1 && overSse.heard.length > 1, { what: 'the second is told' });
    expect((await second.client.listTools()).tools.map(({ name }) => name)).toEqual(['say']);
    await world.rest('PATCH', `/servers/${secondId}`, { description: 'no list' });

    // A gateway is removed: whatever was sent before arrives before this.
    await world.rest('DELETE', `/gateways/${(await world.rest('GET', '/gateways?q=two')).body.items[0].id}`);
    await until(() => second.heard.length > 2 && overSse.heard.length > 2, { what: 'the second loses its tool' });
    await world.rest('DELETE', `/gateways/${(await world.rest('GET', '/gateways?q=one')).body.items[0].id}`);
    await until(() => first.heard.length > 1, { what: 'the first loses its tool' });
    const [tools, prompts] = ['notifications/tools/list_changed', 'notifications/prompts/list_changed'];
    expect(first.heard).toEqual([tools, tools]);
    expect(second.heard).toEqual([tools, prompts, tools]);
    expect(overSse.heard).toEqual(second.heard);
    expect((await first.client.listTools()).tools).toEqual([]);
  });
});
