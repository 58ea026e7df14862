// A database of its own on a real PostgreSQL: that of DATABASE_URL, else one that is found or started as for the tests.
import { randomBytes } from 'node:crypto';
import { query } from '../test/support/servers/probe.mjs';
import { providePostgres } from '../test/support/servers/provide.mjs';

export async function freshDatabase() {
  const server = await providePostgres();
  const name = `bench_${randomBytes(6).toString('hex')}`;
  await query(server.url, `CREATE DATABASE ${name} TEMPLATE template0`);
  const url = new URL(server.url);
  url.pathname = `/${name}`;
  return {
    url: url.toString(),
    drop: async () => {
      await query(server.url, `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
      await server.stop();
    },
  };
}
