import { type Caller } from '../common/principal.js';
import { type Target, type Transport } from '../upstream/upstream.port.js';

/** SPEC P-1, in this order: user identity, URL, identity hash, transport, gateway id. */
export type PoolKeyParts = readonly [
  userIdentity: string,
  url: string,
  identityHash: string,
  transport: Transport,
  gatewayId: string,
];

/** Who may share an upstream session. Equality is by value, through `id`; the pool's entry remembers its key. */
export class PoolKey {
  /** The parts are joined by a character that none of them can hold. */
  readonly id: string;

  constructor(
    readonly parts: PoolKeyParts,
    /** Where a session of this key is opened; not part of the equality. */
    readonly target: Target,
  ) {
    this.id = parts.join('\n');
  }

  get gatewayId(): string {
    return this.parts[4];
  }

  static for(caller: Pick<Caller, 'userIdentity' | 'identityHash'>, target: Target): PoolKey {
    const { url, transport, gatewayId } = target;
    return new PoolKey([caller.userIdentity, url, caller.identityHash, transport, gatewayId], target);
  }
}
