/** Starts a Redis, tells where it is, and waits to be killed (services.spec.ts). */
import { withRedis } from './probe.mjs';
import { startRedis } from './start.mjs';

const { url } = await startRedis();
const directory = await withRedis(url, (redis) => redis.config('GET', 'dir'));
process.send?.({ url, directory: /** @type {string[]} */ (directory)[1] }, () => undefined);
setTimeout(() => process.exit(1), 60_000);
