import { type Metrics } from '../metrics/metrics.js';
import { type GatewayWatch } from './gateway-watch.js';
import { type NotificationCounters } from './notification-counters.js';
import { type NotificationService } from './notification.service.js';

const COUNTERS: Readonly<Record<keyof NotificationCounters, readonly [name: string, help: string]>> = {
  notificationsReceived: ['notifications_received', 'Notifications of servers'],
  notificationsDebounced: [
    'notifications_debounced',
    'Announced changes that joined a refresh that was wanted already',
  ],
  notificationsOther: ['notifications_other', 'Notifications of servers that announce no change'],
  notificationsIgnored: ['notifications_ignored', 'Announced changes of a kind that the server had not declared'],
  refreshesTriggered: ['refreshes_triggered', 'Refreshes that began without a manual request'],
  refreshesFailed: ['refreshes_failed', 'Of those, the ones that must be repeated'],
};

/** The numbers of SPEC N-8 for Prometheus, read when it asks. */
export function exposeNotificationMetrics(service: NotificationService, watch: GatewayWatch, metrics: Metrics): void {
  for (const [member, [name, help]] of Object.entries(COUNTERS)) {
    const read = (): number => service.counters[member as keyof NotificationCounters];
    metrics.observeCounter(`mcpgateway_${name}_total`, help, read);
  }
  const gauge = (name: string, help: string, read: () => number): void =>
    metrics.observeGauge(name, help, [], () => [{ value: read() }]);
  gauge('mcpgateway_refreshes_pending', 'Gateways that wait for a refresh or are being read', () => {
    return service.getMetrics().pendingRefreshes;
  });
  gauge('mcpgateway_notification_gateways', 'Enabled gateways whose servers announce changes', () => {
    return service.getMetrics().registeredGateways;
  });
  gauge('mcpgateway_notification_debounce_seconds', 'NOTIFICATION_DEBOUNCE_SECONDS', () => {
    return service.getMetrics().debounceSeconds;
  });
  metrics.observeGauge('mcpgateway_watch_sessions', 'Sessions that listen for changes, by state', ['state'], () =>
    [...watch.states()].map(([state, value]) => ({ labels: { state }, value })),
  );
}
