import { describe, expect, it } from '@jest/globals';
import { deferred } from '../../test/support/deferred.js';
import { until } from '../../test/support/until.js';
import { RefreshSlots } from './refresh-slots.js';

const never = new AbortController().signal;

describe('RefreshSlots (N-6)', () => {
  it('runs so many at once, the others in order of arrival', async () => {
    const slots = new RefreshSlots({ parallel: 2, slowMs: 60_000 });
    const gates = [deferred(), deferred(), deferred(), deferred()];
    const begun: number[] = [];
    const runs = gates.map((gate, n) =>
      slots.run(() => {
        begun.push(n);
        return gate.promise;
      }, never),
    );
    await until(() => begun.length === 2, { what: 'two of them' });
    expect([begun, slots.waiting]).toEqual([[0, 1], 2]);
    gates[1]?.resolve();
    await runs[1];
    await until(() => begun.length === 3, { what: 'the third' });
    expect(begun).toEqual([0, 1, 2]);
    for (const gate of gates) gate.resolve();
    await Promise.all(runs);
    expect([begun, slots.waiting]).toEqual([[0, 1, 2, 3], 0]);
  });

  it('one that hangs gives its slot to the next, and does not give it back twice', async () => {
    const slots = new RefreshSlots({ parallel: 1, slowMs: 20 });
    const hanging = deferred();
    const slow = slots.run(() => hanging.promise, never);
    let running = 0;
    let most = 0;
    const work = async (): Promise<void> => {
      most = Math.max(most, (running += 1));
      await Promise.resolve();
      running -= 1;
    };
    await slots.run(work, never);
    hanging.resolve();
    await slow;
    await Promise.all([1, 2, 3].map(() => slots.run(work, never)));
    expect([most, slots.waiting]).toEqual([1, 0]);
  });

  it('who gives up waiting leaves no slot behind; a failure gives it back', async () => {
    const slots = new RefreshSlots({ parallel: 1, slowMs: 60_000 });
    const gate = deferred();
    const first = slots.run(() => gate.promise, never);
    const giveUp = new AbortController();
    const waiting = slots.run(() => Promise.resolve(), giveUp.signal);
    giveUp.abort(new Error('enough'));
    await expect(waiting).rejects.toThrow('enough');
    gate.reject(new Error('broken'));
    await expect(first).rejects.toThrow('broken');
    await expect(slots.run(() => Promise.resolve('ran'), never)).resolves.toBe('ran');
    await expect(slots.run(() => Promise.resolve(), giveUp.signal)).rejects.toThrow('enough');
  });
});
