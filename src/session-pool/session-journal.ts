import { randomUUID } from 'node:crypto';
import { settledWithin } from '../common/deadline.js';
import { type SecretBox } from '../common/secret-box.js';
import { type RedisService } from '../redis/redis.service.js';
import { type Transport } from '../upstream/upstream.port.js';

/** One open upstream session, as somebody needs to know it who has to end it (SPEC A-9). */
export interface JournalEntry {
  readonly gatewayId: string;
  readonly transport: Transport;
  /** Of the upstream session; sealed where it is stored. */
  readonly sessionId: string;
  /** SHA-256 of the id of the downstream session that it belongs to; absent for a pooled one. */
  readonly boundTo?: string;
  /** Epoch milliseconds. */
  readonly openedAt: number;
}

export type NewJournalEntry = Omit<JournalEntry, 'openedAt'>;

/** Which upstream sessions are open, written before their first use, so that none outlives its replica unknown. */
export abstract class SessionJournal {
  /** @returns the entry's id, when it is stored or when waiting on would hold up a call. Never rejects. */
  abstract write(entry: NewJournalEntry): Promise<string>;
  /** The session has ended at its server, or can never be. */
  abstract remove(id: string): void;
  /** Stores what could not be stored when it happened. Never rejects; bounded in time. */
  abstract sync(): Promise<void>;
  /** Entries that were not stored in time, so far. */
  abstract readonly late: number;
}

/** Without Redis nobody else could read it: it ends with the process, as its sessions do. */
export class MemoryJournal implements SessionJournal {
  readonly late = 0;
  readonly entries = new Map<string, JournalEntry>();

  async write(entry: NewJournalEntry): Promise<string> {
    const id = randomUUID();
    this.entries.set(id, { ...entry, openedAt: Date.now() });
    return id;
  }

  remove(id: string): void {
    this.entries.delete(id);
  }

  async sync(): Promise<void> {}
}

export interface RedisJournalOptions {
  readonly replicaId: string;
  readonly keyPrefix: string;
}

/** Redis away or slow is no failure of a call. */
const TIMEOUT_MS = 500;
/** Changes that wait for Redis to come back; the oldest are given up: their entries name sessions that are gone. */
const MAX_BEHIND = 100_000;

/**
 * In Redis, one hash for each replica: `<prefix>journal:<replica id>`, entry id → JSON with the session id sealed. What
 * Redis could not take is kept in memory and stored by `sync()`.
 */
export class RedisJournal implements SessionJournal {
  late = 0;
  private readonly entries = new Map<string, string>();
  private readonly behind = new Set<string>(); // ids that Redis may not have as `entries` has them
  private syncing: Promise<unknown> | undefined; // a Redis that hangs is not asked again and again

  constructor(
    private readonly options: RedisJournalOptions,
    private readonly redis: RedisService,
    private readonly box: SecretBox,
  ) {}

  async write(entry: NewJournalEntry): Promise<string> {
    const id = randomUUID();
    const sessionId = this.box.seal(entry.sessionId, this.contextOf(id));
    this.entries.set(id, JSON.stringify({ ...entry, sessionId, openedAt: Date.now() }));
    if ((await settledWithin(this.store(id), TIMEOUT_MS)) !== true) this.late += 1;
    return id;
  }

  remove(id: string): void {
    this.entries.delete(id);
    void this.store(id);
  }

  async sync(): Promise<void> {
    if (this.behind.size === 0) return;
    this.syncing ??= Promise.all([...this.behind].map((id) => this.store(id))).finally(
      () => (this.syncing = undefined),
    );
    await settledWithin(this.syncing, TIMEOUT_MS);
  }

  /**
   * What a replica had open, in clear. Entries that cannot be read are left out.
   *
   * @throws Error if Redis cannot be asked
   */
  async entriesOf(replicaId: string): Promise<ReadonlyMap<string, JournalEntry>> {
    const stored = (await this.redis.client?.hgetall(this.keyOf(replicaId))) ?? {};
    const entries = new Map<string, JournalEntry>();
    for (const [id, json] of Object.entries(stored)) {
      const entry = this.read(json, this.contextOf(id, replicaId));
      if (entry) entries.set(id, entry);
    }
    return entries;
  }

  /** Makes Redis hold of this id what `entries` holds. @returns whether it does */
  private async store(id: string): Promise<boolean> {
    this.behind.add(id);
    const [oldest = id] = this.behind;
    if (this.behind.size > MAX_BEHIND) this.behind.delete(oldest);
    const json = this.entries.get(id);
    const key = this.keyOf(this.options.replicaId);
    try {
      await (json === undefined ? this.redis.client?.hdel(key, id) : this.redis.client?.hset(key, id, json));
    } catch {
      return false;
    }
    if (this.entries.get(id) === json) this.behind.delete(id);
    return true;
  }

  private read(json: string, context: string): JournalEntry | undefined {
    try {
      const entry = JSON.parse(json) as JournalEntry;
      return { ...entry, sessionId: this.box.open(entry.sessionId, context) };
    } catch {
      return undefined;
    }
  }

  private keyOf(replicaId: string): string {
    return `${this.options.keyPrefix}journal:${replicaId}`;
  }

  private contextOf(id: string, replicaId = this.options.replicaId): string {
    return `journal:${replicaId}:${id}`;
  }
}
