import { afterEach, describe, expect, it } from '@jest/globals';
import { type McpTestServer } from '../support/mcp-server.js';
import { type Replica } from '../support/replica.js';
import { until } from '../support/until.js';
import { figures, type Outcome, percentile, pooled, poolOf, PoolWorld, user } from './pool-world.support.js';

const DEADLINE_MS = 300;
const RESET_MS = 600;
const THRESHOLD = 3;
/** For two loaded cores; a deadline that were not kept would be off by seconds. */
const SLACK_MS = 400;

const world = new PoolWorld();
afterEach(() => world.close());

/** A server that accepts and never answers, and one that is well, behind the same service. */
async function setUp(more = {}): Promise<{ hung: McpTestServer; replica: Replica }> {
  const [hung, well] = [await world.server(), await world.server({ jsonResponse: true })];
  const replica = await world.replica({
    CALL_TIMEOUT_SECONDS: String(DEADLINE_MS / 1000),
    MCP_SESSION_POOL_CREATE_TIMEOUT: '0.2', // known to have failed by the time that the caller is told
    MCP_SESSION_POOL_CLEANUP_TIMEOUT: '0.2',
    MCP_SESSION_POOL_CIRCUIT_BREAKER_THRESHOLD: String(THRESHOLD),
    MCP_SESSION_POOL_CIRCUIT_BREAKER_RESET: String(RESET_MS / 1000),
    ...more,
  });
  await world.gateway(replica, 'Hung', hung.mcpUrl);
  await world.gateway(replica, 'Well', well.mcpUrl);
  return { hung, replica };
}

const echo = (replica: Replica, gateway: 'hung' | 'well', who: string | number): Promise<Outcome> =>
  pooled(replica, user(who)).call(`${gateway}-echo`, { text: 'hello' });

function circuitOf(replica: Replica): { state?: string; failures?: number } {
  return (
    poolOf(replica)
      .circuits.snapshot()
      .find(({ gateway }) => gateway === 'Hung') ?? {}
  );
}

