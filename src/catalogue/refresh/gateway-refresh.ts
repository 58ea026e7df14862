import { withDeadline } from '../../common/deadline.js';
import { CodedError } from '../../common/errors.js';
import { type Lock, type Locks, MemoryLocks } from '../../redis/locks.js';
import { type Target, UpstreamError, type UpstreamSession } from '../../session-pool/index.js';
import { type CapabilityKind } from '../capability-kind.js';
import { type ServerReading } from '../capability-reading.js';
import { type GatewayRecord } from '../entities/gateway.entity.js';
import { readCapabilities } from '../read-capabilities.js';
import { type UpstreamAccess } from '../upstream-access.js';
import { REFRESH_KINDS, type RefreshKind, recordKinds } from './refresh-kinds.js';
import { coveredReport, hasChanged, type RefreshReport, reportOf, visibleKinds } from './refresh-report.js';
import { type RefreshStore } from './refresh-store.js';

export interface RefreshRequest {
  readonly kinds: readonly RefreshKind[];
  /** What new records say of their origin (SPEC N-3). */
  readonly createdVia: string;
  /** While another refresh of the gateway runs: wait for its turn, or give up with CONFLICT. */
  readonly whenBusy: 'wait' | 'refuse';
}

/** Milliseconds. */
export interface RefreshLimits {
  /** For one page of a list. */
  readonly pageTimeoutMs: number;
  /** For the reading as a whole. */
  readonly totalTimeoutMs: number;
}

export interface GatewayRefreshOptions {
  readonly store: RefreshStore;
  readonly upstream: UpstreamAccess;
  readonly locks: Locks;
  readonly limits: RefreshLimits;
  /** How the server of this very record is reached: what the memory knows may be older. */
  readonly targetOf: (record: GatewayRecord) => Target;
  /** Something was stored that others should see; `kinds` look different to clients. */
  readonly changed: (id: string, kinds: readonly CapabilityKind[]) => Promise<void>;
}

/** How long nobody refreshes a gateway when the one who does dies. */
const LOCK_TTL_MS = 15_000;

/**
 * One refresh at a time for each gateway over all replicas (SPEC G-6). A request raises a number on the gateway's row; a
 * refresh notes it before its first page and covers every request up to it, on any replica, so a burst that waits for
 * its turn is one refresh. Without the common lock (Redis is away) each replica goes by its own, and the row decides.
 *
 *   requested -> waiting -> reading -> stored          waiting -> covered (somebody else's refresh began later)
 */
export class GatewayRefresh {
  private readonly own = new MemoryLocks();

  constructor(private readonly options: GatewayRefreshOptions) {}

  /** @throws CodedError NOT_FOUND, CONFLICT; UpstreamError; the reason of `signal` */
  async run(id: string, request: RefreshRequest, signal: AbortSignal): Promise<RefreshReport> {
    const started = performance.now();
    const number = await this.options.store.request(id, request.kinds);
    const lock = request.whenBusy === 'wait' ? await this.lock(id, signal) : await this.tryLock(id);
    if (!lock) {
      const message = 'a refresh of this gateway is running; its successor will cover this request, or ask again';
      throw new CodedError('CONFLICT', message, { retryAfterMs: 1_000 });
    }
    try {
      return await this.refresh(id, number, request, AbortSignal.any([signal, lock.signal]), started);
    } finally {
      await lock.release();
    }
  }

  private async refresh(
    id: string,
    number: bigint,
    { kinds, createdVia }: RefreshRequest,
    signal: AbortSignal,
    started: number,
  ): Promise<RefreshReport> {
    const { store, changed } = this.options;
    const since = (): number => Math.round(performance.now() - started);
    for (;;) {
      const seen = await store.pending(id);
      if (!seen) throw new CodedError('NOT_FOUND', `there is no gateway ${id}`);
      if (seen.refreshedSeq >= number) return coveredReport(since());
      // One that was never read completely is not known by a part of its lists.
      const asked = seen.record.lastRefreshAt === null ? REFRESH_KINDS : [...kinds, ...seen.kinds];
      const reading = await this.read(seen.record, recordKinds(asked), signal);
      signal.throwIfAborted(); // the lock may be somebody else's by now
      const stored = await store.commit(id, reading, seen, createdVia);
      if (!stored) continue; // gone, covered, or it leads elsewhere: then what is there has to be read
      if (stored.serverChanged || hasChanged(stored.changes)) await changed(id, visibleKinds(stored.changes));
      return reportOf(reading.capabilities, stored.changes, since());
    }
  }

  private async read(
    record: GatewayRecord,
    kinds: ReadonlySet<CapabilityKind>,
    signal: AbortSignal,
  ): Promise<ServerReading> {
    const { upstream, limits, targetOf } = this.options;
    const { pageTimeoutMs, totalTimeoutMs } = limits;
    const { name } = record;
    const target = targetOf(record);
    const late = (): Error =>
      new UpstreamError('UPSTREAM_TIMEOUT', `${name}: not read completely within ${totalTimeoutMs} ms`, {
        ...{ gateway: name, reason: 'timeout', execution: 'unknown' },
      });
    return withDeadline(totalTimeoutMs, signal, late, (limit) => {
      const work = async (session: UpstreamSession): Promise<ServerReading> => ({
        transport: target.transport,
        stateful: target.transport === 'sse' || session.sessionId !== undefined,
        server: session.server,
        capabilities: await readCapabilities(session, { pageTimeoutMs, signal: limit, kinds }),
      });
      return upstream.openUnpooled(target, 'refresh', work, limit);
    });
  }

  /** Its own replica's turn first: so those who wait here do not ask Redis for it at the same time. */
  private async lock(id: string, signal: AbortSignal): Promise<Lock> {
    const own = await this.own.acquire(id, LOCK_TTL_MS, signal);
    try {
      return both(own, await this.orNone(this.options.locks.acquire(nameOf(id), LOCK_TTL_MS, signal), signal));
    } catch (error) {
      await own.release();
      throw error;
    }
  }

  private async tryLock(id: string): Promise<Lock | undefined> {
    const own = await this.own.tryAcquire(id);
    if (!own) return undefined;
    let away = false;
    const common = await this.options.locks.tryAcquire(nameOf(id), LOCK_TTL_MS).catch(() => void (away = true));
    if (common || away) return both(own, common ?? undefined);
    await own.release();
    return undefined;
  }

  private orNone(acquiring: Promise<Lock>, signal: AbortSignal): Promise<Lock | undefined> {
    return acquiring.catch((error: unknown) => {
      if (signal.aborted) throw error;
      return undefined; // Redis is away
    });
  }
}

function nameOf(id: string): string {
  return `refresh:${id}`;
}

function both(own: Lock, common: Lock | undefined): Lock {
  if (!common) return own;
  return {
    signal: common.signal,
    release: async () => {
      await common.release();
      await own.release();
    },
  };
}
