import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Redis } from 'ioredis';
import { sha256Hex } from '../../../src/common/principal.js';
import { type RpcMessage } from '../../../src/common/jsonrpc.js';
import { type McpSession } from '../../../src/downstream/session/mcp-session.js';
import { Sessions } from '../../../src/downstream/session/sessions.js';
import { type SeedReplica, SeedWorld } from '../../support/seeds.js';
import { SeedSseClient } from '../../support/seeds-sse-client.js';
import { freshKeyPrefix, redisUrl } from '../../support/services.js';
import { until } from '../../support/until.js';

/*
 * The seeds about the session registry and the mappings of P-5, with a real client over HTTP+SSE and a real Redis, where
 * the mapping is read back: SPEC D-5. Their "broadcast" registers nothing, in spite of their titles: what registers is
 * that the owner takes a `tools/call` up.
 */

const TTL_SECONDS = 300;

let world: SeedWorld;
let redis: Redis;
let env: Record<string, string>;
let replica: SeedReplica;

beforeEach(async () => {
  world = new SeedWorld();
  redis = new Redis(redisUrl());
  env = {
    REDIS_URL: redisUrl(),
    REDIS_KEY_PREFIX: freshKeyPrefix(),
    MCPGATEWAY_SESSION_AFFINITY_ENABLED: 'true',
    MCPGATEWAY_SESSION_AFFINITY_TTL: String(TTL_SECONDS),
    SSE_RESUME_SECONDS: '0', // the session ends with its stream
  };
  replica = await world.replica(env);
});

afterEach(async () => {
  await world.close();
  await redis.quit();
});

async function connect(user: string, options?: { initialize: boolean }): Promise<SeedSseClient> {
  const client = await SeedSseClient.open(replica.replica.url, user, options);
  world.atEnd(() => client.close());
  return client;
}

/** What Redis knows of mappings: by key, the key of the bound session. */
async function mappings(): Promise<Record<string, unknown>> {
  const keys = await redis.keys(`${env['REDIS_KEY_PREFIX']}session_mapping:*`);
  const values = await Promise.all(keys.map(async (key) => JSON.parse(String(await redis.get(key))) as unknown));
  return Object.fromEntries(keys.map((key, at) => [key, values[at]]));
}

