import { describe, expect, it } from '@jest/globals';
import { type Database } from '../database/database.js';
import { type RedisService } from '../redis/redis.service.js';
import { ReadinessService } from './readiness.service.js';

const fine = async (): Promise<void> => undefined;
const broken = (what: string) => (): Promise<never> => Promise.reject(new Error(what));

interface Parts {
  readonly database: () => Promise<void>;
  readonly pending: () => Promise<boolean>;
  readonly configured: boolean;
  readonly redis: () => Promise<void>;
}

function readiness(parts: Partial<Parts> = {}): ReadinessService {
  const { database = fine, pending = async () => false, configured = true, redis = fine } = parts;
  return new ReadinessService(
    { ping: database, pendingMigrations: pending } as unknown as Database,
    { configured, ping: redis } as unknown as RedisService,
  );
}

describe('GET /ready (§8)', () => {
  it('is ready when every part is', async () => {
    const ok = { ok: true };
    expect(await readiness().check()).toEqual({ status: 'ready', parts: { database: ok, migrations: ok, redis: ok } });
  });

  it('does not speak of a Redis that nobody configured', async () => {
    const { status, parts } = await readiness({ configured: false }).check();
    expect([status, Object.keys(parts)]).toEqual(['ready', ['database', 'migrations']]);
  });

  it.each<[string, Partial<Parts>, string]>([
    ['database', { database: broken('connection refused') }, 'connection refused'],
    ['migrations', { pending: async () => true }, 'migrations are pending'],
    ['migrations', { pending: broken('no table') }, 'no table'],
    ['redis', { redis: broken('no answer in 1000 ms') }, 'no answer in 1000 ms'],
  ])('A-11: is unready with the reason of %s, and tells the others all the same', async (name, part, reason) => {
    const { status, parts } = await readiness(part).check();
    expect(status).toBe('unready');
    expect(Object.entries(parts).filter(([, { ok }]) => !ok)).toEqual([[name, { ok: false, reason }]]);
    expect(Object.keys(parts)).toHaveLength(3);
  });

  it('takes a part that throws at once, or throws no error, as unready', async () => {
    const throws = (): never => {
      throw 'text' as unknown as Error;
    };
    const { parts } = await readiness({ database: throws }).check();
    expect(parts.database).toEqual({ ok: false, reason: 'text' });
  });

  it('A-10: turns red when the shutdown begins, and stays so', async () => {
    const service = readiness();
    service.markShuttingDown();
    const { status, parts } = await service.check();
    expect([status, parts.lifecycle]).toEqual(['unready', { ok: false, reason: 'shutting down' }]);
    expect((await service.check()).status).toBe('unready');
  });
});
