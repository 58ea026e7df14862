import { ANONYMOUS, type Caller, sha256Hex } from '../common/principal.js';
import { type Target, type Transport } from '../upstream/upstream.port.js';
import { type Keyed } from './bounded-pool.types.js';

/** SPEC P-1, in this order: user identity, URL, identity hash, transport, gateway id. */
export type PoolKeyParts = readonly [
  userIdentity: string,
  url: string,
  identityHash: string,
  transport: Transport,
  gatewayId: string,
];

type Identity = Pick<Caller, 'userIdentity' | 'identityHash'>;

/** The one service identity of the policy `shared` (SPEC P-15). */
const SHARED: Identity = { userIdentity: ANONYMOUS, identityHash: sha256Hex('_shared') };
const HEALTH_USER = sha256Hex('_system_health_check');

/** Who may share an upstream session. Equality is by value, through `id`; the pool's entry remembers its key. */
export class PoolKey implements Keyed {
  /** The parts are joined by a character that none of them can hold. */
  readonly id: string;

  private constructor(
    readonly parts: PoolKeyParts,
    /** Where a session of this key is opened; not part of the equality. */
    readonly target: Target,
    /** `bound`: belongs to one downstream session, and the identity hash is the SHA-256 of that session's id. */
    private readonly kind: 'pooled' | 'bound' | 'health',
    /** What such a session declares upstream for its client (P-4); not part of the equality. */
    readonly clientCapabilities?: Readonly<Record<string, unknown>>,
  ) {
    this.id = parts.join('\n');
  }

  get bound(): boolean {
    return this.kind === 'bound';
  }

  /** Health checks have counters of their own (SPEC P-17). */
  get uncounted(): boolean {
    return this.kind === 'health';
  }

  get gatewayId(): string {
    return this.parts[4];
  }

  /** Keys of one gateway share a cap (SPEC P-7). */
  get group(): string {
    return this.gatewayId;
  }

  /** Lent to one call after the other of the same identity (P-6). */
  static pooled(identity: Identity, target: Target): PoolKey {
    return new PoolKey(partsOf(identity, target), target, 'pooled');
  }

  /**
   * Of one downstream session, for as long as that lives (P-4).
   *
   * @param sessionHash SHA-256 of its id
   * @param clientCapabilities of its client, as far as its revision and we can relay them; none if not given
   */
  static bound(
    userIdentity: string,
    sessionHash: string,
    target: Target,
    clientCapabilities?: PoolKey['clientCapabilities'],
  ): PoolKey {
    const parts = partsOf({ userIdentity, identityHash: sessionHash }, target);
    return new PoolKey(parts, target, 'bound', clientCapabilities);
  }

  static shared(target: Target): PoolKey {
    return PoolKey.pooled(SHARED, target);
  }

  /** The identity of the health check, never a user's (G-7). */
  static health(target: Target): PoolKey {
    const identity = { userIdentity: HEALTH_USER, identityHash: HEALTH_USER };
    return new PoolKey(partsOf(identity, target), target, 'health');
  }
}

function partsOf({ userIdentity, identityHash }: Identity, target: Target): PoolKeyParts {
  return [userIdentity, target.url, identityHash, target.transport, target.gatewayId];
}
