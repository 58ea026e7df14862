import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { type McpServerOptions, type McpTestServer } from '../support/mcp-server.js';
import { type Replica } from '../support/replica.js';
import { send } from '../support/rpc.js';
import { until } from '../support/until.js';
import { type Caller, figures, pooled, poolOf, PoolWorld, tab, user } from './pool-world.support.js';

const world = new PoolWorld();
let replica: Replica;
const gateways: string[] = [];

beforeAll(async () => {
  replica = await world.replica({
    MCP_SESSION_POOL_MAX_PER_KEY: '1', // so that each identity has one session, and sessions can be counted
    // While the server is down, attempts to reach it are refused; that is another story (pool-hung-server).
    MCP_SESSION_POOL_CIRCUIT_BREAKER_THRESHOLD: '1000',
    CALL_TIMEOUT_SECONDS: '10',
  });
});

afterEach(async () => {
  for (const id of gateways.splice(0)) await send('DELETE', `${replica.url}/gateways/${id}`);
});

afterAll(() => world.close());

async function serve(options: McpServerOptions = {}, transport = 'streamablehttp'): Promise<McpTestServer> {
  const server = await world.server(options);
  const url = transport === 'sse' ? server.sseUrl : server.mcpUrl;
  gateways.push(await world.gateway(replica, 'Demo', url, { transport }));
  return server;
}

/** Four identities and three tabs, each with its session at the server. */
async function everybody(): Promise<Caller[]> {
  const callers = [1, 2, 3, 4].map((name) => pooled(replica, user(name)));
  for (const name of [1, 1, 2]) callers.push(await tab(replica, user(name)));
  await Promise.all(callers.map((caller) => caller.must('demo-echo', { text: 'warm' })));
  return callers;
}

describe.each([
  ['JSON answers', { jsonResponse: true }, 'streamablehttp'],
  ['event streams', { jsonResponse: false }, 'streamablehttp'],
  ['HTTP+SSE', {}, 'sse'],
] as const)('a server that is restarted (P-9), %s', (what, options, transport) => {
  it('idle sessions: calls after it succeed with one initialize for each session', async () => {
    const server = await serve(options, transport);
    const callers = await everybody();
    const before = server.stats.initialize;
    await server.restart();
    const calls = Array.from({ length: 70 }, (_, call) =>
      (callers[call % callers.length] as Caller).must('demo-echo', { text: String(call) }),
    );
    expect(await Promise.all(calls)).toEqual(calls.map((_, call) => String(call)));
    const initialize = server.stats.initialize - before;
    figures(`restart, ${what}`, { 'calls after it': 70, failed: 0, sessions: callers.length, initialize });
    expect(initialize).toBe(callers.length);
  });

  it('calls in flight that change state fail and are not run twice', async () => {
    const server = await serve(options, transport);
    const callers = await everybody();
    const ran = server.stats.calls['gate'] ?? 0;
    const inFlight = callers.map((caller) => caller.call('demo-gate'));
    await server.waitFor(({ atGate }) => atGate === callers.length);
    await server.restart();
    const outcomes = await Promise.all(inFlight);
    for (const { ok, code, data } of outcomes) {
      expect([ok, code, data?.['retryable']]).toEqual([false, 'UPSTREAM_INTERRUPTED', false]);
    }
    await Promise.all(callers.map((caller) => caller.must('demo-echo', { text: 'after' })));
    expect((server.stats.calls['gate'] ?? 0) - ran).toBe(callers.length);
  });

  it('in the middle of load: only what was on its way may fail, nothing runs twice, what comes after succeeds', async () => {
    const server = await serve(options, transport);
    const callers = await everybody();
    const made: { callId: string; ok: boolean; code: string | undefined; after: boolean }[] = [];
    let restarted = false;
    const load = callers.map(async (caller, who) => {
      for (let number = 0, more = 20; more > 0; number += 1) {
        if (restarted) more -= 1;
        const [callId, after] = [`${who}-${number}`, restarted];
        const { ok, code } = await caller.call('demo-counter', { callId });
        made.push({ callId, ok, code, after });
      }
    });
    await until(() => made.length >= 70, { what: 'the load is on' });
    await server.stop();
    const initialize = server.stats.initialize;
    await server.start();
    restarted = true;
    await Promise.all(load);

    const failed = made.filter(({ ok }) => !ok);
    expect(made.filter(({ callId }) => server.executionsOf(callId) > 1)).toEqual([]);
    expect(made.filter(({ ok, callId }) => ok && server.executionsOf(callId) !== 1)).toEqual([]);
    expect(failed.filter(({ after }) => after)).toEqual([]);
    const reopened = server.stats.initialize - initialize;
    expect(reopened).toBe(callers.length);
    const codes = [...new Set(failed.map(({ code }) => code))].join(' ') || 'none';
    figures(`under load, ${what}`, { calls: made.length, failed: failed.length, codes, twice: 0, reopened });
  });
});

