import { type Settings } from '../config/settings.js';
import { type Log } from '../logging/logger.js';
import { type SessionPoolService } from '../session-pool/index.js';
import { type GatewayRoster } from './gateway-roster.js';
import { GatewayWatch } from './gateway-watch.js';
import { type NotificationService } from './notification.service.js';
import { WatchSession } from './watch-session.js';

const RETRY = { firstMs: 1_000, maxMs: 60_000 };
const STABLE_MS = 30_000;
const LOOK_MS = 30_000;

/** Builds the plain watch on the pool's sessions. */
export function watchOf(
  roster: GatewayRoster,
  notifications: NotificationService,
  sessions: SessionPoolService,
  log: Log,
  settings: Settings,
): GatewayWatch {
  return new GatewayWatch({
    roster,
    sessions: settings.GATEWAY_WATCH_ENABLED,
    backstopMs: settings.GATEWAY_REFRESH_INTERVAL_SECONDS,
    refresh: (id) => notifications.refreshAll(id),
    watch: ({ name: gateway, target }, { onListening }) =>
      new WatchSession({
        ...{ sessions, target, retry: RETRY, stableMs: STABLE_MS, lookMs: LOOK_MS, onListening },
        onFailure: (error, failures, retryMs) => {
          const reason = error instanceof Error ? error.message : String(error);
          const fields = { gateway, reason, failures, retryMs: Math.round(retryMs) };
          log[failures === 1 ? 'warn' : 'debug'](fields, 'a gateway cannot be watched just now; trying on');
        },
      }),
  });
}
