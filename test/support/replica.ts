import { mkdtemp, rm } from 'node:fs/promises';
import { type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type NestExpressApplication } from '@nestjs/platform-express';
import { createApp } from '../../src/app/create-app.js';
import { Shutdown } from '../../src/app/shutdown.js';
import { loadSettings, type Settings } from '../../src/config/settings.js';
import { createLog, type Log } from '../../src/logging/logger.js';

/** A fixed key, so that a second replica on the same database can read what the first has sealed. */
export const TEST_ENCRYPTION_KEY = Buffer.alloc(32, 7).toString('base64');

export interface Replica {
  readonly url: string;
  readonly app: NestExpressApplication;
  readonly settings: Settings;
  /** What it logged, a JSON object a line. */
  readonly logLines: readonly Record<string, unknown>[];
  /** The graceful end. */
  close(): Promise<void>;
}

let count = 0;

/**
 * A whole service in this process, on a free port, with an id of its own.
 *
 * @param env settings by their names in the environment; without DATABASE_URL it has an embedded database in a
 *   temporary directory (or in DATA_DIR, which is then kept)
 */
export async function startReplica(env: Readonly<Record<string, string>> = {}): Promise<Replica> {
  const dataDir = env['DATA_DIR'] ?? (await mkdtemp(join(tmpdir(), 'replica-')));
  const settings = loadSettings({
    PORT: '0',
    LOG_LEVEL: 'debug',
    // Tests count at their servers: nobody but them talks to these unless they want it.
    GATEWAY_WATCH_ENABLED: 'false',
    HEALTH_CHECK_INTERVAL: '3600', // tests count what servers are asked; the loop has its own
    REPLICA_ID: `test:${process.pid}:${(count += 1)}`,
    ...(env['DATABASE_URL'] === undefined ? {} : { ENCRYPTION_KEY: TEST_ENCRYPTION_KEY }),
    ...env,
    DATA_DIR: dataDir,
  });
  const logLines: Record<string, unknown>[] = [];
  const log: Log = createLog(settings, {
    write: (line) => void logLines.push(JSON.parse(line) as Record<string, unknown>),
  });
  const app = await createApp(settings, log);
  await app.listen(0, '127.0.0.1');
  const { port } = app.getHttpServer().address() as AddressInfo;
  const shutdown = new Shutdown(app, settings, log);
  return {
    url: `http://127.0.0.1:${port}`,
    app,
    settings,
    logLines,
    close: async () => {
      await shutdown.run('the test ends');
      if (env['DATA_DIR'] === undefined) await rm(dataDir, { recursive: true, force: true });
    },
  };
}
