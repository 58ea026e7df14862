/** What happened, in whole numbers (SPEC N-8). */
export class NotificationCounters {
  /** Notifications of servers, of whatever kind, on whatever session. */
  notificationsReceived = 0;
  /** Announcements of changes that went into a refresh that was wanted already. */
  notificationsDebounced = 0;
  /** Of a kind that starts no refresh. */
  notificationsOther = 0;
  /** Announcements of changes that the server never declared, or of a gateway that is off. */
  notificationsIgnored = 0;
  /** Refreshes that began here, for whatever reason but a manual one. */
  refreshesTriggered = 0;
  refreshesFailed = 0;
}

/** SPEC N-8. */
export interface NotificationMetrics extends Readonly<Omit<NotificationCounters, never>> {
  /** Gateways that wait for a refresh or are being read. */
  readonly pendingRefreshes: number;
  /** Enabled gateways whose servers announce changes. */
  readonly registeredGateways: number;
  readonly debounceSeconds: number;
}
