import { Inject, Injectable } from '@nestjs/common';
import { Database } from '../database/database.js';
import { RedisService } from '../redis/redis.service.js';

export interface PartState {
  readonly ok: boolean;
  /** Why not; for operators, never a secret. */
  readonly reason?: string;
}

export interface Readiness {
  readonly status: 'ready' | 'unready';
  readonly parts: Readonly<Record<string, PartState>>;
}

/** Whether this replica should get requests, part by part. */
@Injectable()
export class ReadinessService {
  private shuttingDown = false;

  constructor(
    @Inject(Database) private readonly database: Database,
    @Inject(RedisService) private readonly redis: RedisService,
  ) {}

  /** From now on unready: the balancer should stop sending before we stop taking (SPEC A-10). */
  markShuttingDown(): void {
    this.shuttingDown = true;
  }

  async check(): Promise<Readiness> {
    const [database, migrations, redis] = await Promise.all([
      state(() => this.database.ping()),
      state(async () => {
        if (await this.database.pendingMigrations()) throw new Error('migrations are pending');
      }),
      state(() => this.redis.ping()),
    ]);
    const parts: Record<string, PartState> = { database, migrations };
    if (this.redis.configured) parts.redis = redis;
    if (this.shuttingDown) parts.lifecycle = { ok: false, reason: 'shutting down' };
    return { status: Object.values(parts).every((part) => part.ok) ? 'ready' : 'unready', parts };
  }
}

async function state(probe: () => Promise<unknown>): Promise<PartState> {
  try {
    await probe();
    return { ok: true };
  } catch (error) {
    return { ok: false, reason: error instanceof Error ? error.message : String(error) };
  }
}
