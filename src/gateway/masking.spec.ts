import { describe, expect, it } from '@jest/globals';
import { isMaskedUrl, maskAuth, maskQuery, maskTls } from './masking.js';

describe('masking (SPEC S-4)', () => {
  it.each([
    ['http://h/mcp', 'http://h/mcp'],
    ['http://h/mcp?a=1&b=x=y', 'http://h/mcp?a=***&b=***'],
    ['http://h/?secretkey', 'http://h/?***'],
    ['http://h/?a=&b', 'http://h/?a=***&***'],
    ['http://h/?a=1#b=2', 'http://h/?a=***'],
    ['http://h/#token', 'http://h/'],
  ])('%s is shown as %s', (url, shown) => {
    expect(maskQuery(url)).toBe(shown);
    expect(isMaskedUrl(shown)).toBe(url.includes('?'));
    expect(isMaskedUrl(url)).toBe(false);
  });

  it('shows which credentials there are, not what they are', () => {
    expect(maskAuth({ type: 'none' })).toEqual({ type: 'none' });
    expect(maskAuth({ type: 'basic', username: 'u', password: 'p' })).toEqual({
      type: 'basic',
      username: 'u',
      password: '***',
    });
    expect(maskAuth({ type: 'bearer', token: 't' })).toEqual({ type: 'bearer', token: '***' });
    expect(maskAuth({ type: 'headers', headers: { 'X-Key': 'k' } })).toEqual({
      type: 'headers',
      headers: { 'X-Key': '***' },
    });
    expect(maskTls({ ca: 'c', cert: 'd', key: 'k' })).toEqual({ ca: 'c', cert: 'd', key: '***' });
    expect(maskTls(null)).toBeNull();
  });
});
