import { type DynamicModule, Module } from '@nestjs/common';
import { type Log, LOG } from './logger.js';

@Module({})
export class LoggingModule {
  static forRoot(log: Log): DynamicModule {
    return { module: LoggingModule, global: true, providers: [{ provide: LOG, useValue: log }], exports: [LOG] };
  }
}
