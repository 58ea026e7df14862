import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { type NotificationMetrics } from '../../../src/notification/index.js';
import { type McpTestServer } from '../../support/mcp-server.js';
import { type Replica } from '../../support/replica.js';
import { countFrom } from '../../support/seeds.js';
import { until } from '../../support/until.js';
import { notifications, NotificationWorld, toolsOf, type WatchedServer } from '../notification.support.js';

/**
 * Real servers that really notify: what is read is counted at the server, what is known of it is looked up in the
 * catalogue. With the watch session, which the originals did not have, each server has one session that hears it.
 */
describe('TestNotificationE2E', () => {
  let world: NotificationWorld;
  let replica: Replica;
  beforeEach(async () => {
    world = await NotificationWorld.open();
    replica = await world.replica({ NOTIFICATION_DEBOUNCE_SECONDS: '0.2', NOTIFICATION_MAX_WAIT_SECONDS: '2' });
  });
  afterEach(() => world.close());

  it('test_notification_flow_e2e', async () => {
    const { id, server } = await world.watched(replica, 'flow');
    const counted = new Counted(replica, server);

    server.addTool('brand_new');
    await until(() => counted.of('notificationsReceived') === 1, { what: 'the notification' });
    expect(counted.metrics.pendingRefreshes).toBe(1);
    expect(counted.reads()).toEqual({ tools: 0, resources: 0, templates: 0, prompts: 0 });

    await counted.quiet();
    expect(await toolsOf(replica, id)).toContain('brand_new');
    // tools → resources and prompts too (N-3), each once
    expect(counted.reads()).toEqual({ tools: 1, resources: 1, templates: 1, prompts: 1 });
    expect(counted.of('refreshesTriggered')).toBe(1);
    expect(counted.metrics.pendingRefreshes).toBe(0);
    expect(await originOf(world, 'brand_new')).toBe('notification_service');
  });

  it('test_debouncing_e2e', async () => {
    const { id, server } = await world.watched(replica, 'debounce');
    const counted = new Counted(replica, server);

    for (const n of [1, 2, 3, 4, 5]) server.addTool(`burst_${n}`);
    await until(() => counted.of('notificationsReceived') === 5, { what: 'five notifications' });
    await counted.quiet();
    expect(counted.reads().tools).toBe(1);
    expect(counted.of('refreshesTriggered')).toBe(1);
    expect(counted.of('notificationsDebounced')).toBe(4);
    expect(await toolsOf(replica, id)).toContain('burst_5'); // the last one, which a leading edge would have lost
  });

  it('test_different_notification_types_filtering', async () => {
    const { server } = await world.watched(replica, 'types');
    await expectReads(server, 'notifications/resources/list_changed', {
      tools: 1,
      resources: 1,
      templates: 1,
      prompts: 0,
    });
    await expectReads(server, 'notifications/prompts/list_changed', {
      tools: 1,
      resources: 0,
      templates: 0,
      prompts: 1,
    });

    // and only of kinds that were declared (N-2)
    const plain: WatchedServer = await world.watched(replica, 'plain', { kinds: ['tools'] });
    const counted = new Counted(replica, plain.server);
    await plain.server.broadcast({ method: 'notifications/tools/list_changed' });
    await counted.quiet();
    expect(counted.reads()).toEqual({ tools: 1, resources: 0, templates: 0, prompts: 0 });
  });

  async function expectReads(
    server: McpTestServer,
    method: 'notifications/resources/list_changed' | 'notifications/prompts/list_changed',
    reads: ReturnType<Counted['reads']>,
  ): Promise<void> {
    const counted = new Counted(replica, server);
    await server.broadcast({ method });
    await until(() => counted.of('notificationsReceived') === 1, { what: method });
    await counted.quiet();
    expect(counted.reads()).toEqual(reads);
  }
});

/** What has happened since it was made, here and at the server. */
class Counted {
  private readonly before: NotificationMetrics;
  private readonly served: ReturnType<typeof countFrom>;

  constructor(
    private readonly replica: Replica,
    server: McpTestServer,
  ) {
    this.before = this.metrics;
    this.served = countFrom(server);
  }

  get metrics(): NotificationMetrics {
    return notifications(this.replica).getMetrics();
  }

  of(member: 'notificationsReceived' | 'notificationsDebounced' | 'refreshesTriggered'): number {
    return this.metrics[member] - this.before[member];
  }

  reads(): { tools: number; resources: number; templates: number; prompts: number } {
    return {
      tools: this.served.of('tools/list'),
      resources: this.served.of('resources/list'),
      templates: this.served.of('resources/templates/list'),
      prompts: this.served.of('prompts/list'),
    };
  }

  /** A refresh has begun, and nothing is left to be read. */
  async quiet(): Promise<void> {
    await until(() => this.of('refreshesTriggered') > 0 && this.metrics.pendingRefreshes === 0, { what: 'quiet' });
  }
}

async function originOf(world: NotificationWorld, name: string): Promise<unknown> {
  const rows = await world.rows('SELECT "created_via" FROM "capabilities" WHERE "original_name" = $1', [name]);
  return rows[0]?.['created_via'];
}
