import { inspect } from 'node:util';
import { describe, expect, it } from '@jest/globals';
import { until } from '../../test/support/until.js';
import { BoundedPool } from './bounded-pool.js';
import { type Lease } from './bounded-pool.types.js';
import { random } from '../../test/support/random.js';

interface Resource {
  readonly key: string;
  usable: boolean;
}

interface Key {
  readonly id: string;
  readonly group: string;
}

describe('BoundedPool beside a model', () => {
  it.each([1, 2, 3, 4])('keeps its promises over 5,000 random operations (seed %i)', async (seed) => {
    const model = new Model(seed);
    for (let step = 1; step <= 5_000; step++) {
      await model.step();
      model.checkCaps();
      if (step % 25 === 0) await model.checkAtRest();
    }
    await model.checkEnd();
    if (seed === 4) process.stdout.write(`    4 × 5,000 random operations, the last: ${model.summary}\n`);
  });
});

/**
 * Random operations on a pool beside a model of it that is as simple as can be: lists of what was lent and asked, and
 * counts of what is really open, kept where it is opened and ended. The same seed gives the same run.
 */
class Model {
  private static readonly CAPS = { maxPerKey: 3, maxTotal: 8, maxKeys: 5, maxPerGroup: 4 };
  private readonly keys = Array.from({ length: 8 }, (_, index): Key => ({ id: `k${index}`, group: `g${index % 3}` }));
  private readonly next: () => number;
  private readonly pool: BoundedPool<Key, Resource>;
  private time = 0;
  private readonly lent: Lease<Resource>[] = [];
  private readonly asking = new Map<AbortController, Key>();
  private readonly open = new Map<string, number>(); // by key, from the beginning of the opening to the settled end
  private readonly live = new Set<Resource>();
  private readonly evictions = new Map<string, number>(); // by key
  private readonly bornAt = new Map<Resource, number>(); // evictions of its key when its opening began
  private asked = 0;
  private granted = 0;
  private refused = 0;
  private aborted = 0;
  private opened = 0;
  private failed = 0;
  private turnedAway = 0;
  private readonly counts: Record<string, number> = {};

  constructor(seed: number) {
    this.next = random(seed);
    this.pool = new BoundedPool({
      ...Model.CAPS,
      maxLeasesPerResource: 1,
      starvingMs: seed % 2 === 0 ? 30 : Infinity,
      ttlMs: 80,
      now: () => this.time,
      random: this.next,
      isUsable: ({ usable }) => usable,
      create: (key) => this.create(key),
      destroy: (resource) => this.destroy(resource),
    });
  }

  async step(): Promise<void> {
    this.time += this.below(3);
    const dice = this.next();
    if (dice < 0.45) this.ask();
    else if (dice < 0.8) this.giveBack(this.next() < 0.1 ? 'discard' : 'reuse');
    else if (dice < 0.87) this.giveUp();
    else if (dice < 0.93) this.count('reap', () => this.pool.reap(40));
    else if (dice < 0.95) this.evict([this.one(this.keys)], 'evict');
    else if (dice < 0.955) this.evict(this.keys, 'drain');
    else if (dice < 0.98) this.kill();
    if (this.next() < 0.5) await Promise.resolve();
  }

  /** Hold at every moment, whatever is on its way. */
  checkCaps(): void {
    const { maxPerKey, maxTotal, maxKeys, maxPerGroup } = Model.CAPS;
    holds(this.sum() <= maxTotal, 'the cap of all', this.open);
    holds(this.open.size <= maxKeys, 'the cap of the keys', this.open);
    for (const number of this.open.values()) holds(number <= maxPerKey, 'the cap of a key', this.open);
    for (const group of ['g0', 'g1', 'g2']) holds(this.sum(group) <= maxPerGroup, 'the cap of a group', this.open);
    const { numbers } = this.pool;
    const { total, idle, leased, opening, closing } = numbers;
    holds(total === idle + leased + opening + closing, 'the numbers add up', numbers);
    holds(total >= this.sum(), 'a slot is freed when its end has settled', numbers);
  }

  /** Hold when everything that was ready has run: the pool is what the model says, and nobody waits without a reason. */
  async checkAtRest(): Promise<void> {
    for (let turn = 0; turn < 60; turn++) await Promise.resolve();
    const { numbers, counters } = this.pool;
    const { total, leased, opening, closing, waiting } = numbers;
    holds(opening + closing === 0 && total === this.sum(), 'what is open is what was opened', numbers);
    holds(leased === this.lent.length && waiting === this.asking.size, 'no lease and no waiter is lost', numbers);
    const inUse = new Set(this.lent.map(({ resource }) => resource));
    holds(inUse.size === this.lent.length, 'nothing is lent twice', this.lent);
    for (const resource of this.live) {
      const current = this.bornAt.get(resource) === this.evicted(resource.key);
      holds(current || inUse.has(resource), 'what was evicted ends when it comes back', resource);
    }
    for (const resource of inUse) holds(this.live.has(resource), 'nothing is ended while it is lent', resource);
    holds(this.granted + this.refused + this.asking.size === this.asked, 'everybody hears once', this.asked);
    holds(counters.hits + counters.misses === this.granted && counters.opened === this.opened, 'it counts', counters);
    const ended = Object.values(counters.ended).reduce((sum, number) => sum + number, 0);
    holds(ended === this.opened - this.live.size, 'what has ended has ended once', counters);
    this.checkNobodyIsForgotten();
  }

