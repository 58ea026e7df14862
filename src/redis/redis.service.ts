import { Redis } from 'ioredis';
import { abortable, withDeadline } from '../common/deadline.js';
import { type Log } from '../logging/logger.js';

/** No Redis operation may hold anything up for longer (it would hold up every request behind it). */
const PING_TIMEOUT_MS = 1_000;
const MAX_RETRY_MS = 2_000;

/**
 * This replica's connection to Redis, where one is configured. It comes back by itself, for ever; while it is away
 * commands fail at once instead of queueing up.
 */
export class RedisService {
  readonly client: Redis | undefined;
  private closing: Promise<void> | undefined;

  constructor(
    url: string | undefined,
    private readonly log: Log,
  ) {
    this.client = url === undefined ? undefined : this.open(url);
  }

  get configured(): boolean {
    return this.client !== undefined;
  }

  /** Begins to connect; never waits for it and never fails (SPEC A-11: readiness shows it). */
  start(): void {
    void this.client?.connect().catch(() => undefined);
  }

  /** @throws Error if Redis does not answer within a second */
  async ping(): Promise<void> {
    const { client } = this;
    if (!client) return;
    const late = (): Error => new Error(`no answer in ${PING_TIMEOUT_MS} ms`);
    await withDeadline(PING_TIMEOUT_MS, undefined, late, (signal) => abortable(client.ping(), signal));
  }

  close(): Promise<void> {
    this.closing ??= Promise.resolve(this.client?.disconnect());
    return this.closing;
  }

  private open(url: string): Redis {
    const client = new Redis(url, {
      lazyConnect: true,
      enableOfflineQueue: false,
      maxRetriesPerRequest: 0,
      connectTimeout: 2_000,
      disconnectTimeout: 100, // or a closed connection keeps a timer for 2 s
      retryStrategy: (attempt) => Math.min(100 * 2 ** Math.min(attempt, 10), MAX_RETRY_MS),
    });
    let away = false;
    client.on('error', (error: Error) => {
      // One line for an outage, not one for each attempt.
      if (!away) this.log.warn({ reason: error.message }, 'Redis cannot be reached (REDIS_URL); trying on');
      away = true;
    });
    client.on('ready', () => {
      this.log.info(away ? 'Redis is back' : 'Redis is connected');
      away = false;
    });
    return client;
  }
}
