import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { CatalogueService } from '../../src/catalogue/index.js';
import { type McpTestServer } from '../support/mcp-server.js';
import { type Replica } from '../support/replica.js';
import { post, register, request } from '../support/rpc.js';
import { until } from '../support/until.js';
import { notifications, NotificationWorld, percentile } from './notification.support.js';
import { figures } from './pool-world.support.js';

const GATEWAYS = 50;
/** More than may be read at once. */
const MANY = 6;
const OPTIONS = { baseTools: false, tools: 2, kinds: ['tools'] } as const;
/** How long one that hangs may keep its place (RefreshSlots). */
const SLOT_MS = 1_000;
/** This machine does a lot of other things. */
const NOISE_MS = 500;

interface Gateway {
  readonly id: string;
  readonly name: string;
  readonly server: McpTestServer;
}

interface Times {
  readonly served: readonly number[];
  readonly calls: readonly number[];
}

/** Issue 5, shown by 5: real servers, one of them accepts the request for its tools and never answers. */
describe(`${GATEWAYS} gateways, some of them hanging (N-6)`, () => {
  let world: NotificationWorld;
  let replica: Replica;
  const gateways: Gateway[] = [];
  beforeAll(async () => {
    world = await NotificationWorld.open();
    replica = await world.replica({ NOTIFICATION_DEBOUNCE_SECONDS: '0.2', NOTIFICATION_MAX_WAIT_SECONDS: '1' });
    for (let n = 0; n < GATEWAYS; n += 1) {
      const server = await world.server(OPTIONS);
      const name = `gw${n}`;
      gateways.push({ server, name, id: (await register(replica.url, { name, url: server.mcpUrl })).id });
    }
    for (const { server } of gateways) {
      const read = 2; // when it was registered, and when it was watched
      await server.waitFor((seen) => seen.getStreams === 1 && (seen.requests['tools/list'] ?? 0) >= read, 20_000);
    }
    await until(() => pending() === 0, { what: 'quiet', timeoutMs: 20_000 });
  }, 90_000);
  afterAll(() => world.close(), 30_000);

  const pending = (): number => notifications(replica).getMetrics().pendingRefreshes;

  it('one of them: the other 49 are refreshed and served as fast as without it', async () => {
    const others = gateways.slice(0, -1);
    await changeAll(others, 'warm_up');
    const without = await changeAll(others, 'without');
    await hang(1);
    const beside = await changeAll(others, 'beside');
    expect(pending()).toBe(1); // it hung all the time
    tell('without a hanging one', without);
    tell('beside a hanging one', beside);
    expect(percentile(beside.served, 99)).toBeLessThan(percentile(without.served, 99) * 1.5 + NOISE_MS);
    expect(percentile(beside.calls, 99)).toBeLessThan(percentile(without.calls, 99) * 2 + NOISE_MS);
  }, 60_000);

  it('more of them than may be read at once: the others wait for a place, not for them', async () => {
    await hang(MANY);
    const beside = await changeAll(gateways.slice(0, -MANY), 'crowd');
    expect(pending()).toBe(MANY);
    tell(`beside ${MANY} hanging ones`, beside);
    // Two turns of hanging ones; without passing on their places it would be their time-out, half a minute.
    expect(percentile(beside.served, 99)).toBeLessThan(2 * SLOT_MS + 5_000);
  }, 60_000);

  /** The last ones hang while they are being read. */
  async function hang(count: number): Promise<void> {
    for (const { server } of gateways.slice(-count)) {
      if (server.faults.stall !== undefined) continue;
      server.faults.stall = 'tools/list';
      server.addTool('never_seen');
    }
    await until(() => pending() === count, { what: 'their refreshes' });
  }

  /** Each gets a tool at the same time. @returns ms until it is served, and of a first call of it */
  async function changeAll(some: readonly Gateway[], tool: string): Promise<Times> {
    const waiting = new Set(some.map(({ id }) => id));
    const served: number[] = [];
    const started = performance.now();
    const unsubscribe = replica.app.get(CatalogueService).changes.subscribe(({ gatewayId }) => {
      if (waiting.delete(gatewayId)) served.push(performance.now() - started);
    });
    for (const { server } of some) server.addTool(tool);
    await until(() => waiting.size === 0, { what: `${tool} of every gateway`, timeoutMs: 20_000 });
    unsubscribe();
    const calls: number[] = [];
    for (const { name } of some) {
      const asked = performance.now();
      const { json } = await post(
        `${replica.url}/rpc`,
        request('tools/call', { name: `${name}-${tool}`, arguments: {} }),
      );
      expect(json.error).toBeUndefined();
      calls.push(performance.now() - asked);
    }
    return { served, calls };
  }
});

function tell(what: string, { served, calls }: Times): void {
  figures(`${what}: ms until served`, { p50: percentile(served, 50), p99: percentile(served, 99) });
  figures(`${what}: ms of a call`, { p50: percentile(calls, 50), p99: percentile(calls, 99) });
}
