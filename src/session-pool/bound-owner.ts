import { type UpstreamSession } from '../upstream/upstream.port.js';
import { type PoolKey } from './pool-key.js';

/** The holder of a downstream session, as its upstream sessions know it. */
export interface BoundOwner {
  /** What its client can do, as far as its revision and we can relay it; declared upstream (SPEC P-4). */
  readonly clientCapabilities: Readonly<Record<string, unknown>>;
  /**
   * After every opening and before the first call on the session: sets log level and subscriptions (P-9). Waited for,
   * but not for ever; its failure is not the failure of the call.
   *
   * @param again the downstream session had an upstream session of this gateway before
   */
  opened(session: UpstreamSession, again: boolean): Promise<void>;
  /** The server kept state in the old session, and it is gone: the client should be told. */
  stateLost(gateway: string): void;
  /**
   * A session that `opened` was told of has ended: it was lost, or its gateway has changed; the next use opens another.
   * Without a session: the downstream session or the pool has ended, and there will be no other. Must not throw and not
   * wait.
   */
  ended?(session?: UpstreamSession): void;
}

export interface BoundUse {
  readonly key: PoolKey;
  /** SHA-256 of the downstream session's id. */
  readonly sessionHash: string;
  readonly owner?: BoundOwner;
}
