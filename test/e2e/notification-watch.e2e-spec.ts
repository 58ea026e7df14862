import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { GatewayLeader } from '../../src/redis/gateway-leader.js';
import { HttpLine } from '../support/lines.js';
import { type McpTestServer } from '../support/mcp-server.js';
import { type Replica } from '../support/replica.js';
import { register } from '../support/rpc.js';
import { freshKeyPrefix, redisUrl } from '../support/services.js';
import { until } from '../support/until.js';
import { notifications, NotificationWorld, settled, toolsOf } from './notification.support.js';

describe('watch sessions (N-1)', () => {
  let world: NotificationWorld;
  beforeEach(async () => {
    world = await NotificationWorld.open();
  });
  afterEach(() => world.close());

  const serves = (replica: Replica, id: string, tool: string): Promise<unknown> =>
    until(async () => (await toolsOf(replica, id)).includes(tool), { what: `${tool} is served`, timeoutMs: 10_000 });

  async function rest(replica: Replica, method: string, path: string, body?: object): Promise<void> {
    const response = await fetch(`${replica.url}${path}`, {
      method,
      ...(body ? { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) } : {}),
    });
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
  }

  const unwatched = (server: McpTestServer): Promise<void> => server.waitFor(({ openSessions }) => openSessions === 0);
  const watched = (server: McpTestServer): Promise<void> => server.waitFor(({ getStreams }) => getStreams === 1);

  it('follow registration, switching off and on, another address, and removal', async () => {
    const replica = await world.replica();
    const { id, server } = await world.watched(replica, 'gw');
    expect(notifications(replica).getMetrics().registeredGateways).toBe(1);

    await rest(replica, 'POST', `/gateways/${id}/state`, { enabled: false });
    await unwatched(server);
    expect(server.stats.deletes).toBe(server.stats.initialize); // each session was ended at its server
    server.addTool('while_off');

    await rest(replica, 'POST', `/gateways/${id}/state`, { enabled: true });
    await watched(server);
    await serves(replica, id, 'while_off');

    const elsewhere = await world.server({ tools: 1 });
    await rest(replica, 'PATCH', `/gateways/${id}`, { url: elsewhere.mcpUrl });
    await Promise.all([unwatched(server), watched(elsewhere)]);
    elsewhere.addTool('elsewhere');
    await serves(replica, id, 'elsewhere');

    await rest(replica, 'DELETE', `/gateways/${id}`);
    await unwatched(elsewhere);
    expect(notifications(replica).getMetrics().registeredGateways).toBe(0);
  });

  it('over HTTP+SSE too', async () => {
    const replica = await world.replica();
    const server = await world.server();
    const { id } = await register(replica.url, { name: 'old', url: server.sseUrl, transport: 'sse' });
    await settled(replica, server);
    server.addTool('new');
    await serves(replica, id, 'new');
  });

  it('a server that comes back after a crash is read: what changed meanwhile was never announced', async () => {
    const replica = await world.replica();
    const { id, server } = await world.watched(replica, 'gw');
    await server.stop();
    server.addTool('before_its_return');
    await server.start();
    await serves(replica, id, 'before_its_return');
    await watched(server);
  });

  it('a dead server costs few attempts, a line in the log, and comes back by itself', async () => {
    const replica = await world.replica();
    const server = await world.server();
    const line = await HttpLine.to(server.port);
    world.atEnd(() => line.close());
    const { id } = await register(replica.url, { name: 'gw', url: line.url });
    await settled(replica, server);
    line.cut();
    notifications(replica).refreshAll(id);
    const cutMs = 5_000;
    await delay(cutMs); // what is shown is that little happens in this time
    // The stream after 1, 3 s; refreshes after 0.1 s and pauses of up to 0.5, 1, 2, 4 s, halved by chance at most.
    expect(line.turnedAway).toBeGreaterThanOrEqual(3);
    expect(line.turnedAway).toBeLessThanOrEqual(10);
    const warnings = replica.logLines.filter(({ level, gateway }) => level === 'warn' && gateway === 'gw');
    expect(warnings.map(({ msg }) => msg)).toEqual(['a gateway could not be refreshed; trying on']);
    server.addTool('while_dead');
    line.mend();
    await serves(replica, id, 'while_dead');
  }, 40_000);

  it('a server that says list_changed whenever it is read is listened to less and less often', async () => {
    const replica = await world.replica({ NOTIFICATION_DEBOUNCE_SECONDS: '0.05' });
    const { id, server } = await world.watched(replica, 'wolf');
    const reads = (): number => server.stats.requests['tools/list'] ?? 0;
    const before = reads();
    const stopped = new AbortController();
    const cry = async (): Promise<void> => {
      while (!stopped.signal.aborted) {
        const seen = reads();
        await server.broadcast({ method: 'notifications/tools/list_changed' });
        await until(() => reads() > seen || stopped.signal.aborted, { what: 'a read', timeoutMs: 30_000 });
      }
    };
    const crying = cry();
    await delay(4_000); // what is shown is that little happens in this time
    // 6 at once, then after 0.1, 0.2, 0.4, 0.8, 1.6 s …; undamped it would be one in 0.1 s or less
    expect(reads() - before).toBeLessThanOrEqual(13);
    expect(reads() - before).toBeGreaterThanOrEqual(6);
    server.addTool('true_at_last');
    await serves(replica, id, 'true_at_last');
    stopped.abort();
    await crying;
  }, 40_000);

  it('are held by one replica; the next one goes on, and misses nothing', async () => {
    const env = { REDIS_URL: redisUrl(), REDIS_KEY_PREFIX: freshKeyPrefix() };
    const replicas = [await world.replica(env), await world.replica(env)];
    const leads = (replica: Replica): boolean => replica.app.get(GatewayLeader).leading;
    const leader = await until(() => replicas.find(leads), { what: 'a leader', timeoutMs: 10_000 });
    const other = replicas.find((replica) => replica !== leader) as Replica;
    const server = await world.server();
    const { id } = await register(leader.url, { name: 'gw', url: server.mcpUrl });
    await settled(leader, server);
    expect([server.stats.openSessions, leads(other)]).toEqual([1, false]);

    await leader.close();
    await unwatched(server);
    server.addTool('between');
    await until(() => leads(other), { what: 'the other leads', timeoutMs: 10_000 });
    await watched(server);
    await serves(other, id, 'between');
    server.addTool('afterwards');
    await serves(other, id, 'afterwards');
  }, 40_000);

  it('GATEWAY_WATCH_ENABLED=false: none, and the backstop sees changes all the same', async () => {
    const replica = await world.replica({ GATEWAY_WATCH_ENABLED: 'false', GATEWAY_REFRESH_INTERVAL_SECONDS: '0.3' });
    const server = await world.server();
    const { id } = await register(replica.url, { name: 'gw', url: server.mcpUrl });
    server.addTool('unannounced');
    await serves(replica, id, 'unannounced');
    expect(server.stats.getStreams).toBe(0);
  });

  it('the numbers of N-8 are shown to Prometheus', async () => {
    const replica = await world.replica();
    const { server } = await world.watched(replica, 'gw');
    server.addTool('one');
    await until(() => notifications(replica).getMetrics().notificationsReceived === 1, { what: 'the notification' });
    await until(() => notifications(replica).getMetrics().pendingRefreshes === 0, { what: 'quiet' });
    const text = await (await fetch(`${replica.url}/metrics`)).text();
    const value = (name: string): number => Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1]);
    const metrics = notifications(replica).getMetrics();
    expect({
      notificationsReceived: value('mcpgateway_notifications_received_total'),
      notificationsDebounced: value('mcpgateway_notifications_debounced_total'),
      notificationsOther: value('mcpgateway_notifications_other_total'),
      notificationsIgnored: value('mcpgateway_notifications_ignored_total'),
      refreshesTriggered: value('mcpgateway_refreshes_triggered_total'),
      refreshesFailed: value('mcpgateway_refreshes_failed_total'),
      pendingRefreshes: value('mcpgateway_refreshes_pending'),
      registeredGateways: value('mcpgateway_notification_gateways'),
      debounceSeconds: value('mcpgateway_notification_debounce_seconds'),
    }).toEqual(metrics);
    expect(metrics).toMatchObject({ refreshesTriggered: 2, registeredGateways: 1, debounceSeconds: 0.1 });
    expect(value('mcpgateway_watch_sessions\\{state="listening"\\}')).toBe(1);
    expect(value('mcpgateway_change_delay_seconds_count')).toBe(1);
  });
});
