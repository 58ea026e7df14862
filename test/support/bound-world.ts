import { setMaxListeners } from 'node:events';
import { afterEach } from '@jest/globals';
import { sha256Hex } from '../../src/common/principal.js';
import { UpstreamError } from '../../src/upstream/upstream.errors.js';
import {
  type EndResult,
  type Target,
  type UpstreamReply,
  type UpstreamSession,
} from '../../src/upstream/upstream.port.js';
import { type BoundOwner, type BoundUse } from '../../src/session-pool/bound-owner.js';
import { BoundSessions } from '../../src/session-pool/bound-sessions.js';
import { BoundedPool } from '../../src/session-pool/bounded-pool.js';
import { PoolKey } from '../../src/session-pool/pool-key.js';
import { type Deferred, deferred } from './deferred.js';

/** Bound sessions over the real pool, without servers. */

/** A session without a server: the test loses it by hand. */
export class FakeSession implements UpstreamSession {
  readonly server = { protocolVersion: '2025-11-25', capabilities: {}, serverInfo: {} };
  lost?: UpstreamError;
  closed = 0;

  constructor(
    readonly serial: number,
    readonly sessionId: string | undefined,
    readonly transport: 'streamablehttp' | 'sse',
  ) {}

  request(): Promise<UpstreamReply> {
    throw new Error('not called here');
  }
  async notify(): Promise<void> {}
  async respond(): Promise<void> {}
  onMessage(): void {}
  async close(): Promise<EndResult> {
    this.closed += 1;
    return 'terminated';
  }
}

export const target = (gatewayId: string, url = `http://${gatewayId}/mcp`): Target => ({
  gatewayId,
  gatewayName: `name of ${gatewayId}`,
  url,
  transport: 'streamablehttp',
  credentials: { headers: () => ({}) },
});
const ANN = sha256Hex('ann');
export const useOf = (session: string, gateway: Target, owner?: BoundOwner): BoundUse => ({
  key: PoolKey.bound(ANN, sha256Hex(session), gateway),
  sessionHash: sha256Hex(session),
  ...(owner ? { owner } : {}),
});
export const forever = new AbortController().signal;
setMaxListeners(0, forever);
export const lost = (): UpstreamError => new UpstreamError('UPSTREAM_SESSION_LOST', 'gone', { execution: 'none' });
export const never = (): boolean => false;
export const always = (): boolean => true;

interface Options {
  sessionId?: string;
  transport?: 'streamablehttp' | 'sse';
  /** How long a slot waits for its session. */
  acquireMs?: number;
}

/** Bound sessions over the real pool, whose openings the test holds in its hand. */
export function makeWorld({ sessionId = 'upstream', transport = 'streamablehttp', acquireMs }: Options = {}) {
  const opened: FakeSession[] = [];
  const world = { time: 0, opening: async (_key: PoolKey): Promise<void> => undefined, opened, fakeId: sessionId };
  const pool = new BoundedPool<PoolKey, FakeSession>({
    maxPerKey: 1,
    maxTotal: 100,
    maxPerGroup: 100,
    maxKeys: 0,
    maxLeasesPerResource: 1,
    ttlMs: 1_000,
    starvingMs: 1e9,
    now: () => world.time,
    create: async (key) => {
      await world.opening(key);
      const session = new FakeSession(opened.length + 1, world.fakeId === '' ? undefined : world.fakeId, transport);
      opened.push(session);
      return session;
    },
    destroy: async (session) => void (await session.close()),
    isUsable: (session) => session.lost === undefined,
  });
  const bound = new BoundSessions({
    acquire: (key) => pool.acquire(key, acquireMs === undefined ? forever : AbortSignal.timeout(acquireMs), 'bound'),
    abandon: (key) => pool.evictKey(key),
    now: () => world.time,
  });
  pools.push(pool);
  return { pool, bound, world };
}

const pools: BoundedPool<PoolKey, FakeSession>[] = [];
afterEach(async () => {
  for (const pool of pools.splice(0)) await pool.close(0);
});

/** A call that stays on its session until the test ends it. */
export function hold(bound: BoundSessions, use: BoundUse, discards = never) {
  const gate: Deferred<void> = deferred();
  const entered: Deferred<FakeSession> = deferred();
  const done = bound.use(
    use,
    async (session) => {
      entered.resolve(session as FakeSession);
      await gate.promise;
      return session as FakeSession;
    },
    forever,
    discards,
  );
  done.catch(() => undefined);
  return { entered: entered.promise, done, finish: () => gate.resolve(), fail: (why: Error) => gate.reject(why) };
}

export const serialOf = async (session: UpstreamSession): Promise<number> => (session as FakeSession).serial;
export const call = (bound: BoundSessions, use: BoundUse, signal = forever): Promise<number> =>
  bound.use(use, serialOf, signal, never);
