import { type GatewayEntry } from '../catalogue/index.js';
import { UpstreamError } from '../session-pool/index.js';

/**
 * SPEC G-7: nobody waits for a server that is known not to answer. No call is let through to try: the health check finds
 * it back, and a refresh that reads it does.
 *
 * @param checkedEveryMs when it pays to try again
 * @throws UpstreamError UPSTREAM_UNAVAILABLE
 */
export function expectReachable({ name, unreachable }: GatewayEntry, checkedEveryMs: number): void {
  if (!unreachable) return;
  const { since, reason } = unreachable;
  const seen = since === undefined ? '' : `; it was last seen at ${since.toISOString()}`;
  throw new UpstreamError(
    'UPSTREAM_UNAVAILABLE',
    `${name}: its server cannot be reached (${reason})${seen}; it is looked at every ${checkedEveryMs / 1000} s`,
    {
      ...{ gateway: name, execution: 'none', retryable: true, retryAfterMs: checkedEveryMs },
      details: { reason, ...(since === undefined ? {} : { lastSeen: since.toISOString() }) },
    },
  );
}
