import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Injectable, Module, type OnModuleDestroy } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DataSource } from 'typeorm';
import { SettingsModule } from '../config/config.module.js';
import { loadSettings } from '../config/settings.js';
import { Database } from './database.js';
import { DatabaseModule } from './database.module.js';

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'module-'));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

/** Writes while it is being destroyed, as a drain does. */
@Injectable()
class LateWriter implements OnModuleDestroy {
  wrote = false;
  constructor(private readonly dataSource: DataSource) {}
  async onModuleDestroy(): Promise<void> {
    await this.dataSource.query('SELECT 1');
    this.wrote = true;
  }
}

function appModule(dataDir: string) {
  @Module({
    imports: [
      SettingsModule.forRoot(loadSettings({ DATA_DIR: dataDir })),
      DatabaseModule.forRoot({ entities: [], migrations: [] }),
    ],
    providers: [LateWriter],
  })
  class AppModule {}
  return AppModule;
}

describe('DatabaseModule', () => {
  it('provides Database and DataSource, and closes them after everybody else', async () => {
    const app = await NestFactory.createApplicationContext(appModule(join(dir, 'data')), { logger: false });
    const database = app.get(Database);
    expect(app.get(DataSource)).toBe(database.dataSource);
    expect(database.kind).toBe('embedded');
    await database.ping();
    const writer = app.get(LateWriter);
    await app.close();
    expect(writer.wrote).toBe(true);
    expect(database.dataSource.isInitialized).toBe(false);
  });

  it('lets the one-line StartupError through', async () => {
    const file = join(dir, 'file');
    await writeFile(file, '');
    const starting = NestFactory.createApplicationContext(appModule(file), { logger: false, abortOnError: false });
    await expect(starting).rejects.toMatchObject({
      name: 'StartupError',
      message: expect.stringContaining('DATA_DIR'),
    });
  });
});
