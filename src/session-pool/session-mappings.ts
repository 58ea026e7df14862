import { settledWithin } from '../common/deadline.js';
import { CodedError } from '../common/errors.js';
import { ANONYMOUS, sha256Hex } from '../common/principal.js';
import { type AffinityCounters } from '../metrics/affinity-counters.js';
import { type RedisService } from '../redis/redis.service.js';
import { type Transport } from '../upstream/upstream.port.js';
import { type PoolKeyParts } from './pool-key.js';

/** Ids of downstream sessions; nothing else gets into a key or a channel (SPEC P-5). */
const SESSION_ID = /^[A-Za-z0-9_-]{1,128}$/;

export interface SessionMappingsOptions {
  /** With affinity off nothing is stored; bound sessions exist all the same. */
  readonly enabled: boolean;
  readonly ttlMs: number;
  readonly keyPrefix: string;
}

interface Mapping {
  readonly parts: PoolKeyParts;
  readonly redisKey: string;
  /** Since Redis heard of it the last time. */
  used: boolean;
}

/** A Redis that hangs must not keep the timer from its next turn. */
const RENEWAL_TIMEOUT_MS = 1_000;
/** Nor the first call of a session: as long as the journal waits. */
const TIMEOUT_MS = 500;

/**
 * Which bound upstream session a downstream session has with a gateway (SPEC P-5):
 * (session id, URL, transport, gateway id) → key of the bound session. In memory, and in Redis where there is one.
 * A mapping is used only for the user that it was made for. Use only marks it; a timer renews what is marked.
 */
export class SessionMappings {
  private readonly known = new Map<string, Map<string, Mapping>>(); // by session hash, then by the rest
  private timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly options: SessionMappingsOptions,
    private readonly redis: RedisService,
    private readonly counters: AffinityCounters,
  ) {}

  /** Begins to renew, every third of the TTL. Nothing to do without Redis. */
  start(): void {
    if (!this.options.enabled || !this.redis.configured) return;
    this.timer = setTimeout(() => void this.renew().then(() => this.timer && this.start()), this.options.ttlMs / 3);
    this.timer.unref();
  }

  stop(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
  }

  /**
   * @param user subject of the principal; undefined for an anonymous one
   * @throws CodedError BAD_REQUEST for a session id that is none; never for Redis: what it lacks is only here then
   */
  async register(
    sessionId: string,
    url: string,
    gatewayId: string,
    transport: Transport,
    user: string | undefined,
  ): Promise<void> {
    if (!SESSION_ID.test(sessionId)) throw new CodedError('BAD_REQUEST', 'a session id is 1 to 128 of A-Z a-z 0-9 _ -');
    if (!this.options.enabled) return;
    const sessionHash = sha256Hex(sessionId);
    const userIdentity = user === undefined ? ANONYMOUS : sha256Hex(user);
    const parts: PoolKeyParts = [userIdentity, url, sessionHash, transport, gatewayId];
    const place = placeOf(url, transport, gatewayId);
    const mine = this.known.get(sessionHash) ?? new Map<string, Mapping>();
    const before = mine.get(place);
    const redisKey = this.redisKey(sessionId, url, transport, gatewayId);
    this.known.set(sessionHash, mine.set(place, { parts, redisKey, used: true }));
    // No Redis write per call: only what it does not have yet.
    if (before?.parts.join() !== parts.join()) await this.store(redisKey, parts);
  }

  /** The mapping, if there is one for this very user. Memory first, then Redis. */
  async find(
    sessionId: string,
    url: string,
    gatewayId: string,
    transport: Transport,
    userIdentity: string,
  ): Promise<PoolKeyParts | undefined> {
    if (!this.options.enabled || !SESSION_ID.test(sessionId)) return undefined;
    const place = placeOf(url, transport, gatewayId);
    const known = this.known.get(sha256Hex(sessionId))?.get(place);
    const local = known?.parts;
    const parts = local ?? (await this.fetch(sessionId, url, gatewayId, transport));
    if (!parts || parts[0] !== userIdentity) {
      this.counters.misses += 1;
      return undefined;
    }
    if (known) known.used = true;
    if (local) this.counters.localHits += 1;
    else this.counters.redisHits += 1;
    return parts;
  }

  /** The same for memory alone, without waiting: the way of a call. @param sessionHash SHA-256 of the session's id */
  note(sessionHash: string, parts: PoolKeyParts): void {
    if (!this.options.enabled) return;
    // A session for which nothing was registered looks nothing up.
    const mine = this.known.get(sessionHash);
    if (!mine) return;
    const known = mine.get(placeOf(parts[1], parts[3], parts[4]));
    if (known?.parts[0] !== parts[0]) {
      this.counters.misses += 1;
      return;
    }
    known.used = true;
    this.counters.localHits += 1;
  }

  /** Lives and dies with its session: in memory at once, in Redis as soon as it hears of it, at the latest by its TTL. */
  forget(sessionHash: string): void {
    const mine = this.known.get(sessionHash);
    this.known.delete(sessionHash);
    const keys = [...(mine?.values() ?? [])].map(({ redisKey }) => redisKey);
    if (keys.length > 0) void this.redis.client?.del(keys).catch(() => undefined);
  }

  get size(): number {
    return this.known.size;
  }

  private redisKey(sessionId: string, url: string, transport: Transport, gatewayId: string): string {
    return `${this.options.keyPrefix}session_mapping:${sessionId}:${sha256Hex(url).slice(0, 16)}:${transport}:${gatewayId}`;
  }

  /** Everything that was used, in one pipeline; what Redis has lost is there again. Never rejects. */
  private async renew(): Promise<void> {
    const pipeline = this.redis.client?.pipeline();
    for (const mine of this.known.values()) {
      for (const mapping of mine.values()) {
        if (!mapping.used) continue;
        mapping.used = false;
        pipeline?.set(mapping.redisKey, JSON.stringify(mapping.parts), 'PX', this.options.ttlMs);
      }
    }
    if (pipeline && pipeline.length > 0) await settledWithin(pipeline.exec(), RENEWAL_TIMEOUT_MS);
  }

  private async store(key: string, parts: PoolKeyParts): Promise<void> {
    const { client } = this.redis;
    // Redis away is no failure of the call: the mapping stands in memory, and affinity has its own word on ownership.
    if (client) await settledWithin(client.set(key, JSON.stringify(parts), 'PX', this.options.ttlMs), TIMEOUT_MS);
  }

  private async fetch(
    sessionId: string,
    url: string,
    gatewayId: string,
    transport: Transport,
  ): Promise<PoolKeyParts | undefined> {
    const key = this.redisKey(sessionId, url, transport, gatewayId);
    const { client } = this.redis;
    const json = client && (await settledWithin(client.get(key), TIMEOUT_MS));
    const parts = json ? partsOf(json) : undefined;
    // Somebody else may have written there: only what this very place can hold is a mapping.
    const expected = [parts?.[0], url, sha256Hex(sessionId), transport, gatewayId];
    return parts && expected.every((part, index) => part === parts[index]) ? parts : undefined;
  }
}

function placeOf(url: string, transport: Transport, gatewayId: string): string {
  return `${url}\n${transport}\n${gatewayId}`;
}

function partsOf(json: string): PoolKeyParts | undefined {
  try {
    const parts = JSON.parse(json) as unknown;
    return Array.isArray(parts) ? (parts as unknown as PoolKeyParts) : undefined;
  } catch {
    return undefined;
  }
}
