import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { type McpTestServer, startMcpServer } from '../support/mcp-server.js';
import { type Replica, startReplica } from '../support/replica.js';
import { createDatabase, type TestDatabase } from '../support/services.js';
import { until } from '../support/until.js';
import { register } from '../support/rpc.js';

/**
 * The SDK's client takes only a result for the end of a call. Whenever a stream with event ids ended with an error, or
 * without an answer, it came back for more, once a second and for ever, and took the standing stream over each time.
 */
describe('a call that ends without a result is over for the client, too (D-8, D-9)', () => {
  let database: TestDatabase;
  let replica: Replica;
  let server: McpTestServer;
  /** `Last-Event-ID` of each GET, `none` without. */
  let gets: string[];
  let client: Client;

  beforeAll(async () => {
    database = await createDatabase();
    replica = await startReplica({ DATABASE_URL: database.url, CALL_TIMEOUT_SECONDS: '0.3', CALL_MAX_SECONDS: '0.6' });
    server = await startMcpServer();
    await register(replica.url, { name: 'fx', url: server.mcpUrl });
  });
  afterEach(() => client.close());
  afterAll(async () => {
    await replica.close();
    await server.close();
    await database.drop();
  });

  async function connect(): Promise<void> {
    gets = [];
    client = new Client({ name: 'test', version: '1' });
    const watched: typeof fetch = (url, init) => {
      if (init?.method === 'GET') gets.push(new Headers(init.headers).get('last-event-id') ?? 'none');
      return fetch(url, init);
    };
    await client.connect(new StreamableHTTPClientTransport(new URL(`${replica.url}/mcp`), { fetch: watched }));
    await until(() => gets.length === 1, { what: 'the standing stream' });
  }

  /** Longer than the SDK waits before it comes back twice. */
  const quiet = async (): Promise<void> => {
    const since = performance.now();
    await until(() => performance.now() - since > 3_500, { what: 'some time', timeoutMs: 5_000 });
  };

  it('after an error on a stream', async () => {
    await connect();
    const call = client.callTool({ name: 'fx-slow', arguments: { ms: 2_000, steps: 20 } }, undefined, {
      onprogress: () => undefined, // so it is a stream by then; CALL_MAX_SECONDS ends it
    });
    await expect(call).rejects.toThrow('did not answer');
    await quiet();
    expect(gets.slice(1).length).toBeLessThanOrEqual(1); // it asked once whether there is more, and was told that there is not
    expect(gets.slice(1).filter((id) => id === 'none')).toEqual([]);
  });

  it('after a cancellation', async () => {
    await connect();
    const stop = new AbortController();
    const call = client.callTool({ name: 'fx-gate', arguments: {} }, undefined, {
      signal: stop.signal,
      onprogress: () => undefined,
    });
    const failed = expect(call).rejects.toThrow('enough');
    await server.waitFor(({ atGate }) => atGate === 1);
    stop.abort('enough');
    await failed;
    await quiet();
    expect(gets.slice(1).filter((id) => id === 'none')).toEqual([]);
    expect(gets.length).toBeLessThanOrEqual(4); // an id that is gone is asked for a few times, and given up
  });
});
