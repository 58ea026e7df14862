import { MIGRATIONS } from '../../migrations/index.js';
import { ENTITIES } from '../catalogue/index.js';
import { loadSettings } from '../config/settings.js';
import { openDatabase } from '../database/open-database.js';

/** Opens the database, which runs what is pending under a lock, and closes it. */
export async function migrate(
  env: Readonly<Record<string, string | undefined>>,
  print: (line: string) => void,
): Promise<void> {
  const settings = loadSettings(env);
  const database = await openDatabase({
    url: settings.DATABASE_URL,
    dataDir: settings.DATA_DIR,
    poolSize: 1,
    connectTimeoutMs: settings.DATABASE_CONNECT_TIMEOUT_SECONDS,
    entities: ENTITIES,
    migrations: MIGRATIONS,
  });
  await database.close();
  print(`the schema is up to date (${database.kind})`);
}
