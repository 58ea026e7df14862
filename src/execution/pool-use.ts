import { type GatewayEntry } from '../catalogue/index.js';
import { type Caller } from '../common/principal.js';
import { PoolKey, type PoolPlace } from '../session-pool/index.js';
import { type GatewayBinding } from './gateway-binding.js';

/** Who calls, and by what downstream session if there is one. */
export interface PlaceContext {
  readonly caller: Caller;
  readonly session?: { readonly hash: string };
}

/**
 * Whether a call of a downstream session uses the upstream session bound to it, by the gateway's policy (SPEC P-15).
 * `auto`: where the server keeps state for a session; else sessions are shared by identity.
 */
export function usesBound({ sessionPolicy, stateful }: GatewayEntry): boolean {
  return sessionPolicy === 'bound' || (sessionPolicy === 'auto' && stateful !== false);
}

export function boundPlace(
  { target }: GatewayEntry,
  { caller, session }: Required<PlaceContext>,
  owner: GatewayBinding,
): PoolPlace {
  const { hash } = session;
  return {
    key: PoolKey.bound(caller.userIdentity, hash, target, owner.clientCapabilities),
    bound: { sessionHash: hash, owner },
  };
}

export function sharedPlace({ target, sessionPolicy }: GatewayEntry, { caller }: PlaceContext): PoolPlace {
  return { key: sessionPolicy === 'shared' ? PoolKey.shared(target) : PoolKey.pooled(caller, target) };
}