  /** Everything given back: everyone who still waits is served. Closed: everything that was opened has ended. */
  async checkEnd(): Promise<void> {
    const everybody = (): boolean => {
      while (this.lent.length > 0) this.giveBack('reuse');
      return this.asking.size === 0;
    };
    await until(everybody, { what: 'everybody who waits is served' });
    await this.checkAtRest();
    await this.pool.close(0);
    expect(this.live.size).toBe(0);
    expect(this.pool.numbers).toEqual({ total: 0, idle: 0, leased: 0, opening: 0, closing: 0, waiting: 0, keys: 0 });
    expect(this.refused).toBeLessThanOrEqual(this.aborted + this.failed + this.turnedAway);
  }

  get summary(): string {
    const { asked, granted, aborted, opened, failed, counts } = this;
    const { hits, ended } = this.pool.counters;
    return JSON.stringify({ asked, granted, hits, aborted, opened, failed, ...counts, ended });
  }

  /** Who waits, waits for a cap that no idle resource stands in the way of. */
  private checkNobodyIsForgotten(): void {
    const { maxPerKey, maxTotal, maxKeys, maxPerGroup } = Model.CAPS;
    const all = [...this.pool.perKey()];
    const idle = all.filter((numbers) => numbers.idle > 0);
    for (const { key, waiting, idle: own } of all) {
      if (waiting === 0) continue;
      const mine = this.open.get(key.id) ?? 0;
      const keyFull = mine === maxPerKey;
      const full = this.sum() === maxTotal && idle.length === 0;
      const inGroup = idle.some((numbers) => numbers.key.group === key.group);
      const groupFull = this.sum(key.group) === maxPerGroup && !inGroup;
      const keysFull = mine === 0 && this.open.size === maxKeys && idle.every(({ leased }) => leased > 0);
      holds(own === 0 && (keyFull || full || groupFull || keysFull), 'nobody waits for nothing', { key, all });
    }
  }

  private ask(): void {
    const [key, controller] = [this.one(this.keys), new AbortController()];
    this.asked += 1;
    this.asking.set(controller, key);
    this.pool.acquire(key, controller.signal).then(
      (lease) => {
        holds(lease.resource.key === key.id, 'one of the very key', lease.resource);
        this.granted += 1;
        this.asking.delete(controller);
        this.lent.push(lease);
      },
      () => {
        this.refused += 1;
        this.asking.delete(controller);
      },
    );
  }

  private giveBack(verdict: 'reuse' | 'discard'): void {
    const [lease] = this.lent.splice(this.below(this.lent.length), 1);
    if (lease) this.count(verdict, () => lease.release(verdict));
  }

  private giveUp(): void {
    const controller = this.one([...this.asking.keys()]);
    if (!controller) return;
    this.aborted += 1;
    controller.abort();
  }

  private evict(chosen: readonly Key[], what: string): void {
    for (const { id } of chosen) this.evictions.set(id, this.evicted(id) + 1);
    for (const key of this.asking.values()) if (chosen.includes(key)) this.turnedAway += 1;
    this.count(what, () => this.pool.evict((key) => chosen.includes(key)));
  }

  /** The server forgets a session, whether it is in use or not. */
  private kill(): void {
    const resource = this.one([...this.live]);
    if (resource) this.count('kill', () => (resource.usable = false));
  }

  private async create(key: Key): Promise<Resource> {
    const born = this.evicted(key.id);
    this.open.set(key.id, (this.open.get(key.id) ?? 0) + 1);
    await this.turns();
    if (this.next() < 0.05) {
      this.closed(key.id);
      this.failed += 1;
      throw new Error('refused');
    }
    this.opened += 1;
    const resource = { key: key.id, usable: true };
    this.live.add(resource);
    this.bornAt.set(resource, born);
    return resource;
  }

  private async destroy(resource: Resource): Promise<void> {
    holds(this.live.delete(resource), 'everything ends once', resource);
    await this.turns();
    this.closed(resource.key);
  }

  private evicted(id: string): number {
    return this.evictions.get(id) ?? 0;
  }

  private closed(id: string): void {
    const left = (this.open.get(id) ?? 0) - 1;
    if (left > 0) this.open.set(id, left);
    else this.open.delete(id);
  }

  private async turns(): Promise<void> {
    for (let turns = this.below(4); turns > 0; turns--) await Promise.resolve();
  }

  private sum(group?: string): number {
    let sum = 0;
    for (const key of this.keys) if (group === undefined || key.group === group) sum += this.open.get(key.id) ?? 0;
    return sum;
  }

  private count(what: string, operation: () => unknown): void {
    this.counts[what] = (this.counts[what] ?? 0) + 1;
    operation();
  }

  private below(limit: number): number {
    return Math.floor(this.next() * limit);
  }

  private one<E>(list: readonly E[]): E {
    return list[this.below(list.length)] as E;
  }
}

/** `expect` is too slow for a million checks. */
function holds(condition: boolean, what: string, seen: unknown): void {
  if (!condition) throw new Error(`does not hold: ${what}; ${inspect(seen, { depth: 4 })}`);
}
