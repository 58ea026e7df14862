import { afterEach, describe, expect, it } from '@jest/globals';
import { DataSource } from 'typeorm';
import { ENTITIES } from '../../src/catalogue/index.js';
import { CapabilityStore } from '../../src/catalogue/capability-store.js';
import { RefreshStore } from '../../src/catalogue/refresh/refresh-store.js';
import { tools } from '../support/catalogue.js';
import { deferred } from '../support/deferred.js';
import { type McpTestServer } from '../support/mcp-server.js';
import { freshKeyPrefix, redisUrl, type RedisServer, startRedis } from '../support/services.js';
import { until } from '../support/until.js';
import { atEnd, endAll, hold, mcpServer, RefreshWorld } from './refresh.support.js';

afterEach(endAll);

const TOOLS = { tools: 1, baseTools: false, kinds: ['tools'] } as const;

function shared(redis: string = redisUrl()): Record<string, string> {
  return { REDIS_URL: redis, REDIS_KEY_PREFIX: freshKeyPrefix(), MCPGATEWAY_SESSION_AFFINITY_ENABLED: 'false' };
}

async function ownRedis(): Promise<RedisServer> {
  const redis = await startRedis();
  atEnd(() => redis.stop());
  return redis;
}

const redisIs = (world: RefreshWorld, wanted: boolean): Promise<unknown> =>
  until(
    async () => {
      const ready = await Promise.all(world.replicas.map(async ({ url }) => (await fetch(`${url}/ready`)).ok));
      return ready.every((one) => one === wanted);
    },
    { what: wanted ? 'Redis is there' : 'Redis is away', timeoutMs: 15_000 },
  );

/** The pages of tools/list in the order in which they were asked for: `1 2 3 1 2 3` are two that did not overlap. */
function pagesOf(server: McpTestServer): string[] {
  const pages: string[] = [];
  server.faults.before = (method, params) => {
    if (method === 'tools/list') pages.push(typeof params['cursor'] === 'string' ? params['cursor'].slice(5) : '1');
    return undefined;
  };
  return pages;
}

describe('one refresh at a time, and none lost (SPEC G-6)', () => {
  it('requests that come while one reads are one more refresh, which covers them all', async () => {
    const world = await RefreshWorld.open({}, TOOLS);
    const held = hold(world.server, 'tools/list');
    const asked = world.asked();
    const running = world.refresh();
    await held.arrived;
    const later = [world.refresh(), world.refresh(), world.refresh({ kinds: ['tools'] })];
    await until(async () => (await world.pending()).open === 4, { what: 'four requests' });
    held.letGo();
    expect(await running).toMatchObject({ covered: false, success: true });
    const reports = await Promise.all(later);
    expect(reports.map(({ covered }) => covered).sort()).toEqual([false, true, true]);
    expect(asked['tools/list']).toBe(2);
    expect((await world.pending()).open).toBe(0);
  });

  it('a change that comes behind the page that was read is in the next one', async () => {
    const world = await RefreshWorld.open({}, { ...TOOLS, tools: 4, pageSize: 2 });
    const held = hold(world.server, 'tools/list', 'page-2');
    const running = world.refresh();
    await held.arrived;
    world.server.removeTool('tool_0001');
    const next = world.refresh();
    await until(async () => (await world.pending()).open === 2, { what: 'two requests' });
    held.letGo();
    await Promise.all([running, next]);
    expect(await world.names('tool')).toEqual(['tool_0002', 'tool_0003', 'tool_0004']);
  });

  it('who gives up waiting leaves the request to the next one', async () => {
    const world = await RefreshWorld.open({}, TOOLS);
    const held = hold(world.server, 'tools/list');
    const running = world.refresh();
    await held.arrived;
    const impatient = new AbortController();
    const waiting = world.refresh({}, impatient.signal);
    await until(async () => (await world.pending()).open === 2, { what: 'two requests' });
    impatient.abort(new Error('no time'));
    await expect(waiting).rejects.toThrow('no time');
    held.letGo();
    await running;
    expect((await world.pending()).open).toBe(1);
    expect(await world.refresh()).toMatchObject({ covered: false });
    expect((await world.pending()).open).toBe(0);
  });

  it('two replicas never read at the same time, and cover for each other', async () => {
    const world = await RefreshWorld.open({ replicas: 2, env: shared() }, { ...TOOLS, tools: 6, pageSize: 2 });
    await redisIs(world, true);
    const pages = pagesOf(world.server);
    const reports = await Promise.all(Array.from({ length: 12 }, (_, i) => world.refresh({ at: i % 2 })));
    const own = reports.filter(({ covered }) => !covered).length;
    expect(own).toBeGreaterThan(0);
    expect(pages.join('')).toBe('123'.repeat(own));
    expect(own).toBeLessThan(12);
    expect((await world.pending()).open).toBe(0);
  });

  it('409 while another replica reads', async () => {
    const world = await RefreshWorld.open({ replicas: 2, env: shared() }, TOOLS);
    await redisIs(world, true);
    const held = hold(world.server, 'tools/list');
    const running = world.refresh({ at: 1 });
    await held.arrived;
    expect((await world.rest('POST', `/gateways/${world.id}/refresh`)).status).toBe(409);
    held.letGo();
    await running;
    expect((await world.rest('POST', `/gateways/${world.id}/refresh`)).status).toBe(200);
  });
});

