import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type McpTestServer } from '../support/mcp-server.js';
import { type Replica } from '../support/replica.js';
import { until } from '../support/until.js';
import { bearer, TEST_JWT_SECRET } from '../support/tokens.js';
import { type Caller, figures, type Outcome, pooled, PoolWorld, tab } from './pool-world.support.js';

const USERS = 10;
const CALLS_EACH = 10;
const MAX_PER_KEY = 3;

const world = new PoolWorld();
let replica: Replica;
let server: McpTestServer;

beforeAll(async () => {
  server = await world.server();
  replica = await world.replica({
    AUTH_MODE: 'jwt',
    JWT_SECRET: TEST_JWT_SECRET,
    MCP_SESSION_POOL_MAX_PER_KEY: String(MAX_PER_KEY),
  });
  await world.gateway(replica, 'Demo', server.mcpUrl, {}, await bearer('root', { scope: 'admin' }));
});

afterAll(() => world.close());

interface Seen {
  readonly sessionId: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** Every call has a token of its own, as a client whose token rotates. */
async function callAs(subject: string, tool: string, args: unknown, own = {}): Promise<Outcome> {
  return pooled(replica, await bearer(subject)).call(tool, args, own);
}

const everybody = Array.from({ length: USERS * CALLS_EACH }, (_, call) => ({
  subject: `user-${call % USERS}`,
  // What the server sees of this one call, and of no other.
  traceparent: `00-${String(call + 1).padStart(32, '0')}-${'b7ad6b7169203331'}-01`,
}));

describe('100 parallel calls of 10 identities (P-6, P-7)', () => {
  it('every answer belongs to its call, and no session serves two users', async () => {
    const before = server.stats.initialize;
    const sessionsOf = new Map<string, Set<string>>();
    const ownerOf = new Map<string, string>();
    await Promise.all(
      everybody.map(async ({ subject, traceparent }) => {
        const answer = await callAs(subject, 'demo-whoami', {}, { traceparent });
        const seen = JSON.parse(answer.text) as Seen;
        expect(seen.headers['traceparent']).toBe(traceparent);
        expect(JSON.stringify(seen.headers)).not.toMatch(/Bearer|user-\d/); // P-16: nothing of the client's goes on
        expect(ownerOf.get(seen.sessionId) ?? subject).toBe(subject);
        ownerOf.set(seen.sessionId, subject);
        sessionsOf.set(subject, (sessionsOf.get(subject) ?? new Set()).add(seen.sessionId));
      }),
    );
    const most = Math.max(...[...sessionsOf.values()].map((sessions) => sessions.size));
    const opened = server.stats.initialize - before;
    figures('100 calls of 10 identities', { 'sessions opened': opened, 'most of one identity': most, 'cross-talk': 0 });
    expect(sessionsOf.size).toBe(USERS);
    expect(most).toBeLessThanOrEqual(MAX_PER_KEY);
    expect(opened).toBeLessThanOrEqual(USERS * MAX_PER_KEY);
  });

  it('under pressure each identity has exactly its cap of sessions, and everybody is served in the end', async () => {
    let answered = 0;
    const asked = everybody.map(async ({ subject }, call) => {
      const text = `${subject} ${call}`;
      const answer = await callAs(subject, 'demo-gate', { text });
      answered += 1;
      return answer.text === text;
    });
    for (let wave = 0; answered < everybody.length; wave += 1) {
      const inWave = Math.min(USERS * MAX_PER_KEY, everybody.length - answered);
      await server.waitFor(({ atGate }) => atGate === inWave);
      if (wave === 0) expect(server.stats.openSessions).toBe(USERS * MAX_PER_KEY);
      const done = answered + inWave;
      server.openGate();
      await until(() => answered >= done, { what: `${done} answers` });
    }
    expect((await Promise.all(asked)).every(Boolean)).toBe(true);
    expect(server.stats.openSessions).toBe(USERS * MAX_PER_KEY);
    figures('held at the gate', {
      'at once': USERS * MAX_PER_KEY,
      answered,
      'open sessions': server.stats.openSessions,
    });
  });
});

describe('tabs of one user on a server that keeps state (P-4)', () => {
  const count = async (client: Caller): Promise<number> => Number(await client.must('demo-counter'));

  it('each counts alone, in turn and with 50 interleaved calls', async () => {
    const [first, second] = [await tab(replica, await bearer('ann')), await tab(replica, await bearer('ann'))];
    const before = server.stats.initialize;
    expect([await count(first), await count(first), await count(second), await count(first)]).toEqual([1, 2, 1, 3]);
    const both = Array.from({ length: 50 }, (_, call) => count(call % 2 === 0 ? first : second));
    const counted = await Promise.all(both);
    const ofTab = (rest: number): number[] => counted.filter((_, call) => call % 2 === rest).sort((a, b) => a - b);
    expect(ofTab(0)).toEqual(Array.from({ length: 25 }, (_, n) => n + 4));
    expect(ofTab(1)).toEqual(Array.from({ length: 25 }, (_, n) => n + 2));
    expect(server.stats.initialize - before).toBe(2);
    figures('2 tabs, 50 interleaved calls', { 'sessions opened': 2, 'tab 1 counted to': 28, 'tab 2 counted to': 26 });
  });

  it('20 parallel first calls of a tab are one session, of a user with 2 tabs two', async () => {
    const before = server.stats.initialize;
    const tabs = [await tab(replica, await bearer('eve')), await tab(replica, await bearer('eve'))] as const;
    const counted = await Promise.all(Array.from({ length: 40 }, (_, call) => count(tabs[call % 2 === 0 ? 0 : 1])));
    expect([...counted].sort((a, b) => a - b)).toEqual(Array.from({ length: 40 }, (_, n) => Math.floor(n / 2) + 1));
    expect(server.stats.initialize - before).toBe(2);
  });

  it('a session ends with its tab', async () => {
    const before = { ...server.stats };
    const one = await tab(replica, await bearer('bob'));
    await count(one);
    await one.end();
    await server.waitFor(({ deletes }) => deletes === before.deletes + 1);
    expect(server.stats.openSessions).toBe(before.openSessions);
  });
});
