import { type GatewayEntry } from '../catalogue/index.js';
import { type Caller } from '../common/principal.js';
import { PoolKey, type PoolPlace } from '../session-pool/index.js';
import { ExecutionError } from './execution.errors.js';
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

/** @throws ExecutionError NOT_FOUND if the gateway was deleted meanwhile (P-14) */
export function boundPlace(
  gateway: GatewayEntry,
  { caller, session }: Required<PlaceContext>,
  owner: GatewayBinding,
): PoolPlace {
  assertThere(gateway);
  const { hash } = session;
  return {
    key: PoolKey.bound(caller.userIdentity, hash, gateway.target, owner.clientCapabilities),
    bound: { sessionHash: hash, owner },
  };
}

/** @throws ExecutionError NOT_FOUND if the gateway was deleted meanwhile (P-14) */
export function sharedPlace(gateway: GatewayEntry, { caller }: PlaceContext): PoolPlace {
  assertThere(gateway);
  const { target, sessionPolicy } = gateway;
  return { key: sessionPolicy === 'shared' ? PoolKey.shared(target) : PoolKey.pooled(caller, target) };
}

function assertThere({ deleted, name }: GatewayEntry): void {
  if (deleted) throw new ExecutionError('NOT_FOUND', `gateway ${JSON.stringify(name)} was deleted`);
}