describe('a hung server (P-7, P-12)', () => {
  it('the caller gets UPSTREAM_TIMEOUT at its deadline, on a session that was there and on a new one', async () => {
    const { hung, replica } = await setUp({ MCP_SESSION_POOL_CREATE_TIMEOUT: '1' });
    await echo(replica, 'hung', 'known');
    hung.faults.stall = 'all';
    for (const who of ['known', 'new']) {
      const { code, ms, data } = await echo(replica, 'hung', who);
      expect(code).toBe('UPSTREAM_TIMEOUT');
      // The call on a session that was there may have run, so it must not be called retryable.
      expect(data?.['retryable']).toBe(who === 'new');
      figures(`hung server, ${who} session`, { 'deadline ms': DEADLINE_MS, 'answered after ms': ms });
      expect(ms).toBeGreaterThanOrEqual(DEADLINE_MS - 10);
      expect(ms).toBeLessThan(DEADLINE_MS + SLACK_MS);
    }
  });

  it('calls to another server are not slowed by 100 that hang', async () => {
    const { hung, replica } = await setUp({
      CALL_TIMEOUT_SECONDS: '20',
      MCP_SESSION_POOL_CREATE_TIMEOUT: '20',
      SHUTDOWN_DEADLINE_SECONDS: '1',
    });
    const probe = async (): Promise<number> => {
      const took: number[] = [];
      for (let call = 0; call < 100; call += 1) took.push((await echo(replica, 'well', 'steady')).ms);
      return percentile(took, 0.95);
    };
    await probe(); // warm
    const alone = await probe();
    hung.faults.stall = 'all';
    const hanging = Array.from({ length: 100 }, (_, who) => echo(replica, 'hung', who % 20));
    await hung.waitFor(({ stalled }) => stalled >= 100);
    const beside = await probe();
    figures('100 calls that hang beside it, p95 ms', { alone, beside });
    expect(beside).toBeLessThan(3 * alone + 50); // a call that waited for a hung one would take seconds
    await hung.stop();
    await Promise.all(hanging);
  });

  it('the breaker opens after the threshold, fails at once with the time left, and one probe closes it', async () => {
    // Wide limits: what is shown is the number of attempts, not how fast this machine is.
    const { hung, replica } = await setUp({ CALL_TIMEOUT_SECONDS: '5', MCP_SESSION_POOL_CREATE_TIMEOUT: '1' });
    hung.faults.stall = 'all';
    for (let attempt = 1; attempt <= THRESHOLD; attempt += 1) {
      expect((await echo(replica, 'hung', attempt)).code).toBe('UPSTREAM_TIMEOUT');
    }
    const opened = performance.now();
    expect(circuitOf(replica)).toMatchObject({ state: 'open', failures: THRESHOLD });

    const initialize = hung.stats.initialize;
    const refused = await Promise.all(Array.from({ length: 10 }, (_, who) => echo(replica, 'hung', who)));
    for (const { code, data, ms } of refused) {
      expect(code).toBe('CIRCUIT_OPEN');
      expect(data).toMatchObject({ retryable: true, gateway: 'Hung' });
      expect(data?.['retryAfterMs']).toBeGreaterThan(0);
      expect(data?.['retryAfterMs']).toBeLessThanOrEqual(RESET_MS);
      expect(ms).toBeLessThan(1_000); // at once, not after another attempt
    }
    expect(hung.stats.initialize).toBe(initialize);

    delete hung.faults.stall;
    hung.faults.initializeDelayMs = 500; // so that the others come while the probe is out
    await until(() => performance.now() - opened > RESET_MS + 20, { what: 'the reset time is over' });
    const probing = await Promise.all(Array.from({ length: 10 }, (_, who) => echo(replica, 'hung', who)));
    expect(hung.stats.initialize - initialize).toBe(1);
    expect(probing.filter(({ ok }) => ok)).toHaveLength(1);
    expect(new Set(probing.flatMap(({ code }) => code ?? []))).toEqual(new Set(['CIRCUIT_OPEN']));
    delete hung.faults.initializeDelayMs;
    expect((await Promise.all(probing.map((_, who) => echo(replica, 'hung', who)))).every(({ ok }) => ok)).toBe(true);
    expect(poolOf(replica).getMetrics().circuitBreakerTrips).toBe(1);
    figures('breaker', {
      threshold: THRESHOLD,
      'slowest refusal ms': Math.max(...refused.map(({ ms }) => ms)),
      'attempts while open': 0,
      probes: 1,
    });
  });

  it('a probe that fails keeps it open', async () => {
    const { hung, replica } = await setUp();
    hung.faults.stall = 'all';
    for (let attempt = 1; attempt <= THRESHOLD; attempt += 1) await echo(replica, 'hung', attempt);
    const opened = performance.now();
    const initialize = hung.stats.initialize;
    await until(() => performance.now() - opened > RESET_MS + 20, { what: 'the reset time is over' });
    expect((await echo(replica, 'hung', 'probe')).code).toBe('UPSTREAM_TIMEOUT');
    expect((await echo(replica, 'hung', 'next')).code).toBe('CIRCUIT_OPEN');
    expect(hung.stats.initialize - initialize).toBe(1);
  });

  it('the session that a call hung on does not hang the next one for its whole deadline once it has recovered', async () => {
    const { hung, replica } = await setUp();
    await echo(replica, 'hung', 'known');
    hung.faults.stall = 'all';
    await echo(replica, 'hung', 'known');
    delete hung.faults.stall;
    expect(await echo(replica, 'hung', 'known')).toMatchObject({ ok: true });
  });

  it('nothing hangs on to it: everything is given back, and close() keeps its time', async () => {
    const { hung, replica } = await setUp();
    await echo(replica, 'hung', 1);
    hung.faults.stall = 'all';
    await Promise.all(Array.from({ length: 20 }, (_, who) => echo(replica, 'hung', who)));
    expect(poolOf(replica).numbers).toMatchObject({ leased: 0, opening: 0, waiting: 0 });
    const started = performance.now();
    await replica.close();
    expect(performance.now() - started).toBeLessThan(3_000);
  });
});
