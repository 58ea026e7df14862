import { afterAll, describe, expect, it } from '@jest/globals';
import { send } from '../support/rpc.js';
import { until } from '../support/until.js';
import { pooled, poolOf, PoolWorld, tab } from './pool-world.support.js';

const world = new PoolWorld();
afterAll(() => world.close());

const JSON_BODY = { 'content-type': 'application/json' };

/** Calls that wait for a session, whose server was asked to initialize it and does not answer. */
async function waiting(how: 'pooled' | 'bound') {
  const server = await world.server();
  const replica = await world.replica({ MCP_SESSION_POOL_MAX_PER_KEY: '4' });
  const name = `gw${Math.random().toString(36).slice(2, 8)}`;
  const auth = { type: 'bearer', token: 'old' };
  const id = await world.gateway(replica, name, server.mcpUrl, { auth });
  const caller = how === 'pooled' ? pooled(replica) : await tab(replica);
  server.faults.initializeDelayMs = 60_000;
  const calls = how === 'pooled' ? 3 : 1; // each is one opening
  const outcomes = Array.from({ length: calls }, () => caller.call(`${name}-whoami`));
  await until(() => poolOf(replica).numbers.waiting === calls, { what: 'calls wait' });
  await server.waitFor(({ requests }) => requests['initialize'] === 1 + calls);
  delete server.faults.initializeDelayMs;
  const change = (method: string, body?: unknown) =>
    send(method, `${replica.url}/gateways/${id}`, JSON_BODY, JSON.stringify(body));
  return { server, calls, outcomes: Promise.all(outcomes), change };
}

describe.each(['pooled', 'bound'] as const)(
  'a gateway that changes while %s calls wait for a session (P-14)',
  (how) => {
    it('new credentials: they open a session with these, and do not wait for the old opening', async () => {
      const { outcomes, change } = await waiting(how);
      expect((await change('PATCH', { auth: { type: 'bearer', token: 'new' } })).status).toBe(200);
      for (const { ok, text, ms } of await outcomes) {
        expect([ok, text]).toEqual([true, expect.stringContaining('Bearer new')]);
        expect(ms).toBeLessThan(20_000); // CREATE_TIMEOUT of the old opening: 30 s
      }
    });

    it('new URL: they are run there', async () => {
      const { server, calls, outcomes, change } = await waiting(how);
      const moved = await world.server();
      expect((await change('PATCH', { url: moved.mcpUrl })).status).toBe(200);
      expect((await outcomes).map(({ ok }) => ok)).toEqual(Array(calls).fill(true));
      expect([server.stats.calls['whoami'], moved.stats.calls['whoami']]).toEqual([undefined, calls]);
    });

    it('deleted: they are told so', async () => {
      const { server, calls, outcomes, change } = await waiting(how);
      expect((await change('DELETE')).status).toBe(204);
      expect((await outcomes).map(({ code }) => code)).toEqual(Array(calls).fill('NOT_FOUND'));
      expect(server.stats.calls['whoami']).toBeUndefined();
    });
  },
);
