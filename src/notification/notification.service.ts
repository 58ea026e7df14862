import { type CatalogueService, REFRESH_KINDS, type RefreshKind, type RefreshReport } from '../catalogue/index.js';
import { CodedError } from '../common/errors.js';
import { type Log } from '../logging/logger.js';
import { type ServerNotification, type SessionPoolService } from '../session-pool/index.js';
import { type BackOffOptions } from './back-off.js';
import { type GatewayRoster } from './gateway-roster.js';
import { changedList, readWith } from './list-changes.js';
import { NotificationCounters, type NotificationMetrics } from './notification-counters.js';
import { type PassResult, RefreshDebouncer, type Wanted } from './refresh-debouncer.js';
import { RefreshSlots } from './refresh-slots.js';

export interface NotificationServiceOptions {
  readonly catalogue: Pick<CatalogueService, 'refresh'>;
  readonly sessions: Pick<SessionPoolService, 'onNotification'>;
  readonly roster: GatewayRoster;
  readonly log: Log;
  /** Seconds from the first announcement to the change being served. */
  readonly observeDelay: (seconds: number) => void;
  readonly debounceMs: number;
  readonly maxWaitMs: number;
  readonly parallel: number;
  /** A refresh that takes longer gives its slot to the next one. */
  readonly slowMs: number;
  readonly retry: BackOffOptions;
}

const CREATED_VIA = 'notification_service';

/**
 * Turns what servers announce into refreshes (SPEC §4): only what was declared, debounced for each gateway, bounded in
 * parallel, and repeated until it is done.
 */
export class NotificationService {
  readonly counters = new NotificationCounters();
  private readonly debouncers = new Map<string, RefreshDebouncer<RefreshKind>>();
  private readonly slots: RefreshSlots;
  private readonly ends: (() => void)[] = [];
  private readonly ending = new Set<Promise<void>>();
  private stopped = false;

  constructor(private readonly options: NotificationServiceOptions) {
    this.slots = new RefreshSlots(options);
  }

  start(): void {
    const { sessions, roster } = this.options;
    this.ends.push(
      sessions.onNotification((notification) => this.heard(notification)),
      roster.onChange((id, entry) => void (entry ?? this.drop(id))),
    );
  }

  /** Running refreshes are aborted; waits for their ends. */
  async stop(): Promise<void> {
    this.stopped = true;
    for (const end of this.ends.splice(0)) end();
    for (const id of [...this.debouncers.keys()]) this.drop(id);
    await Promise.all(this.ending);
  }

  /** Everything of the gateway is to be read. */
  refreshAll(gatewayId: string): void {
    this.request(gatewayId, REFRESH_KINDS);
  }

  getMetrics(): NotificationMetrics {
    const { roster, debounceMs } = this.options;
    return {
      ...this.counters,
      pendingRefreshes: [...this.debouncers.values()].filter(({ busy }) => busy).length,
      registeredGateways: [...roster.all()].filter(({ listChanged }) => (listChanged?.size ?? 0) > 0).length,
      debounceSeconds: debounceMs / 1000,
    };
  }

  private heard({ gatewayId, method }: ServerNotification): void {
    this.counters.notificationsReceived += 1;
    const kind = changedList(method);
    if (kind === undefined) this.counters.notificationsOther += 1;
    else if (!this.declared(gatewayId, kind)) this.counters.notificationsIgnored += 1;
    else if (this.request(gatewayId, readWith(kind))) this.counters.notificationsDebounced += 1;
  }

  /** A gateway that is not known here yet is believed: to read it once more is never wrong, to miss a change is. */
  private declared(gatewayId: string, kind: RefreshKind): boolean {
    const entry = this.options.roster.find(gatewayId);
    return entry === undefined || entry.listChanged?.has(kind) === true;
  }

  /** @returns whether it goes into a refresh that was wanted already */
  private request(gatewayId: string, kinds: readonly RefreshKind[]): boolean {
    if (this.stopped) return false;
    let debouncer = this.debouncers.get(gatewayId);
    if (!debouncer) this.debouncers.set(gatewayId, (debouncer = this.debouncerOf(gatewayId)));
    return debouncer.request(kinds);
  }

  private debouncerOf(gatewayId: string): RefreshDebouncer<RefreshKind> {
    const { debounceMs: quietMs, maxWaitMs, retry, log, roster } = this.options;
    const nameOf = (): string => roster.find(gatewayId)?.name ?? gatewayId;
    return new RefreshDebouncer<RefreshKind>({
      ...{ quietMs, maxWaitMs, retry },
      run: (take, signal) => this.slots.run(() => this.refresh(gatewayId, take(), signal), signal),
      onFailure: (error, failures, retryMs) => {
        this.counters.refreshesFailed += 1;
        const fields = { gateway: nameOf(), reason: messageOf(error), failures, retryMs: Math.round(retryMs) };
        // One line when it begins; a server that is away for a week must not fill the log.
        log[failures === 1 ? 'warn' : 'debug'](fields, 'a gateway could not be refreshed; trying on');
      },
      onRecovery: (failures) => log.info({ gateway: nameOf(), failures }, 'the gateway is refreshed again'),
    });
  }

  private async refresh(id: string, wanted: Wanted<RefreshKind>, signal: AbortSignal): Promise<PassResult> {
    this.counters.refreshesTriggered += 1;
    const request = { kinds: [...wanted.kinds], createdVia: CREATED_VIA, whenBusy: 'wait' } as const;
    let report: RefreshReport;
    try {
      report = await this.options.catalogue.refresh(id, request, signal);
    } catch (error) {
      if (!(error instanceof CodedError && error.code === 'NOT_FOUND')) throw error;
      return 'unknown'; // deleted meanwhile; the roster will hear of it
    }
    const changed = hasChanged(report);
    if (changed) this.options.observeDelay((performance.now() - wanted.since) / 1000);
    if (!report.success) throw new Error(report.error ?? 'not every list could be read');
    if (report.covered) return 'unknown';
    return changed ? 'changed' : 'unchanged';
  }

  private drop(gatewayId: string): void {
    const debouncer = this.debouncers.get(gatewayId);
    if (!debouncer) return;
    this.debouncers.delete(gatewayId);
    const end = debouncer.stop().finally(() => this.ending.delete(end));
    this.ending.add(end);
  }
}

function hasChanged({ changes }: RefreshReport): boolean {
  return Object.values(changes).some(({ added, updated, removed }) => added + updated + removed > 0);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
