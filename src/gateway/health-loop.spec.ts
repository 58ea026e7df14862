import { afterEach, describe, expect, it } from '@jest/globals';
import { deferred } from '../../test/support/deferred.js';
import { until } from '../../test/support/until.js';
import { type HealthFinding, type HealthState } from '../catalogue/index.js';
import { CodedError } from '../common/errors.js';
import { type HealthReport } from './gateway-health.js';
import { HealthLoop, type HealthLoopOptions, type HealthOutcome } from './health-loop.js';

const DOWN: HealthReport = { healthy: false, reason: 'refused', message: 'nobody is there', durationMs: 1 };
const UP: HealthReport = { healthy: true, durationMs: 1 };

/** Gateways in place of the catalogue's, and a script of what their checks find, in turn; the last one stays. */
class Bench {
  readonly states: HealthState[] = [];
  readonly notes: (readonly [string, HealthFinding])[] = [];
  readonly outcomes: HealthOutcome[] = [];
  readonly changes: string[] = [];
  readonly errors: string[] = [];
  readonly leading = new AbortController();
  rounds = 0;
  checks = 0;
  /** Whether what is noted is not out of date. */
  current = true;
  check: HealthLoopOptions['check'] = () => Promise.resolve(UP);
  readonly loop: HealthLoop;

  constructor(options: Partial<HealthLoopOptions> = {}) {
    this.loop = new HealthLoop({
      ...{ intervalMs: 1, threshold: 3, random: () => 0.5 },
      gateways: () => Promise.resolve(this.listed()),
      check: async (id, signal) => {
        this.checks += 1;
        return this.check(id, signal);
      },
      note: (seen, finding) => Promise.resolve(this.noted(seen, finding)),
      onChecked: (outcome) => void this.outcomes.push(outcome),
      onChange: (name, { reachable }) => void this.changes.push(`${name} ${reachable ? 'up' : 'down'}`),
      onError: (what) => void this.errors.push(what),
      ...options,
    });
  }

  add(id: string, state: Partial<HealthState> = {}): void {
    this.states.push({ id, name: id, reachable: true, lastSeen: new Date(1_000), lastErrorReason: null, ...state });
  }

  /** Plays the script and then stops the loop. */
  async play(...script: (HealthReport | Error | (() => HealthReport))[]): Promise<void> {
    let at = 0;
    const over = deferred();
    this.check = async () => {
      const step = script[at++];
      if (step === undefined) {
        over.resolve();
        throw new CodedError('POOL_EXHAUSTED', 'the script is over');
      }
      if (step instanceof Error) throw step;
      return typeof step === 'function' ? step() : step;
    };
    this.loop.start(this.leading.signal);
    await over.promise;
    await this.loop.stop();
  }

  private listed(): HealthState[] {
    this.rounds += 1;
    return this.states.map((state) => ({ ...state }));
  }

  private noted(seen: HealthState, finding: HealthFinding): boolean {
    if (!this.current) return false;
    this.notes.push([seen.id, finding]);
    const state = this.states.find(({ id }) => id === seen.id);
    if (state) Object.assign(state, finding, { lastErrorReason: finding.reachable ? null : finding.reason });
    return true;
  }
}

let bench: Bench;
afterEach(() => bench.loop.stop());

