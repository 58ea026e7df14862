import { describe, expect, it } from '@jest/globals';
import { deferred } from '../../test/support/deferred.js';
import { CodedError } from '../common/errors.js';
import { UpstreamError, type UpstreamErrorCode } from '../upstream/upstream.errors.js';
import { type Target } from '../upstream/upstream.port.js';
import { Circuits } from './circuits.js';
import { PoolError } from './pool.errors.js';

const A = target('a', 'https://a.example/mcp?key=secret');
const B = target('b', 'https://a.example/mcp?key=secret');

function target(gatewayId: string, url: string, gatewayName = `gw-${gatewayId}`): Target {
  return { gatewayId, gatewayName, url, transport: 'streamablehttp', credentials: { headers: () => ({}) } };
}

function upstream(code: UpstreamErrorCode, status?: number): UpstreamError {
  return new UpstreamError(code, `it: ${code}`, { execution: 'none', ...(status === undefined ? {} : { status }) });
}

const REFUSED = upstream('UPSTREAM_UNAVAILABLE');

function makeCircuits(threshold = 2) {
  const clock = { time: 1_000 };
  const circuits = new Circuits({ threshold, resetMs: 1_000, now: () => clock.time });
  const fail = async (at: Target, error: unknown = REFUSED, signal?: AbortSignal): Promise<void> => {
    await expect(circuits.run(at, () => Promise.reject(error as Error), signal)).rejects.toBe(error);
  };
  return { circuits, clock, fail };
}

