import { beforeEach, describe, expect, it } from '@jest/globals';
import { deferred } from '../../../test/support/deferred.js';
import { CAPABILITY_KINDS } from '../capability-kind.js';
import { ServerWatch } from './server-watch.js';

describe('ServerWatch (SPEC N-7)', () => {
  /** The tool lists as they are committed. */
  let lists: Record<string, string>;
  let told: string[];
  let reads: number;
  /** What the answers to the next reads wait for. */
  let gate: Promise<void> | undefined;
  let broken: boolean;
  let watch: ServerWatch;

  beforeEach(() => {
    [lists, told, reads, gate, broken] = [{ a: '1', b: '1' }, [], 0, undefined, false];
    watch = new ServerWatch({
      read: async (ids) => {
        reads += 1;
        const seen = new Map(ids.map((id) => [id, new Map([['tool' as const, lists[id] ?? '']])]));
        await gate;
        if (broken) throw new Error('the database is away');
        return seen;
      },
      onDifference: (id, kinds) => void told.push(`${id} ${kinds.join()}`),
    });
  });

  it('tells the watched servers that differ, once, and asks for nobody without need', async () => {
    await watch.compareAll();
    expect(reads).toBe(0);
    await watch.watch('a');
    await watch.watch('a');
    expect(reads).toBe(1);
    [lists['a'], lists['b']] = ['2', '2'];
    await watch.compareAll();
    await watch.compareAll();
    expect(told).toEqual(['a tool']);
    watch.forget('a');
    lists['a'] = '3';
    await watch.compareAll();
    expect([told.length, reads]).toEqual([1, 3]);
  });

  it('a burst of changes during a comparison is one more comparison, and none of them is lost', async () => {
    await watch.watch('a');
    const open = deferred<void>();
    gate = open.promise;
    const first = watch.compareAll();
    while (reads < 2) await Promise.resolve(); // the first comparison has begun
    lists['a'] = '2';
    const burst = Array.from({ length: 20 }, () => watch.compareAll());
    lists['a'] = '3';
    open.resolve();
    await first;
    expect(told).toEqual([]); // it looked before the burst
    await Promise.all(burst);
    expect([reads, told]).toEqual([3, ['a tool']]);
    await watch.compareAll();
    expect(told).toEqual(['a tool']);
  });

  it('an edit of a server and a change of a gateway at once never leave an old state to compare with', async () => {
    await watch.watch('a');
    lists['a'] = '2';
    const [all, kinds] = await Promise.all([watch.compareAll(), watch.differencesOf('a')]);
    expect([all, kinds, told]).toEqual([undefined, [], ['a tool']]);
    lists['a'] = '1';
    expect(await watch.differencesOf('a')).toEqual(['tool']);
    expect(await watch.differencesOf('nobody watches')).toEqual(CAPABILITY_KINDS);
  });

  it('while the database cannot be asked, everything counts as changed, and so does the first look afterwards', async () => {
    await watch.watch('a');
    const every = `a ${CAPABILITY_KINDS.join()}`;
    broken = true;
    await watch.compareAll();
    expect(told).toEqual([every]);
    await expect(watch.watch('b')).rejects.toThrow('away');
    broken = false;
    await watch.compareAll();
    await watch.compareAll();
    expect(told).toEqual([every, every]);
    await watch.watch('b');
    lists['b'] = '2';
    await watch.compareAll();
    expect(told.slice(2)).toEqual(['b tool']);
  });
});