describe('a server that has forgotten its sessions (P-9)', () => {
  it.each([404, 400] as const)('says %i: no call fails, not even one that changes state', async (status) => {
    const server = await serve();
    server.faults.unknownSession = status;
    const callers = await everybody();
    const before = { ...server.stats };
    server.dropSessions();
    await Promise.all(
      callers.map(async (caller, who) => {
        const callId = `${status}-${who}`;
        expect(await caller.must('demo-counter', { callId })).toBe('1');
        expect(server.executionsOf(callId)).toBe(1);
      }),
    );
    expect(server.stats.initialize - before.initialize).toBe(callers.length);
    figures(`forgotten sessions, ${status}`, { calls: callers.length, failed: 0, initialize: callers.length });
  });

  it('10 parallel calls of a tab on it are one new session', async () => {
    const server = await serve();
    const one = await tab(replica);
    await one.must('demo-counter');
    const before = server.stats.initialize;
    server.dropSessions();
    const counted = await Promise.all(Array.from({ length: 10 }, () => one.must('demo-counter')));
    expect(counted.map(Number).sort((a, b) => a - b)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    expect(server.stats.initialize - before).toBe(1);
    expect(poolOf(replica).getMetrics()).toMatchObject({ stateLost: expect.any(Number) });
  });

  it.each(['pooled', 'bound'])('P-10: a %s session is found dead by its health check: no call fails', async (kind) => {
    const server = await world.server();
    const checking = await world.replica({ MCP_SESSION_POOL_HEALTH_CHECK_INTERVAL: '0' });
    await world.gateway(checking, `Checked ${kind}`, server.mcpUrl);
    const caller = kind === 'bound' ? await tab(checking) : pooled(checking);
    const tool = `checked-${kind}-counter`;
    await caller.must(tool);
    await caller.must(tool);
    const before = { ...server.stats, pings: server.stats.requests['ping'] ?? 0 };
    expect(before.pings).toBeGreaterThan(0);
    server.dropSessions();
    expect(await caller.must(tool, { callId: kind })).toBe('1');
    expect([server.executionsOf(kind), server.stats.initialize - before.initialize]).toEqual([1, 1]);
    expect(poolOf(checking).getMetrics().healthCheckFailures).toBe(1);
  });
});

describe('an answer that is cut off (P-9)', () => {
  it.each([
    ['pooled', async () => pooled(replica)],
    ['bound', () => tab(replica)],
  ])('a %s call marked readOnlyHint is repeated once, and no more', async (kind, make) => {
    const server = await serve();
    const caller = await make();
    await caller.must('demo-echo', { text: 'warm' });
    const once = caller.call('demo-slow', { ms: 100 });
    await server.waitFor(({ calls, executions }) => calls['slow'] === 1 && executions === 2);
    server.cutStreams('post');
    expect(await once).toMatchObject({ ok: true, text: 'took 100 ms' });
    expect(server.stats.calls['slow']).toBe(2);

    const twice = caller.call('demo-slow', { ms: 5_000 });
    await server.waitFor(({ calls, executions }) => calls['slow'] === 3 && executions === 4);
    server.cutStreams('post');
    await server.waitFor(({ calls, executions }) => calls['slow'] === 4 && executions === 5);
    server.cutStreams('post');
    expect(await twice).toMatchObject({ ok: false, code: 'UPSTREAM_INTERRUPTED' });
    expect(server.stats.calls['slow']).toBe(4);
    figures(`cut off, ${kind}`, { 'runs, cut once': 2, 'runs, cut twice': 2 });
  });

  it('one that changes state is never repeated', async () => {
    const server = await serve();
    const caller = pooled(replica);
    const call = caller.call('demo-gate');
    await server.waitFor(({ atGate }) => atGate === 1);
    server.cutStreams('post');
    expect(await call).toMatchObject({ ok: false, code: 'UPSTREAM_INTERRUPTED' });
    await caller.must('demo-echo', { text: 'after' });
    expect(server.stats.calls['gate']).toBe(1);
  });
});
