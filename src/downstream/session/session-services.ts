import { Inject, Injectable } from '@nestjs/common';
import { SETTINGS } from '../../config/config.module.js';
import { type Settings } from '../../config/settings.js';
import { ExecutionService } from '../../execution/index.js';
import { type Log, LOG } from '../../logging/logger.js';
import { Metrics } from '../../metrics/metrics.js';
import { EventBudget, type EventLogLimits } from '../stream/event-log.js';

/** Methods that may be a label; anything else a client makes up is `other`. */
const METHODS = new Set([
  ...['initialize', 'ping', 'tools/list', 'tools/call', 'prompts/list', 'prompts/get'],
  ...['resources/list', 'resources/templates/list', 'resources/read', 'resources/subscribe', 'resources/unsubscribe'],
  ...['completion/complete', 'logging/setLevel'],
]);

/** What every session of this replica uses: one object for all of them, so that a session itself is small. */
@Injectable()
export class SessionServices {
  readonly eventLimits: EventLogLimits;
  readonly eventBudget: EventBudget;

  constructor(
    @Inject(SETTINGS) settings: Settings,
    readonly execution: ExecutionService,
    private readonly metrics: Metrics,
    @Inject(LOG) private readonly log: Log,
  ) {
    this.eventBudget = new EventBudget(settings.EVENT_LOG_MAX_TOTAL_BYTES);
    this.eventLimits = {
      maxEvents: settings.EVENT_LOG_MAX_EVENTS,
      maxBytes: settings.EVENT_LOG_MAX_BYTES,
      maxAgeMs: settings.EVENT_LOG_MAX_AGE_SECONDS,
      maxEventBytes: MAX_EVENT_BYTES,
    };
  }

  readonly now = (): number => performance.now();

  count(endpoint: string, method: string, outcome: string): void {
    this.metrics.mcpRequests.labels(endpoint, METHODS.has(method) ? method : 'other', outcome).inc();
  }

  reportUnforeseen(thrown: unknown, method: string, requestId: string): void {
    this.log.error({ err: thrown, requestId, method: METHODS.has(method) ? method : 'other' }, 'a request failed');
  }
}

/** SPEC D-9. */
const MAX_EVENT_BYTES = 1024 * 1024;
