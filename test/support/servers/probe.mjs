/** Does a server let us in, and may we do what the tests need? By real clients. */
import { Redis } from 'ioredis';
import pg from 'pg';

const CONNECT_TIMEOUT_MS = 2_000;

/** Runs one statement on a connection of its own. @param {string} url @param {string} sql @returns {Promise<any[]>} */
export async function query(url, sql) {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: CONNECT_TIMEOUT_MS });
  client.on('error', () => undefined); // a lost connection fails the query; the event must not end the process
  try {
    await client.connect();
    return (await client.query(sql)).rows;
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** Why a PostgreSQL server cannot be used, or undefined. @param {string} url @returns {Promise<string | undefined>} */
export async function postgresProblem(url) {
  try {
    const sql = 'select rolname, rolsuper or rolcreatedb as allowed from pg_roles where rolname = current_user';
    const [role] = await query(url, sql);
    return role.allowed ? undefined : `the role ${role.rolname} may not create databases`;
  } catch (error) {
    return messageOf(error);
  }
}

/** Runs `work` on a connection of its own. @template T @param {string} url @param {(redis: Redis) => Promise<T>} work */
export async function withRedis(url, work) {
  const redis = new Redis(url, {
    lazyConnect: true,
    connectTimeout: CONNECT_TIMEOUT_MS,
    commandTimeout: CONNECT_TIMEOUT_MS,
    maxRetriesPerRequest: 0,
    retryStrategy: () => null,
    disconnectTimeout: 100, // or a closed connection keeps a timer for 2 s
  });
  let cause = '';
  redis.on('error', (error) => (cause = messageOf(error))); // connect() itself only says that the connection is closed
  try {
    await redis.connect();
    return await work(redis);
  } catch (error) {
    throw new Error(cause || messageOf(error), { cause: error });
  } finally {
    redis.disconnect();
  }
}

/** Why a Redis server cannot be used, or undefined. @param {string} url @returns {Promise<string | undefined>} */
export async function redisProblem(url) {
  try {
    await withRedis(url, (redis) => redis.ping());
    return undefined;
  } catch (error) {
    return messageOf(error);
  }
}

/**
 * By its shape, because in Jest an error of Node's core is no instance of the `Error` of a test file; an AggregateError of
 * the network layer has no message of its own.
 *
 * @param {unknown} error @returns {string}
 */
function messageOf(error) {
  const { message, errors } = /** @type {{ message?: string, errors?: unknown[] }} */ (Object(error));
  return errors?.map(messageOf).join(', ') || message || String(error);
}