describe('HealthLoop (SPEC G-7)', () => {
  it('three failures in a row make a gateway unreachable, once; one success brings it back', async () => {
    bench = new Bench();
    bench.add('a');
    await bench.play(DOWN, DOWN, DOWN, DOWN, DOWN, UP, UP);
    const down = { reachable: false, lastSeen: new Date(1_000), reason: 'refused', message: 'nobody is there' };
    const up = { reachable: true, lastSeen: expect.any(Date) };
    expect(bench.notes).toEqual([
      ['a', down],
      ['a', up],
    ]);
    expect(bench.changes).toEqual(['a down', 'a up']);
    expect(bench.outcomes.slice(0, 7)).toEqual([...Array<string>(5).fill('unhealthy'), 'healthy', 'healthy']);
  });

  it('failures that are not in a row do not count, and the record is not written while it says the same', async () => {
    bench = new Bench();
    bench.add('a');
    await bench.play(DOWN, DOWN, UP, DOWN, DOWN, UP, DOWN, DOWN);
    expect(bench.notes).toEqual([]);
  });

  it('says when it was last well, by its own checks too', async () => {
    bench = new Bench();
    bench.add('a');
    const before = Date.now();
    await bench.play(UP, DOWN, DOWN, DOWN);
    expect(Number(bench.notes[0]?.[1].lastSeen)).toBeGreaterThanOrEqual(before);
  });

  it('another reason is stored, the same one is not', async () => {
    bench = new Bench();
    bench.add('a', { reachable: false, lastErrorReason: 'refused' });
    const late: HealthReport = { healthy: false, reason: 'timeout', message: 'too slow', durationMs: 1 };
    const odd: HealthReport = { healthy: false, message: 'no class', durationMs: 1 };
    await bench.play(DOWN, late, late, odd);
    expect(bench.notes.map(([, finding]) => finding)).toEqual([
      { reachable: false, lastSeen: new Date(1_000), reason: 'timeout', message: 'too slow' },
    ]);
    expect(bench.changes).toEqual([]);
  });

  it('a check that says nothing about the server changes nothing, and does not break the row', async () => {
    bench = new Bench();
    bench.add('a');
    const full = new CodedError('POOL_EXHAUSTED', 'no room');
    await bench.play(DOWN, full, DOWN, full, full, DOWN);
    expect(bench.notes).toHaveLength(1);
    expect(bench.outcomes.slice(0, 6)).toEqual([
      ...['unhealthy', 'unknown', 'unhealthy', 'unknown', 'unknown', 'unhealthy'],
    ]);
    expect(bench.errors).toEqual([]);
  });

  it('what a refresh has reached meanwhile counts anew', async () => {
    bench = new Bench();
    bench.add('a');
    const seenAgain = (): HealthReport => {
      Object.assign(bench.states[0] ?? {}, { lastSeen: new Date(2_000) });
      return DOWN;
    };
    await bench.play(DOWN, seenAgain, DOWN, DOWN);
    expect(bench.notes).toEqual([]);
  });

  it('a finding that is out of date is not told', async () => {
    bench = new Bench();
    bench.current = false;
    bench.add('a');
    await bench.play(DOWN, DOWN, DOWN);
    expect(bench.changes).toEqual([]);
  });

  it('a gateway that is not listed any more is forgotten', async () => {
    bench = new Bench();
    bench.add('a');
    bench.add('b');
    bench.check = () => Promise.resolve(DOWN);
    const noted = bench.loop;
    bench.loop.start(bench.leading.signal);
    await until(() => noted.counts?.unreachable === 2, { what: 'both are down' });
    bench.states.shift();
    await until(() => noted.counts?.unreachable === 1, { what: 'one is left' });
    expect(noted.counts).toEqual({ reachable: 0, unreachable: 1 });
  });

  it('the database away, or a fault of ours, is told; the next round goes on', async () => {
    let away = true;
    bench = new Bench({
      gateways: () => (away ? Promise.reject(new Error('no database')) : Promise.resolve(bench.states)),
    });
    bench.add('a');
    bench.check = () => Promise.reject(new Error('a bug'));
    bench.loop.start(bench.leading.signal);
    await until(() => bench.errors.length > 1, { what: 'two rounds without a database' });
    expect(new Set(bench.errors)).toEqual(new Set(['gateways could not be listed for their health checks']));
    away = false;
    await until(() => bench.errors.includes('the health of gateway a could not be told'), { what: 'the bug' });
  });

  it('at most so many at once, and one that hangs does not keep the others from being looked at', async () => {
    bench = new Bench({ maxParallel: 4 });
    for (let i = 0; i < 20; i++) bench.add(`g${i}`);
    const hung = deferred();
    let now = 0;
    let most = 0;
    const done = new Set<string>();
    bench.check = async (id) => {
      most = Math.max(most, (now += 1));
      await (id === 'g3' ? hung.promise : new Promise(setImmediate));
      now -= 1;
      done.add(id);
      return UP;
    };
    bench.loop.start(bench.leading.signal);
    await until(() => done.size === 19, { what: 'all but the hung one' });
    expect([most, bench.rounds]).toEqual([4, 1]);
    hung.resolve();
    await until(() => bench.rounds > 1, { what: 'the next round' });
    expect(most).toBe(4);
  });

  it('checks in another order each time', async () => {
    const orders: string[][] = [];
    bench = new Bench({ maxParallel: 1, random: Math.random });
    for (let i = 0; i < 8; i++) bench.add(`g${i}`);
    bench.check = (id) => {
      if (bench.rounds > orders.length) orders.push([]);
      orders.at(-1)?.push(id);
      return Promise.resolve(UP);
    };
    bench.loop.start(bench.leading.signal);
    await until(() => orders.length > 6, { what: 'six rounds' });
    expect(new Set(orders.slice(0, 6).map(String)).size).toBeGreaterThan(1);
    for (const order of orders.slice(0, 6)) expect([...order].sort()).toEqual(bench.states.map(({ id }) => id));
  });

  it('ends with the leadership and waits for its checks; another leadership begins anew', async () => {
    bench = new Bench();
    bench.add('a');
    const begun = deferred();
    bench.check = (_id, signal) => {
      begun.resolve();
      return new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason as Error));
      });
    };
    bench.loop.start(bench.leading.signal);
    await begun.promise;
    bench.leading.abort(new Error('the lock is lost'));
    await until(() => bench.loop.counts === undefined, { what: 'the loop ends' });
    expect([bench.outcomes, bench.errors]).toEqual([[], []]);
    const checks = bench.checks;
    bench.check = () => Promise.resolve(UP);
    bench.loop.start(new AbortController().signal);
    await until(() => bench.checks > checks, { what: 'checks of the next leadership' });
    await bench.loop.stop();
    const rounds = bench.rounds;
    await new Promise(setImmediate);
    expect(bench.rounds).toBe(rounds);
  });
});
