import {
  Global,
  Inject,
  Module,
  type OnApplicationBootstrap,
  type OnApplicationShutdown,
  type OnModuleDestroy,
  type OnModuleInit,
} from '@nestjs/common';
import { SETTINGS } from '../config/config.module.js';
import { type Settings } from '../config/settings.js';
import { type Log, LOG } from '../logging/logger.js';
import { GatewayLeader } from './gateway-leader.js';
import { Locks, MemoryLocks } from './locks.js';
import { RedisLocks } from './redis-locks.js';
import { RedisService } from './redis.service.js';

@Global()
@Module({
  providers: [
    {
      provide: RedisService,
      inject: [SETTINGS, LOG],
      useFactory: (settings: Settings, log: Log) => new RedisService(settings.REDIS_URL, log),
    },
    {
      provide: Locks,
      inject: [SETTINGS, RedisService],
      useFactory: ({ REDIS_KEY_PREFIX: keyPrefix }: Settings, { client }: RedisService): Locks =>
        client ? new RedisLocks(client, { keyPrefix }) : new MemoryLocks(),
    },
    { provide: GatewayLeader, inject: [Locks], useFactory: (locks: Locks) => new GatewayLeader(locks) },
  ],
  exports: [RedisService, Locks, GatewayLeader],
})
export class RedisModule implements OnModuleInit, OnApplicationBootstrap, OnModuleDestroy, OnApplicationShutdown {
  constructor(
    @Inject(RedisService) private readonly redis: RedisService,
    @Inject(GatewayLeader) private readonly leader: GatewayLeader,
  ) {}

  onModuleInit(): void {
    this.redis.start();
  }

  onApplicationBootstrap(): void {
    this.leader.start();
  }

  /** While Redis is still there to give the lock back to. */
  async onModuleDestroy(): Promise<void> {
    await this.leader.stop();
  }

  async onApplicationShutdown(): Promise<void> {
    await this.redis.close();
  }
}
