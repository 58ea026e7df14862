import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { ResourceUpdatedNotificationSchema } from '@modelcontextprotocol/sdk/types.js';
import { type McpTestServer, startMcpServer } from '../support/mcp-server.js';
import { type Replica, startReplica } from '../support/replica.js';
import { register } from '../support/rpc.js';
import { createDatabase, type TestDatabase } from '../support/services.js';
import { until } from '../support/until.js';

const ONE = 'test://static/one';
let database: TestDatabase;
const replicas: Replica[] = [];
const servers: McpTestServer[] = [];

beforeAll(async () => {
  database = await createDatabase();
});

afterAll(async () => {
  for (const one of [...replicas, ...servers]) await one.close();
  await database.drop();
});

async function replicaWith(env: Record<string, string> = {}): Promise<Replica> {
  const replica = await startReplica({ DATABASE_URL: database.url, ...env });
  replicas.push(replica);
  return replica;
}

async function clientOf(replica: Replica): Promise<{ client: Client; updates: string[] }> {
  const client = new Client({ name: 'test', version: '1' });
  const updates: string[] = [];
  client.setNotificationHandler(ResourceUpdatedNotificationSchema, ({ params }) => void updates.push(params.uri));
  await client.connect(new StreamableHTTPClientTransport(new URL(`${replica.url}/mcp`)));
  return { client, updates };
}

describe('subscriptions outlive the upstream session (SPEC D-8, P-9)', () => {
  it.each(['streamablehttp', 'sse'])(
    'a server over %s that was restarted is subscribed to again, though nobody calls',
    async (transport) => {
      const replica = await replicaWith();
      const server = await startMcpServer();
      servers.push(server);
      const uri = `gw:${transport}:${ONE}`;
      const other = await startMcpServer(); // takes the bare URI, so that both cases have an alias
      servers.push(other);
      await register(replica.url, { name: `${transport}-first`, url: other.mcpUrl });
      const url = transport === 'sse' ? server.sseUrl : server.mcpUrl;
      await register(replica.url, { name: transport, url, transport });
      const { client, updates } = await clientOf(replica);
      await client.subscribeResource({ uri });
      const listens = (): Promise<unknown> =>
        until(() => server.subscribers(ONE)[0]?.listening, { what: 'a session is subscribed', timeoutMs: 15_000 });
      await listens();
      await server.updateResource(ONE);
      await until(() => updates.length === 1, { what: 'the update before' });

      await server.restart();
      await listens();
      await server.updateResource(ONE);
      await until(() => updates.length === 2, { what: 'the update after' });
      expect(updates).toEqual([uri, uri]);
      expect(server.subscribers(ONE)).toHaveLength(1);
      await client.close();
    },
  );

  it('without the pool they are refused: no session would stay to hear of an update (P-13)', async () => {
    const replica = await replicaWith({ MCP_SESSION_POOL_ENABLED: 'false' });
    const { client } = await clientOf(replica);
    await expect(client.subscribeResource({ uri: ONE })).rejects.toMatchObject({
      data: { code: 'POOL_UNAVAILABLE', retryable: false },
      message: expect.stringContaining('MCP_SESSION_POOL_ENABLED=false'),
    });
    await client.close();
  });
});