describe('Circuits (P-12)', () => {
  it('hands on what was opened, and what was thrown', async () => {
    const { circuits, fail } = makeCircuits();
    expect(await circuits.run(A, () => Promise.resolve('a session'))).toBe('a session');
    await fail(A);
  });

  it('is one circuit for each gateway and URL', async () => {
    const { circuits, fail } = makeCircuits();
    const other = { ...A, url: 'https://a.example/other' };
    await fail(A);
    await fail(A);
    let opened = 0;
    const open = (): Promise<number> => Promise.resolve((opened += 1));
    await expect(circuits.run(A, open)).rejects.toMatchObject({ code: 'CIRCUIT_OPEN', options: { gateway: 'gw-a' } });
    expect(opened).toBe(0);
    expect(await circuits.run(B, open)).toBe(1);
    expect(await circuits.run(other, open)).toBe(2);
  });

  it('lets one probe through after the time, and closes with its success', async () => {
    const { circuits, clock, fail } = makeCircuits();
    await fail(A);
    await fail(A);
    clock.time += 1_000;
    const gate = deferred<string>();
    const probe = circuits.run(A, () => gate.promise);
    await expect(circuits.run(A, () => Promise.resolve(''))).rejects.toMatchObject({ code: 'CIRCUIT_OPEN' });
    gate.resolve('back');
    expect(await probe).toBe('back');
    expect(await circuits.run(A, () => Promise.resolve('again'))).toBe('again');
    expect(circuits.snapshot()).toEqual([]);
    expect(circuits.trips).toBe(1);
  });

  it.each<[boolean, unknown]>([
    [true, upstream('UPSTREAM_UNAVAILABLE')],
    [true, upstream('UPSTREAM_UNAVAILABLE', 503)],
    [true, upstream('UPSTREAM_TIMEOUT')],
    [true, upstream('UPSTREAM_NOT_MCP', 404)],
    [true, upstream('UPSTREAM_PROTOCOL', 500)],
    [true, upstream('UPSTREAM_INTERRUPTED')],
    [true, upstream('UPSTREAM_SESSION_LOST', 404)],
    [false, upstream('UPSTREAM_UNAUTHORIZED', 401)],
    [false, upstream('UPSTREAM_UNAUTHORIZED', 403)],
    [false, upstream('UPSTREAM_UNAUTHORIZED')],
    [false, upstream('UPSTREAM_NOT_MCP', 403)],
    [false, upstream('UPSTREAM_UNAVAILABLE', 429)],
    [false, upstream('CANCELLED')],
    [false, new PoolError('POOL_EXHAUSTED', 'full')],
    [false, new CodedError('CONFLICT', 'routed elsewhere')],
    [false, new TypeError('ours')],
    [false, 'text'],
  ])('counts: %s for %s', async (counts, error) => {
    const { circuits, fail } = makeCircuits(1);
    expect(circuits.counts(error)).toBe(counts);
    await fail(A, error);
    expect(circuits.trips).toBe(counts ? 1 : 0);
  });

  it('a server that refuses or limits the probe is not counted, and the next attempt is let through at once', async () => {
    const { circuits, clock, fail } = makeCircuits(1);
    await fail(A);
    clock.time += 1_000;
    await fail(A, upstream('UPSTREAM_UNAUTHORIZED', 401));
    await fail(A, upstream('UPSTREAM_UNAVAILABLE', 429));
    expect(circuits.trips).toBe(1);
    expect(await circuits.run(A, () => Promise.resolve('in'))).toBe('in');
  });

  it('a failure after its caller gave up says nothing about the server', async () => {
    const { circuits, fail } = makeCircuits(1);
    await fail(A, upstream('UPSTREAM_TIMEOUT'), AbortSignal.abort());
    expect(circuits.trips).toBe(0);
    await fail(A, upstream('UPSTREAM_TIMEOUT'), new AbortController().signal);
    expect(circuits.trips).toBe(1);
  });

  it('an `open` that throws at once is a failure like any other', async () => {
    const { circuits } = makeCircuits(1);
    const open = (): Promise<never> => {
      throw REFUSED;
    };
    await expect(circuits.run(A, open)).rejects.toBe(REFUSED);
    expect(circuits.trips).toBe(1);
  });

  it('P-17 shows gateway, failures, state and when it re-opens; never the URL', async () => {
    const { circuits, clock, fail } = makeCircuits();
    await fail(A);
    await fail(A);
    await fail({ ...B, gatewayName: 'before' });
    await fail({ ...B, gatewayName: 'renamed' }, upstream('UPSTREAM_UNAUTHORIZED', 401));
    clock.time += 400;
    const now = Date.now();
    const snapshot = circuits.snapshot();
    expect(snapshot).toEqual([
      { gatewayId: 'a', gateway: 'gw-a', failures: 2, state: 'open', openUntil: expect.any(Number) },
      { gatewayId: 'b', gateway: 'renamed', failures: 1, state: 'closed', openUntil: null },
    ]);
    expect((snapshot[0]?.openUntil ?? 0) - now).toBeGreaterThanOrEqual(600);
    expect((snapshot[0]?.openUntil ?? 0) - now).toBeLessThan(1_600);
    expect(JSON.stringify(snapshot)).not.toContain('secret');
  });

  it('drops a circuit that is closed and has no failures, but not under attempts that will report', async () => {
    const { circuits, fail } = makeCircuits(3);
    const gates = [deferred<string>(), deferred<string>()];
    const slow = gates.map((gate) => circuits.run(A, () => gate.promise));
    expect(await circuits.run(A, () => Promise.resolve('fine'))).toBe('fine');
    for (const gate of gates) gate.reject(REFUSED);
    await Promise.allSettled(slow);
    expect(circuits.snapshot()).toMatchObject([{ failures: 2, state: 'closed' }]);
    await fail(A);
    expect(circuits.snapshot()).toMatchObject([{ failures: 3, state: 'open' }]);
  });

  it('keeps nothing of ten thousand servers that work', async () => {
    const { circuits } = makeCircuits();
    for (let at = 0; at < 10_000; at++) await circuits.run(target(`g${at}`, 'http://x/'), () => Promise.resolve());
    expect(circuits.snapshot()).toEqual([]);
  });

  it('P-14 forgets a gateway that changed: it is tried at once, and what is on its way counts for nobody', async () => {
    const { circuits, fail } = makeCircuits();
    const gate = deferred<string>();
    const slow = circuits.run(A, () => gate.promise);
    await fail(A);
    await fail(A);
    await fail(B);
    circuits.forget('a');
    expect(circuits.snapshot()).toMatchObject([{ gatewayId: 'b' }]);
    expect(circuits.trips).toBe(1); // the total never goes back
    await fail(A);
    gate.resolve('late');
    expect(await slow).toBe('late');
    expect(circuits.snapshot()).toMatchObject([{ gatewayId: 'b' }, { gatewayId: 'a', failures: 1 }]);
  });

  it('P-14 an attempt from before the change does not take the new circuit with it when it ends', async () => {
    const { circuits, fail } = makeCircuits();
    const gate = deferred<string>();
    const slow = circuits.run(A, () => gate.promise);
    circuits.forget('a');
    await fail(A);
    gate.resolve('late');
    await slow;
    expect(circuits.snapshot()).toMatchObject([{ gatewayId: 'a', failures: 1 }]);
  });
});
