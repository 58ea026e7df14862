import { type INestApplication } from '@nestjs/common';
import { settledWithin } from '../common/deadline.js';
import { type Settings } from '../config/settings.js';
import { EdgeService } from '../downstream/edge/edge.service.js';
import { ReadinessService } from '../health/readiness.service.js';
import { type Log } from '../logging/logger.js';
import { SessionPoolService } from '../session-pool/index.js';

/** For connections and the database, after the drain. */
const CLOSE_TIMEOUT_MS = 15_000;

/**
 * The graceful end (SPEC A-10): unready, a pause in which balancers notice, no new requests while the running ones end,
 * then upstream sessions (P-11), modules, connections and the database. Remembered, and bounded by its settings.
 */
export class Shutdown {
  private ending: Promise<void> | undefined;

  constructor(
    private readonly app: INestApplication,
    private readonly settings: Settings,
    private readonly log: Log,
  ) {}

  run(reason: string): Promise<void> {
    this.ending ??= this.end(reason);
    return this.ending;
  }

  private async end(reason: string): Promise<void> {
    const { SHUTDOWN_DELAY_SECONDS: delayMs, SHUTDOWN_DEADLINE_SECONDS: deadlineMs } = this.settings;
    const edge = this.app.get(EdgeService);
    this.log.info({ reason, inFlight: edge.inFlight }, 'shutting down');
    this.app.get(ReadinessService).markShuttingDown();
    await pause(delayMs);
    const deadline = performance.now() + deadlineMs;
    await settledWithin(edge.drain(), deadlineMs);
    if (edge.inFlight > 0) this.log.warn({ inFlight: edge.inFlight }, 'calls are cut off: SHUTDOWN_DEADLINE_SECONDS');
    edge.interrupt();
    const pool = this.app.get(SessionPoolService);
    // No call is left that would be worth a longer wait.
    const graceMs = Math.min(pool.options.closeGraceMs, Math.max(0, deadline - performance.now()));
    await settledWithin(pool.drain(graceMs), graceMs + CLOSE_TIMEOUT_MS);
    await settledWithin(this.app.close(), CLOSE_TIMEOUT_MS);
    this.log.info('stopped');
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
