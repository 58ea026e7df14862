import { describe, expect, it } from '@jest/globals';
import { type Deferred, deferred } from '../../test/support/deferred.js';
import { type ToolLookup } from './catalogue-entries.js';
import { LookupCache } from './lookup-cache.js';

interface Row {
  readonly gateway: string;
  readonly text: string;
}

function setUp(options: { max?: number } = {}) {
  const rows = new Map<string, Row>();
  const loads: string[] = [];
  const clock = { now: 0 };
  const gates: Deferred<void>[] = [];
  let gated = false;
  const cache = new LookupCache<Row, ToolLookup>({
    missing: { kind: 'missing' },
    ...options,
    now: () => clock.now,
    gatewayIdOf: (row) => (row.gateway === 'any' ? undefined : row.gateway),
    build: (row) => ({ kind: 'disabled', what: 'tool', name: row.text }),
    load: async (name) => {
      loads.push(name);
      const row = rows.get(name);
      if (gated) {
        const gate = deferred();
        gates.push(gate);
        await gate.promise;
      }
      return row;
    },
  });
  const gate = (): void => {
    gated = true;
  };
  const open = (): void => {
    gated = false;
    gates.splice(0).forEach((one) => one.resolve());
  };
  return { rows, loads, clock, cache, gate, open };
}

const shown = (lookup: ToolLookup): string => (lookup.kind === 'disabled' ? lookup.name : lookup.kind);

describe('LookupCache (SPEC G-8)', () => {
  it('answers synchronously once it is warm, for 60 s', async () => {
    const { rows, loads, clock, cache } = setUp();
    rows.set('a', { gateway: 'g1', text: 'one' });
    expect(cache.get('a')).toBeInstanceOf(Promise);
    await cache.get('a');
    clock.now = 59_999;
    expect(cache.get('a')).toEqual({ kind: 'disabled', what: 'tool', name: 'one' });
    clock.now = 60_000;
    expect(cache.get('a')).toBeInstanceOf(Promise);
    expect(loads).toEqual(['a', 'a']);
  });

  it('remembers for 10 s that nobody has a name', async () => {
    const { loads, clock, cache } = setUp();
    await cache.get('x');
    clock.now = 9_999;
    expect(cache.get('x')).toEqual({ kind: 'missing' });
    clock.now = 10_000;
    await cache.get('x');
    expect(loads).toEqual(['x', 'x']);
  });

  it('loads once for parallel questions', async () => {
    const { rows, loads, cache } = setUp();
    rows.set('a', { gateway: 'g1', text: 'one' });
    await Promise.all(Array.from({ length: 20 }, async () => cache.get('a')));
    expect(loads).toEqual(['a']);
  });

  it('is bounded, and made-up names do not push real ones out', async () => {
    const { rows, cache } = setUp({ max: 3 });
    rows.set('a', { gateway: 'g1', text: 'one' });
    for (const name of ['a', 'b', 'c', 'd', 'e']) await cache.get(name);
    expect(cache.size).toBe(4);
    expect(cache.get('a')).not.toBeInstanceOf(Promise);
  });

  it('an invalidation drops the tools of its gateway and the names that nobody had, and nothing else', async () => {
    const { rows, loads, cache } = setUp();
    rows.set('a', { gateway: 'g1', text: 'one' });
    rows.set('b', { gateway: 'g2', text: 'two' });
    for (const name of ['a', 'b', 'x']) await cache.get(name);
    cache.invalidateGateway('g1');
    expect(cache.get('b')).not.toBeInstanceOf(Promise);
    for (const name of ['a', 'x']) await cache.get(name);
    expect(loads).toEqual(['a', 'b', 'x', 'a', 'x']);
  });

  it('what any gateway can change is dropped by every invalidation', async () => {
    const { rows, loads, cache } = setUp();
    rows.set('a', { gateway: 'any', text: 'one' });
    await cache.get('a');
    cache.invalidateGateway('g2');
    await cache.get('a');
    expect(loads).toEqual(['a', 'a']);
  });

  it('does not remember what was read before an invalidation, and reads it again', async () => {
    const { rows, cache, gate, open } = setUp();
    rows.set('a', { gateway: 'g1', text: 'old' });
    gate();
    const before = Promise.resolve(cache.get('a'));
    rows.set('a', { gateway: 'g1', text: 'new' });
    cache.invalidateGateway('g1');
    const after = Promise.resolve(cache.get('a'));
    open();
    expect([shown(await before), shown(await after)]).toEqual(['new', 'new']);
    expect(shown(await cache.get('a'))).toBe('new');
  });

  it('a failed load is reported and not remembered', async () => {
    let fail = true;
    const cache = new LookupCache<Row, ToolLookup>({
      missing: { kind: 'missing' },
      gatewayIdOf: (row) => row.gateway,
      build: () => ({ kind: 'missing' }),
      load: async () => {
        if (fail) throw new Error('database away');
        return undefined;
      },
    });
    await expect(cache.get('a')).rejects.toThrow('database away');
    fail = false;
    expect(await cache.get('a')).toEqual({ kind: 'missing' });
  });
});
