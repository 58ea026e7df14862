import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { HttpLine } from '../support/lines.js';
import { type McpTestServer } from '../support/mcp-server.js';
import { type Replica } from '../support/replica.js';
import { register } from '../support/rpc.js';
import { until } from '../support/until.js';
import { NotificationWorld, toolsOf } from './notification.support.js';
import { figures } from './pool-world.support.js';

const INTERVAL_MS = 500;
/** Of the clock that ticks 600 times as fast as the default's 300 s: an hour. */
const WATCHED_MS = 6_000;

/** Issue 5, shown by 7; the storms of peers: a retry loop on 405 that lists everything each time. */
describe('a server without a standing stream (N-1)', () => {
  let world: NotificationWorld;
  let replica: Replica;
  let server: McpTestServer;
  let line: HttpLine;
  beforeAll(async () => {
    world = await NotificationWorld.open();
    replica = await world.replica({ GATEWAY_REFRESH_INTERVAL_SECONDS: String(INTERVAL_MS / 1000) });
    server = await world.server();
    server.faults.refuseGet = true;
    line = await HttpLine.to(server.port);
    world.atEnd(() => line.close());
  });
  afterAll(() => world.close());

  it('is asked for its stream once, and then read at its interval, no more', async () => {
    const { id } = await register(replica.url, { name: 'deaf', url: line.url });
    await until(() => line.requests['GET'] === 1, { what: 'the GET' });
    const before = { ...line.requests };
    const reads = server.stats.requests['tools/list'] ?? 0;
    await delay(WATCHED_MS); // what is shown is that nothing more happens in this time
    const polls = (server.stats.requests['tools/list'] ?? 0) - reads;
    const posts = (line.requests['POST'] ?? 0) - (before['POST'] ?? 0);
    figures(`${WATCHED_MS / 1000} s at an interval of ${INTERVAL_MS} ms`, {
      GET: line.requests['GET'] ?? 0,
      POST: posts,
      polls,
    });

    expect(line.requests['GET']).toBe(1);
    const due = WATCHED_MS / INTERVAL_MS;
    expect(polls).toBeGreaterThanOrEqual(due / 2);
    expect(polls).toBeLessThanOrEqual(due * 1.2 + 1);
    // initialize, initialized, four lists
    expect(posts).toBeLessThanOrEqual((polls + 1) * 6);

    server.addTool('silent');
    await until(async () => (await toolsOf(replica, id)).includes('silent'), { what: 'the poll sees it' });
    expect(line.requests['GET']).toBe(1);
  });

  it('is asked again when the gateway has changed', async () => {
    server.faults.refuseGet = false;
    const [gateway] = ((await (await fetch(`${replica.url}/gateways`)).json()) as { items: { id: string }[] }).items;
    const response = await fetch(`${replica.url}/gateways/${gateway?.id}`, {
      method: 'PATCH',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ auth: { type: 'bearer', token: 'new' } }),
    });
    expect(response.status).toBe(200);
    await server.waitFor(({ getStreams }) => getStreams === 1);
    expect(line.requests['GET']).toBe(2);
  });
});
