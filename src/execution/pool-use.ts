import { type GatewayEntry } from '../catalogue/index.js';
import { type Caller } from '../common/principal.js';
import { ExecutionError } from './execution.errors.js';
import { type BoundOwner, PoolKey, type PoolPlace } from '../session-pool/index.js';

/** A downstream session, as the pool needs to know it. */
export interface DownstreamBinding {
  /** SHA-256 of its id (SPEC P-1); worked out once. */
  readonly hash: string;
  readonly owner?: BoundOwner;
}

interface Context {
  readonly caller: Caller;
  readonly session?: DownstreamBinding;
}

/**
 * Which session a call gets, by the gateway's policy (SPEC P-15). `auto`: the one bound to the downstream session where
 * there is one and the server keeps state for a session; else one that is shared by identity.
 *
 * @throws ExecutionError NOT_FOUND if the gateway was deleted meanwhile (P-14)
 */
export function poolUseFor(gateway: GatewayEntry, { caller, session }: Context): PoolPlace {
  const { target } = gateway;
  if (gateway.deleted) throw new ExecutionError('NOT_FOUND', `gateway ${JSON.stringify(gateway.name)} was deleted`);
  const bind = (): PoolPlace => {
    if (!session) return { key: PoolKey.pooled(caller, target) };
    const { hash, owner } = session;
    return {
      key: PoolKey.bound(caller.userIdentity, hash, target, owner?.clientCapabilities),
      bound: { sessionHash: hash, ...(owner ? { owner } : {}) },
    };
  };
  switch (gateway.sessionPolicy) {
    case 'auto':
      return gateway.stateful === false ? { key: PoolKey.pooled(caller, target) } : bind();
    case 'bound':
      return bind();
    case 'identity':
      return { key: PoolKey.pooled(caller, target) };
    case 'shared':
      return { key: PoolKey.shared(target) };
  }
}
