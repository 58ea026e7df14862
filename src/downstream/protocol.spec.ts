import { describe, expect, it } from '@jest/globals';
import { isPrimed, isSupported, mayBatch, negotiate, PROTOCOL_VERSIONS } from './protocol.js';

describe('revisions (SPEC §1, D-1)', () => {
  it.each(['2025-11-25', '2025-06-18', '2025-03-26'])('%s is spoken over both transports', (version) => {
    expect([negotiate(version, 'http'), negotiate(version, 'sse'), isSupported(version)]).toEqual([
      ...[version, version, true],
    ]);
  });

  it('2024-11-05 is the one of HTTP+SSE, and is not spoken over streamable HTTP', () => {
    expect([negotiate('2024-11-05', 'sse'), negotiate('2024-11-05', 'http')]).toEqual(['2024-11-05', '2025-11-25']);
    expect(isSupported('2024-11-05')).toBe(false);
  });

  it.each(['2026-07-28', '2099-01-01', '1.0', '', '2025-11-25 ', 'constructor'])(
    '%j is answered with our newest',
    (version) => {
      expect([negotiate(version, 'http'), negotiate(version, 'sse')]).toEqual(['2025-11-25', '2025-11-25']);
      expect(isSupported(version)).toBe(false);
    },
  );

  it('only the newest revision has priming events, only the oldest batches', () => {
    expect(PROTOCOL_VERSIONS.map((version) => [version, isPrimed(version), mayBatch(version)])).toEqual([
      ['2025-11-25', true, false],
      ['2025-06-18', false, false],
      ['2025-03-26', false, true],
    ]);
    expect([isPrimed('2024-11-05'), mayBatch('2024-11-05')]).toEqual([false, false]);
  });
});
