import { describe, expect, it } from '@jest/globals';
import { type CircuitAttempt, CircuitBreaker, CircuitOpenError } from './circuit-breaker.js';

/** Three failures open it for a second, on a clock that the test holds. */
function makeBreaker(threshold = 3) {
  const clock = { time: 50_000 };
  const breaker = new CircuitBreaker({ threshold, resetMs: 1_000, now: () => clock.time });
  const enter = (): CircuitAttempt => breaker.enter('weather');
  const fail = (times: number): void => {
    for (let time = 0; time < times; time++) enter().failed('UPSTREAM_UNAVAILABLE');
  };
  return { breaker, clock, enter, fail };
}

function refusalOf(enter: () => unknown): CircuitOpenError {
  try {
    enter();
  } catch (error) {
    if (error instanceof CircuitOpenError) return error;
    throw error;
  }
  throw new Error('it was let through');
}

describe('CircuitBreaker (P-12)', () => {
  it('opens at the threshold and not before', () => {
    const { breaker, fail } = makeBreaker();
    fail(2);
    expect(breaker).toMatchObject({ state: 'closed', failures: 2, openUntil: null, timeLeftMs: null, trips: 0 });
    fail(1);
    expect(breaker).toMatchObject({ state: 'open', failures: 3, openUntil: 51_000, timeLeftMs: 1_000, trips: 1 });
  });

  it('counts failures in a row only: a success between them begins anew', () => {
    const { breaker, enter, fail } = makeBreaker();
    fail(2);
    enter().succeeded();
    fail(2);
    expect(breaker).toMatchObject({ state: 'closed', failures: 2 });
  });

  it('an abandoned attempt is neither a failure nor a success', () => {
    const { breaker, enter, fail } = makeBreaker();
    fail(2);
    for (let time = 0; time < 5; time++) enter().abandoned();
    expect(breaker).toMatchObject({ state: 'closed', failures: 2 });
    fail(1);
    expect(breaker.state).toBe('open');
  });

  it('refuses with the name, the failures in a row and the time left', () => {
    const { clock, enter, fail } = makeBreaker();
    fail(3);
    clock.time += 749.5;
    const error = refusalOf(enter);
    expect(error.message).toMatch(
      /^weather: .* 3 times in a row \(UPSTREAM_UNAVAILABLE at last\); .* in 0\.251 s; see /,
    );
    expect(error.message).toContain('MCP_SESSION_POOL_CIRCUIT_BREAKER_THRESHOLD');
    expect(error.message).toContain('MCP_SESSION_POOL_CIRCUIT_BREAKER_RESET');
    expect(error.row).toEqual({ http: 503, rpc: -32000, retryable: true });
    expect(error.data).toEqual({
      code: 'CIRCUIT_OPEN',
      retryable: true,
      retryAfterMs: 251,
      gateway: 'weather',
      failures: 3,
      lastFailure: 'UPSTREAM_UNAVAILABLE',
    });
  });

  it('being refused changes nothing', () => {
    const { breaker, clock, enter, fail } = makeBreaker();
    fail(3);
    clock.time += 999;
    for (let time = 0; time < 10; time++) refusalOf(enter);
    expect(breaker).toMatchObject({ failures: 3, trips: 1, openUntil: 51_000, timeLeftMs: 1 });
  });

  it('half-open: one probe, and the others are refused while it is out', () => {
    const { breaker, clock, enter, fail } = makeBreaker();
    fail(3);
    clock.time += 1_000;
    expect(breaker).toMatchObject({ state: 'open', timeLeftMs: 0 });
    enter();
    expect(breaker).toMatchObject({ state: 'half-open', openUntil: null, timeLeftMs: null });
    const error = refusalOf(enter);
    expect(error.message).toContain('one attempt is on its way');
    expect(error.data).toMatchObject({ code: 'CIRCUIT_OPEN', retryAfterMs: 1_000, failures: 3 });
    clock.time += 60_000; // a probe that takes long is still the only one
    refusalOf(enter);
  });

  it("half-open: the probe's success closes, and the failures in a row begin anew", () => {
    const { breaker, clock, enter, fail } = makeBreaker();
    fail(3);
    clock.time += 1_000;
    enter().succeeded();
    expect(breaker).toMatchObject({ state: 'closed', failures: 0, trips: 1 });
    fail(2);
    expect(breaker.state).toBe('closed');
  });

  it("half-open: the probe's failure re-opens for the whole time", () => {
    const { breaker, clock, enter, fail } = makeBreaker();
    fail(3);
    clock.time += 1_500;
    const probe = enter();
    clock.time += 200;
    probe.failed('UPSTREAM_TIMEOUT');
    expect(breaker).toMatchObject({ state: 'open', failures: 4, trips: 2, timeLeftMs: 1_000 });
    expect(refusalOf(enter).data).toMatchObject({ failures: 4, lastFailure: 'UPSTREAM_TIMEOUT', retryAfterMs: 1_000 });
  });

  it("half-open: an abandoned probe's place is given back, and nothing is counted", () => {
    const { breaker, clock, enter, fail } = makeBreaker();
    fail(3);
    clock.time += 1_000;
    const first = enter();
    first.abandoned();
    expect(breaker).toMatchObject({ failures: 3, trips: 1, timeLeftMs: 0 });
    const second = enter(); // at once, no second wait
    first.succeeded();
    first.failed();
    expect(breaker.state).toBe('half-open');
    refusalOf(enter);
    second.succeeded();
    expect(breaker.state).toBe('closed');
  });

  it('a health check is the probe before the time is over: its success closes, and nobody else is let through', () => {
    const { breaker, clock, enter, fail } = makeBreaker();
    fail(3);
    const check = breaker.probe('weather');
    expect(breaker.state).toBe('half-open');
    expect(refusalOf(enter).code).toBe('CIRCUIT_OPEN');
    expect(refusalOf(() => breaker.probe('weather')).code).toBe('CIRCUIT_OPEN');
    check.abandoned();
    expect(breaker).toMatchObject({ state: 'open', timeLeftMs: 1_000 });

    clock.time += 400;
    breaker.probe('weather').failed('UPSTREAM_TIMEOUT');
    expect(breaker).toMatchObject({ state: 'open', timeLeftMs: 1_000, trips: 2 });
    breaker.probe('weather').succeeded();
    expect(breaker).toMatchObject({ state: 'closed', failures: 0 });
    breaker.probe('weather').failed();
    expect(breaker).toMatchObject({ state: 'closed', failures: 1 });
  });

  it('a late failure of an attempt that began before it opened neither trips again nor prolongs', () => {
    const { breaker, clock, enter, fail } = makeBreaker();
    const slow = [enter(), enter(), enter()];
    fail(3);
    clock.time += 400;
    slow[0]?.failed();
    expect(breaker).toMatchObject({ state: 'open', failures: 3, trips: 1, openUntil: 51_000 });
    clock.time += 600;
    const probe = enter();
    slow[1]?.failed(); // must not be taken for the probe's
    expect(breaker.state).toBe('half-open');
    probe.succeeded();
    slow[2]?.failed(); // nor for one of the new time
    expect(breaker).toMatchObject({ state: 'closed', failures: 0, trips: 1 });
  });

  it('a late success of an attempt that began before it opened closes nothing', () => {
    const { breaker, clock, enter, fail } = makeBreaker();
    const slow = [enter(), enter(), enter()];
    fail(3);
    slow[0]?.succeeded();
    expect(breaker).toMatchObject({ state: 'open', failures: 3 });
    clock.time += 1_000;
    const probe = enter();
    slow[1]?.succeeded();
    slow[2]?.abandoned(); // nor does it give the probe's place away
    expect(breaker.state).toBe('half-open');
    refusalOf(enter);
    probe.failed();
    expect(breaker).toMatchObject({ state: 'open', trips: 2 });
  });

  it('only the first report of an attempt counts', () => {
    const { breaker, enter } = makeBreaker();
    const attempt = enter();
    for (let time = 0; time < 5; time++) attempt.failed();
    attempt.succeeded();
    expect(breaker).toMatchObject({ state: 'closed', failures: 1 });
  });

  it('many failures at once trip it once', () => {
    const { breaker, enter } = makeBreaker();
    for (const attempt of Array.from({ length: 50 }, enter)) attempt.failed();
    expect(breaker).toMatchObject({ state: 'open', failures: 3, trips: 1 });
  });

  it('a threshold of one opens with the first failure; without an own clock it runs on the real one', () => {
    const breaker = new CircuitBreaker({ threshold: 1, resetMs: 60_000 });
    breaker.enter('g').failed();
    expect(refusalOf(() => breaker.enter('g')).message).toMatch(/^g: no session could be opened 1 times in a row; /);
    expect(breaker.timeLeftMs).toBeGreaterThan(50_000);
    expect(breaker.timeLeftMs).toBeLessThanOrEqual(60_000);
  });
});
