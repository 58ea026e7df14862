import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type McpTestServer, startMcpServer } from '../support/mcp-server.js';
import { type Replica, startReplica } from '../support/replica.js';
import { register, send } from '../support/rpc.js';
import { createDatabase, type TestDatabase } from '../support/services.js';
import { bearer, TEST_JWT_SECRET } from '../support/tokens.js';
import { until } from '../support/until.js';

let database: TestDatabase;
let server: McpTestServer;
let replica: Replica;
let admin: Record<string, string>;

beforeAll(async () => {
  database = await createDatabase();
  server = await startMcpServer();
  replica = await start();
  admin = { 'content-type': 'application/json', ...(await bearer('root', { scope: 'admin' })) };
});

afterAll(async () => {
  await replica.close();
  await server.close();
  await database.drop();
});

const start = (): Promise<Replica> =>
  startReplica({
    ...{ DATABASE_URL: database.url, AUTH_MODE: 'jwt', JWT_SECRET: TEST_JWT_SECRET },
    ...{ SSE_KEEPALIVE_SECONDS: '0.1', SHUTDOWN_DELAY_SECONDS: '0', SHUTDOWN_DEADLINE_SECONDS: '20' },
  });

interface Listening {
  /** What came so far. */
  text: string;
  ended: boolean;
}

/** Opens the stream and waits until it is subscribed. */
async function listen(url = replica.url): Promise<Listening> {
  const response = await fetch(`${url}/events`, { headers: await bearer('dashboard', { scope: 'gateways:read' }) });
  expect([response.status, response.headers.get('content-type')]).toEqual([200, 'text/event-stream']);
  const listening: Listening = { text: '', ended: false };
  const read = async (): Promise<void> => {
    const decoder = new TextDecoder();
    for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
      listening.text += decoder.decode(chunk, { stream: true });
    }
  };
  void read()
    .catch(() => undefined)
    .finally(() => (listening.ended = true));
  await until(() => listening.text.includes('event: ready'), { what: 'the stream is there' });
  return listening;
}

function eventsIn({ text }: Listening): unknown[] {
  return [...text.matchAll(/event: (\S+)\ndata: (.*)\n\n/g)].map(([, name, data = '']) => [
    name,
    JSON.parse(data) as unknown,
  ]);
}

describe('GET /events (SPEC N-7, §8)', () => {
  it('tells changes of gateways, capabilities and virtual servers, in their order', async () => {
    const stream = await listen();
    const { id } = await register(replica.url, { name: 'Demo', url: server.mcpUrl }, admin);
    const tools = await send('GET', `${replica.url}/tools?q=echo`, admin);
    const [tool] = (tools.json as { items?: { id: string }[] }).items ?? [];
    await send('PATCH', `${replica.url}/tools/${tool?.id}`, admin, '{"enabled":false}');
    const body = JSON.stringify({ name: 'mine', items: [{ capability: 'demo-add' }] });
    const made = await send('POST', `${replica.url}/servers`, admin, body);
    const serverId = (made.json as { id?: string }).id;
    await send('DELETE', `${replica.url}/servers/${serverId}`, admin);
    await send('DELETE', `${replica.url}/gateways/${id}`, admin);
    const kinds = ['tool', 'resource', 'resource_template', 'prompt'];
    await until(() => stream.text.includes('"removed":true'), { what: 'the last change' });
    expect(eventsIn(stream)).toEqual([
      ['ready', { replica: replica.settings.REPLICA_ID }],
      ['catalogue.changed', { gateway: { id, name: 'Demo' }, kinds, removed: false }],
      ['catalogue.changed', { gateway: { id, name: 'Demo' }, kinds: ['tool'], removed: false }],
      ['server.changed', { server: { id: serverId }, kinds, gone: false }],
      ['server.changed', { server: { id: serverId }, kinds, gone: true }],
      ['catalogue.changed', { gateway: { id }, kinds, removed: true }],
    ]);
  });

  it('is kept alive by comments', async () => {
    const stream = await listen();
    await until(() => stream.text.includes(': keep-alive\n\n'), { what: 'a comment' });
  });

  it('needs the scope gateways:read (S-2)', async () => {
    const client = await send('GET', `${replica.url}/events`, await bearer('ann'));
    expect([client.status, client.text]).toEqual([403, expect.stringContaining('gateways:read')]);
    expect((await send('GET', `${replica.url}/events`)).status).toBe(401);
  });

  it('ends with a hint to come back when the replica drains, and does not hold it up (A-10)', async () => {
    const leaving = await start();
    const stream = await listen(leaving.url);
    const started = performance.now();
    await leaving.close();
    expect(performance.now() - started).toBeLessThan(10_000); // the deadline is 20 s
    await until(() => stream.ended, { what: 'the end' });
    expect(stream.text).toMatch(/retry: 1000\n\n$/);
  });
});