describe('without the common lock the row decides (SPEC G-6)', () => {
  it('a lock that Redis forgot: what was read before is not stored over what was read after', async () => {
    const redis = await ownRedis();
    const world = await RefreshWorld.open({ replicas: 2, env: shared(redis.url) }, { ...TOOLS, tools: 3, pageSize: 2 });
    await redisIs(world, true);
    const held = hold(world.server, 'tools/list', 'page-2');
    const old = world.refresh({ at: 0 }).catch((error: unknown) => error);
    await held.arrived;
    world.server.removeTool('tool_0001');
    await redis.kill();
    await redis.restart();
    await redisIs(world, true);
    expect(await world.refresh({ at: 1 })).toMatchObject({ covered: false, success: true });
    expect(await world.names('tool')).toEqual(['tool_0002', 'tool_0003']);
    held.letGo();
    await old; // covered, or the lock was found lost: either is right
    expect(await world.names('tool')).toEqual(['tool_0002', 'tool_0003']);
    expect((await world.pending()).open).toBe(0);
  }, 40_000);

  it('while Redis is away refreshes go on, those that wait and those that do not', async () => {
    const redis = await ownRedis();
    const world = await RefreshWorld.open({ replicas: 2, env: shared(redis.url) }, TOOLS);
    await redisIs(world, true);
    await redis.kill();
    await redisIs(world, false);
    world.server.addTool('fresh');
    expect(await world.refresh({ at: 1 })).toMatchObject({ success: true, covered: false });
    expect((await world.rest('POST', `/gateways/${world.id}/refresh`)).status).toBe(200);
    expect(await world.names('tool')).toEqual(['fresh', 'tool_0001']);
    // Its own replica's turn holds all the same.
    const held = hold(world.server, 'tools/list');
    const running = world.refresh();
    await held.arrived;
    expect((await world.rest('POST', `/gateways/${world.id}/refresh`)).status).toBe(409);
    held.letGo();
    await running;
  }, 40_000);

  /** Two that noted the same requests: the one that stored second had read first, and its older list stayed. */
  it('of two that began after the same request only one is stored', async () => {
    const world = await RefreshWorld.open({}, TOOLS);
    const source = await new DataSource({ type: 'postgres', url: world.database, entities: ENTITIES }).initialize();
    atEnd(() => source.destroy());
    const store = new RefreshStore(source, new CapabilityStore('-'));
    await store.request(world.id, ['tools']);
    const [one, two] = [await store.pending(world.id), await store.pending(world.id)];
    if (!one || !two) throw new Error('there is no gateway');
    expect(await store.commit(world.id, tools('newer'), two, 'test')).toBeDefined();
    expect(await store.commit(world.id, tools('older'), one, 'test')).toBeUndefined();
    expect(await world.names('tool')).toEqual(['newer']);
    expect(await world.pending()).toEqual({ open: 0, kinds: [] });
  });
});

describe('a gateway that changes while it is read', () => {
  it('is deleted: NOT_FOUND, and nothing comes back', async () => {
    const world = await RefreshWorld.open({}, TOOLS);
    const held = hold(world.server, 'tools/list');
    const running = world.refresh();
    const outcome = expect(running).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await held.arrived;
    expect((await world.rest('DELETE', `/gateways/${world.id}`)).status).toBe(204);
    held.letGo();
    await outcome;
    expect(await world.names('tool')).toEqual([]);
    await expect(world.refresh()).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('leads elsewhere: what the old server said is not stored, the new one is read', async () => {
    const world = await RefreshWorld.open({}, TOOLS);
    const other = await mcpServer({ baseTools: false, tools: 0, kinds: ['tools'] });
    other.addTool('there');
    const held = hold(world.server, 'tools/list');
    const running = world.refresh();
    await held.arrived;
    const patched = await world.rest('PATCH', `/gateways/${world.id}`, { url: other.mcpUrl });
    expect(patched.status).toBe(200);
    const lists = other.stats.requests['tools/list'] ?? 0;
    other.addTool('later');
    held.letGo();
    expect(await running).toMatchObject({ covered: false, success: true });
    expect(await world.names('tool')).toEqual(['later', 'there']);
    expect((other.stats.requests['tools/list'] ?? 0) - lists).toBe(1);
  });

  /**
   * A replica that had the old address in memory read the old server and stored its lists under the new address.
   */
  it('led elsewhere by another replica: the server of the record is read, not that of the memory', async () => {
    const world = await RefreshWorld.open({ replicas: 2 }, TOOLS);
    const other = await mcpServer({ baseTools: false, tools: 0, kinds: ['tools'] });
    other.addTool('there');
    expect((await world.catalogue(1).all.findTool('demo-tool_0001')).kind).toBe('found');
    await world.catalogue(1).findGateway(world.id);
    expect((await world.rest('PATCH', `/gateways/${world.id}`, { url: other.mcpUrl })).status).toBe(200);
    await world.refresh({ at: 1 });
    expect(await world.names('tool')).toEqual(['there']);
  });

  it('a server that hangs is given up for its page, and its gateway alone waits', async () => {
    const world = await RefreshWorld.open({ env: { MCP_SESSION_POOL_TRANSPORT_TIMEOUT: '0.5' } }, TOOLS);
    const gate = deferred();
    world.server.faults.before = (method) => (method === 'tools/list' ? gate.promise : undefined);
    const started = performance.now();
    const report = await world.refresh();
    expect(report.failedLists).toEqual([{ kind: 'tool', code: 'UPSTREAM_TIMEOUT', message: expect.any(String) }]);
    expect(performance.now() - started).toBeLessThan(2_000);
    expect(await world.names('tool')).toEqual(['tool_0001']);
    gate.resolve();
  });
});
