import {
  Column,
  CreateDateColumn,
  Entity,
  JoinColumn,
  ManyToOne,
  PrimaryColumn,
  type Relation,
  Unique,
  UpdateDateColumn,
} from 'typeorm';
import { type CapabilityKind } from '../capability-kind.js';
import { GatewayRecord } from './gateway.entity.js';

/** One tool, resource, resource template or prompt of a gateway (SPEC G-1). */
@Entity('capabilities')
@Unique('uq_capabilities_original', ['gatewayId', 'kind', 'originalName'])
@Unique('uq_capabilities_public', ['kind', 'publicName'])
export class CapabilityRecord {
  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'pk_capabilities' })
  id: string;

  @Column('uuid', { name: 'gateway_id' })
  gatewayId: string;

  @ManyToOne(() => GatewayRecord, { onDelete: 'CASCADE' })
  @JoinColumn({ name: 'gateway_id', foreignKeyConstraintName: 'fk_capabilities_gateway' })
  gateway?: Relation<GatewayRecord>;

  @Column('text')
  kind: CapabilityKind;

  /** Name of the tool or prompt, the URI, or the URI template, as the server calls it. */
  @Column('text', { name: 'original_name' })
  originalName: string;

  /** The name handed out (G-4); it never changes while the record lives. Lists are in its byte order everywhere. */
  @Column({ type: 'text', name: 'public_name', collation: 'C' })
  publicName: string;

  /** The list entry as the server sent it, byte for byte (D-7). */
  @Column('text')
  definition: string;

  @Column('boolean', { default: true })
  enabled: boolean;

  @Column('text', { name: 'description_override', nullable: true })
  descriptionOverride: string | null;

  /** Place in the server's own list. */
  @Column('integer')
  ordinal: number;

  /** What made the record: `registration`, later also a refresh (N-3). */
  @Column('text', { name: 'created_via' })
  createdVia: string;

  @CreateDateColumn({ type: 'timestamptz', name: 'created_at' })
  createdAt: Date;

  @UpdateDateColumn({ type: 'timestamptz', name: 'updated_at' })
  updatedAt: Date;
}