describe('TestSessionRegistryAffinityE2E', () => {
  it('test_broadcast_registers_session_mapping_for_tools_call', async () => {
    const server = await world.server();
    const { id: gatewayId } = await replica.add(server, 'sse');
    const user = 'testuser@example.com';
    const client = await connect(user);
    expect(await mappings()).toEqual({});

    // The tool runs and waits: by then the mapping is there, since it was registered before the call was sent.
    const call = await client.send('tools/call', { name: 'sse-gate', arguments: { text: 'done' } });
    await server.waitFor(({ atGate }) => atGate === 1);
    expect(client.answersTo(call)).toEqual([]);
    const [[key = '', mapping] = [], ...others] = Object.entries(await mappings());
    expect(mapping).toEqual([sha256Hex(user), server.sseUrl, sha256Hex(client.sessionId), 'sse', gatewayId]);
    expect(others).toEqual([]);
    expect(key).toContain(client.sessionId);
    const ttl = await redis.pttl(key);
    expect(ttl).toBeGreaterThan((TTL_SECONDS - 30) * 1_000);
    expect(ttl).toBeLessThanOrEqual(TTL_SECONDS * 1_000);

    server.openGate();
    await until(() => client.answersTo(call)[0], { what: 'the answer of the tool' });
    expect(client.answersTo(call)).toMatchObject([{ result: { content: [{ text: 'done' }] } }]);

    // It lives and dies with its session.
    await client.close();
    await until(async () => Object.keys(await mappings()).length === 0, { what: 'the mapping is gone' });
    expect(replica.pool.mappings.size).toBe(0);
  });

  it('test_broadcast_skips_non_tools_call_methods', async () => {
    const server = await world.server();
    await replica.add(server, 'sse');
    const client = await connect('user@example.com', { initialize: false });
    expect((await client.initialize()).result).toHaveProperty('protocolVersion', '2024-11-05');
    for (const method of ['tools/list', 'resources/list', 'prompts/list', 'ping']) {
      expect([method, (await client.ask(method)).result]).toEqual([method, expect.anything()]);
    }
    expect((await client.initialize()).error).toMatchObject({ code: -32600 });
    expect(await mappings()).toEqual({});
    expect(replica.pool.mappings.size).toBe(0);

    // A registering method does register here, so the silence above means something.
    await client.ask('tools/call', { name: 'sse-echo', arguments: { text: 'x' } });
    expect(Object.keys(await mappings())).toHaveLength(1);
  });

  it('test_broadcast_handles_missing_tool_gracefully', async () => {
    const server = await world.server();
    await replica.add(server, 'sse');
    const client = await connect('user@example.com');
    const { error } = await client.ask('tools/call', { name: 'nonexistent_tool', arguments: {} });
    expect(error).toMatchObject({ code: -32602, data: { code: 'UNKNOWN_TOOL', retryable: false } });
    expect(await mappings()).toEqual({});
    expect(replica.pool.mappings.size).toBe(0);

    // The session is as good as before.
    expect((await client.ask('ping')).result).toEqual({});
    const answer = await client.ask('tools/call', { name: 'sse-echo', arguments: { text: 'still here' } });
    expect(answer.result).toMatchObject({ content: [{ text: 'still here' }] });
  });

  it('test_full_broadcast_flow_with_affinity', async () => {
    const server = await world.server();
    const { id: gatewayId } = await replica.add(server, 'streamablehttp');
    const registry = replica.replica.app.get(Sessions);
    const [a, b] = [await connect('one@example.com'), await connect('two@example.com')];
    const sessionOf = ({ sessionId }: SeedSseClient): McpSession => {
      const session = [...registry].find(({ id }) => id === sessionId);
      if (!session) throw new Error(`no session ${sessionId}`);
      return session;
    };
    const broadcast = (to: SeedSseClient, id: string, method: string, params?: object): void => {
      const message: RpcMessage = {
        ...{ id: Buffer.from(`"${id}"`), method },
        ...(params ? { params: Buffer.from(JSON.stringify(params)) } : {}),
      };
      registry.broadcast(sessionOf(to), message, { requestId: 'seed' });
    };
    const [before, beforeB] = [a.received.length, b.received.length];

    // Two sessions interleaved: each message comes to its own stream, once, in order. Nothing is registered.
    const ids = Array.from({ length: 200 }, (_, n) => String(n));
    for (const n of ids) {
      broadcast(a, `a${n}`, 'ping');
      broadcast(b, `b${n}`, 'ping');
    }
    await until(() => a.answersTo('a199')[0] && b.answersTo('b199')[0], { what: 'the last of both streams' });
    const seen = ({ received }: SeedSseClient, from: number) =>
      received.slice(from).map((one) => 'id' in one && one.id);
    expect(seen(a, before)).toEqual(ids.map((n) => `a${n}`));
    expect(seen(b, beforeB)).toEqual(ids.map((n) => `b${n}`));
    expect(await mappings()).toEqual({});

    // A tools/call: broadcast itself registers nothing; it is the session, when it takes the call up.
    const params = { name: 'http-counter', arguments: { callId: 'full-flow' } };
    broadcast(a, 'call', 'tools/call', params);
    expect(replica.pool.mappings.size).toBe(0);
    await until(() => a.answersTo('call')[0], { what: 'the answer of the tool' });
    expect(a.answersTo('call')).toMatchObject([{ result: { content: [{ text: '1' }] } }]);
    expect(server.executionsOf('full-flow')).toBe(1);
    expect(Object.values(await mappings())).toEqual([
      [sha256Hex('one@example.com'), server.mcpUrl, sha256Hex(a.sessionId), 'streamablehttp', gatewayId],
    ]);
    expect((await b.ask('ping')).result).toEqual({});
    expect(b.answersTo('call')).toEqual([]);
  });
});
