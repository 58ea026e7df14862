import { type Logger } from 'typeorm';

/**
 * TypeORM's own logger prints on the console, past our JSON log. Failures reach the caller as errors anyway; only what
 * TypeORM keeps to itself is handed on.
 */
export class TypeOrmLogger implements Logger {
  constructor(private readonly warn: (line: string) => void) {}

  log(level: 'log' | 'info' | 'warn', message: unknown): void {
    if (level === 'warn') this.warn(String(message));
  }

  logQuery(): void {}
  logQueryError(): void {}
  logQuerySlow(): void {}
  logSchemaBuild(): void {}
  logMigration(): void {}
}
