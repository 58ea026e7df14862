import { setTimeout as delay } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type Replica } from '../support/replica.js';
import { until } from '../support/until.js';
import { notifications, NotificationWorld, toolsOf, type WatchedServer } from './notification.support.js';
import { figures } from './pool-world.support.js';

const BURST = 1_000;
const BURST_MS = 1_000;
const PER_STEP = 10;
const MAX_WAIT_MS = 500;
const ROUNDS = 4;
const MIB = 1024 * 1024;

/** Issue 5, shown by 3. */
describe(`a burst of ${BURST} notifications in ${BURST_MS} ms (N-4)`, () => {
  let world: NotificationWorld;
  let replica: Replica;
  let watched: WatchedServer;

  beforeAll(async () => {
    world = await NotificationWorld.open();
    replica = await world.replica({
      NOTIFICATION_DEBOUNCE_SECONDS: '0.2',
      NOTIFICATION_MAX_WAIT_SECONDS: String(MAX_WAIT_MS / 1000),
    });
    watched = await world.watched(replica, 'burst');
  });
  afterAll(() => world.close());

  it('costs at most 2 refreshes beyond those of the maximum wait, no memory, and its last change is seen', async () => {
    const heaps: number[] = [];
    for (let round = 1; round <= ROUNDS; round += 1) {
      const before = notifications(replica).getMetrics();
      const started = performance.now();
      for (let sent = 0; sent < BURST; sent += PER_STEP) {
        const batch = Array.from({ length: PER_STEP }, () =>
          watched.server.broadcast({ method: 'notifications/tools/list_changed' }),
        );
        await Promise.all(batch);
        await delay(Math.max(0, ((sent + PER_STEP) / BURST) * BURST_MS - (performance.now() - started)));
      }
      watched.server.addTool(`last_${round}`);
      const tookMs = performance.now() - started;
      await until(async () => (await toolsOf(replica, watched.id)).includes(`last_${round}`), {
        what: 'the last change',
      });
      await until(() => notifications(replica).getMetrics().pendingRefreshes === 0, { what: 'quiet' });

      const after = notifications(replica).getMetrics();
      const received = after.notificationsReceived - before.notificationsReceived;
      const refreshes = after.refreshesTriggered - before.refreshesTriggered;
      const debounced = after.notificationsDebounced - before.notificationsDebounced;
      heaps.push(heapUsed());
      figures(`burst ${round}`, { received, refreshes, debounced, ms: tookMs, 'heap MiB': (heaps.at(-1) ?? 0) / MIB });
      expect(received).toBe(BURST + 1);
      expect(refreshes).toBeLessThanOrEqual(Math.floor(tookMs / MAX_WAIT_MS) + 2);
      expect(debounced).toBe(received - refreshes);
    }
    // The first one warms everything up.
    expect((heaps.at(-1) ?? 0) - (heaps[0] ?? 0)).toBeLessThan(8 * MIB);
  }, 60_000);
});

function heapUsed(): number {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
  return process.memoryUsage().heapUsed;
}
