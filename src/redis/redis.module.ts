import { Global, Inject, Module, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import { SETTINGS } from '../config/config.module.js';
import { type Settings } from '../config/settings.js';
import { type Log, LOG } from '../logging/logger.js';
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
  ],
  exports: [RedisService, Locks],
})
export class RedisModule implements OnModuleInit, OnApplicationShutdown {
  constructor(@Inject(RedisService) private readonly redis: RedisService) {}

  onModuleInit(): void {
    this.redis.start();
  }

  async onApplicationShutdown(): Promise<void> {
    await this.redis.close();
  }
}
