import { type PoolKey, type PoolUse } from '../../src/session-pool/index.js';

/** A use of a session of this very key, whatever becomes of its gateway. @param sessionHash given with a bound key */
export function useOf(key: PoolKey, how: { repeatable?: boolean; sessionHash?: string } = {}): PoolUse {
  const { sessionHash } = how;
  return {
    gatewayId: key.gatewayId,
    gatewayName: key.target.gatewayName,
    place: () => (sessionHash === undefined ? { key } : { key, bound: { sessionHash } }),
    repeatable: how.repeatable ?? false,
    borrower: 'a test',
  };
}
