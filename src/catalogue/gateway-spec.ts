import { type TlsMaterial, type Transport } from '../session-pool/index.js';
import { type UpstreamAuth } from './upstream-auth.js';

export const TRANSPORT_CHOICES = ['auto', 'streamablehttp', 'sse'] as const;
export type TransportChoice = 'auto' | Transport;

/** SPEC P-15. */
export const SESSION_POLICIES = ['auto', 'bound', 'identity', 'shared'] as const;
export type SessionPolicy = (typeof SESSION_POLICIES)[number];

/** What an administrator says about a gateway, checked; secrets in clear, so never logged and never answered. */
export interface GatewaySpec {
  readonly name: string;
  readonly url: string;
  readonly transport: TransportChoice;
  readonly description: string | null;
  readonly tags: readonly string[];
  readonly enabled: boolean;
  readonly sessionPolicy: SessionPolicy;
  readonly auth: UpstreamAuth;
  readonly tls: TlsMaterial | null;
  readonly passthroughHeaders: readonly string[];
}

/** The members whose change needs a new connection (SPEC P-14). */
export const CONNECTION_MEMBERS = ['url', 'transport', 'auth', 'tls'] as const;
export type GatewayConnection = Pick<GatewaySpec, (typeof CONNECTION_MEMBERS)[number]>;

/** A gateway that is not stored yet, or is not to be read from the database again: enough to connect to it. */
export interface GatewayIdentity {
  readonly id: string;
  readonly name: string;
}
