import { describe, expect, it } from '@jest/globals';
import { deferred } from './deferred.js';
import { until } from './until.js';

describe('until', () => {
  it('returns the first truthy answer', async () => {
    let asked = 0;
    expect(await until(() => ++asked >= 3 && `asked ${asked}`, { what: 'third' })).toBe('asked 3');
  });

  it('goes on after a probe that throws', async () => {
    let asked = 0;
    const probe = async (): Promise<string> => {
      if (++asked < 3) throw new Error('refused');
      return 'up';
    };
    expect(await until(probe, { what: 'server up' })).toBe('up');
  });

  it('says what it waited for, the last value and the elapsed time', async () => {
    const failing = until(() => 0, { what: 'a session', timeoutMs: 30 });
    await expect(failing).rejects.toThrow(/^a session: not within \d+ ms; last value: 0$/);
  });

  it('says the last error', async () => {
    const failing = until(() => Promise.reject(new Error('refused')), { what: 'server up', timeoutMs: 30 });
    await expect(failing).rejects.toThrow(/last error: Error: refused$/);
  });

  it('gives up on a probe that hangs', async () => {
    const never = deferred<true>();
    const failing = until(() => never.promise, { what: 'answer', timeoutMs: 30 });
    await expect(failing).rejects.toThrow(/^answer: not within \d+ ms; the probe has not answered$/);
  });
});
