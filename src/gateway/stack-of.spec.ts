import { describe, expect, it } from '@jest/globals';
import { QueryFailedError } from 'typeorm';
import { stackOf } from './stack-of.js';

describe('stackOf', () => {
  it('tells the causes, and not the parameters of a query (SPEC S-4)', () => {
    const failed = new QueryFailedError('INSERT …', ['geheim'], new Error('no space left'));
    const text = stackOf(new Error('cannot store', { cause: failed }));
    expect(text).toMatch(/cannot store[\s\S]*caused by: QueryFailedError: no space left/);
    expect(text).not.toContain('geheim');
    expect(stackOf('geheim')).toBe('not an error but a string was thrown');
  });
});
