import { Column, CreateDateColumn, Entity, PrimaryColumn, Unique, UpdateDateColumn } from 'typeorm';
import { type RefreshKind } from '../refresh/refresh-kinds.js';
import { type SessionPolicy, type TransportChoice } from '../gateway-spec.js';
import { type Transport } from '../../session-pool/index.js';

/**
 * One registered upstream MCP server (SPEC G-1). JSON that came from the server stands as text, never as `jsonb`, which
 * would change numbers and the order of keys (D-7); what is secret stands sealed.
 */
@Entity('gateways')
@Unique('uq_gateways_name', ['name'])
@Unique('uq_gateways_slug', ['slug'])
export class GatewayRecord {
  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'pk_gateways' })
  id: string;

  @Column('text')
  name: string;

  /** Part of names handed out: it never changes, not even when the gateway is renamed (G-4). */
  @Column('text')
  slug: string;

  /** Without its query, which may hold an API key. */
  @Column('text')
  url: string;

  /** Sealed JSON of the whole URL; null when `url` is all of it. */
  @Column('text', { name: 'url_sealed', nullable: true })
  urlSealed: string | null;

  /** What was asked for; `transport` is what it came to (null until the first contact). */
  @Column('text', { name: 'transport_choice' })
  transportChoice: TransportChoice;

  @Column('text', { nullable: true })
  transport: Transport | null;

  @Column('text', { nullable: true })
  description: string | null;

  @Column('text', { array: true })
  tags: string[];

  @Column('boolean')
  enabled: boolean;

  @Column('text', { name: 'session_policy' })
  sessionPolicy: SessionPolicy;

  /** Sealed JSON of `UpstreamAuth`; null is `none`. */
  @Column('text', { name: 'auth_sealed', nullable: true })
  authSealed: string | null;

  /** Sealed JSON of `TlsMaterial`. */
  @Column('text', { name: 'tls_sealed', nullable: true })
  tlsSealed: string | null;

  @Column('text', { name: 'passthrough_headers', array: true })
  passthroughHeaders: string[];

  /** The server keeps state for a session: it returned a session id, or runs over SSE (P-15). Null: not known yet. */
  @Column('boolean', { nullable: true })
  stateful: boolean | null;

  @Column('text', { nullable: true })
  capabilities: string | null;

  @Column('text', { name: 'server_info', nullable: true })
  serverInfo: string | null;

  @Column('text', { nullable: true })
  instructions: string | null;

  @Column('text', { name: 'protocol_version', nullable: true })
  protocolVersion: string | null;

  @Column('boolean')
  reachable: boolean;

  @Column('timestamptz', { name: 'last_seen', nullable: true })
  lastSeen: Date | null;

  /** Reason class of the last failed contact (G-2), and its text. */
  @Column('text', { name: 'last_error_reason', nullable: true })
  lastErrorReason: string | null;

  @Column('text', { name: 'last_error', nullable: true })
  lastError: string | null;

  /** When the lists were last read completely; null: never (a deferred gateway). */
  @Column('timestamptz', { name: 'last_refresh_at', nullable: true })
  lastRefreshAt: Date | null;

  /** SPEC G-6. Postgres gives a bigint as text. */
  @Column('bigint', { name: 'dirty_seq', default: 0 })
  dirtySeq: string;

  @Column('bigint', { name: 'refreshed_seq', default: 0 })
  refreshedSeq: string;

  /** Lists that somebody asked to be read since the last refresh began. */
  @Column('text', { name: 'dirty_kinds', array: true, default: '{}' })
  dirtyKinds: RefreshKind[];

  @CreateDateColumn({ type: 'timestamptz', name: 'created_at' })
  createdAt: Date;

  @UpdateDateColumn({ type: 'timestamptz', name: 'updated_at' })
  updatedAt: Date;
}
