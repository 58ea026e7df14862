import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import { type AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import { request } from 'undici';
import { Dispatchers } from './dispatchers.js';

/** More than any power of two that a cap would have been. */
const REQUESTS = 1_100;

const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

describe('Dispatchers', () => {
  it.each(['call', 'stream'] as const)(
    'P-7 has no cap of its own: 1,100 requests of a %s to one origin are under way at once',
    async (use) => {
      const open: ServerResponse[] = [];
      // Nobody is answered before everybody is there.
      const server = createServer((_req, res) => {
        if (open.push(res) === REQUESTS) for (const one of open) one.end('ok');
      });
      await once(server.listen(0, '127.0.0.1', REQUESTS), 'listening');
      const dispatchers = new Dispatchers({ connectTimeoutMs: 10_000 });
      ends.push(
        () => server.close(),
        () => server.closeAllConnections(),
        () => dispatchers.close(),
      );
      const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
      const dispatcher = dispatchers.for(undefined, use);
      const answers = Array.from({ length: REQUESTS }, async () => {
        const { body } = await request(url, { dispatcher });
        return body.text();
      });
      expect(new Set(await Promise.all(answers))).toEqual(new Set(['ok']));
    },
    60_000,
  );
});
