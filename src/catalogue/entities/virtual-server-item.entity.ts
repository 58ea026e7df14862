import { Column, Entity, Index, JoinColumn, ManyToOne, PrimaryColumn, type Relation } from 'typeorm';
import { CapabilityRecord } from './capability.entity.js';
import { VirtualServerRecord } from './virtual-server.entity.js';

/** One capability that a virtual server shows (SPEC G-9). */
@Entity('virtual_server_items')
@Index('ix_virtual_server_items_capability', ['capabilityId'])
export class VirtualServerItemRecord {
  @PrimaryColumn('uuid', { name: 'server_id', primaryKeyConstraintName: 'pk_virtual_server_items' })
  serverId: string;

  @PrimaryColumn('uuid', { name: 'capability_id', primaryKeyConstraintName: 'pk_virtual_server_items' })
  capabilityId: string;

  @ManyToOne(() => VirtualServerRecord, { onDelete: 'CASCADE' })
  @JoinColumn({ name: 'server_id', foreignKeyConstraintName: 'fk_virtual_server_items_server' })
  server?: Relation<VirtualServerRecord>;

  @ManyToOne(() => CapabilityRecord, { onDelete: 'CASCADE' })
  @JoinColumn({ name: 'capability_id', foreignKeyConstraintName: 'fk_virtual_server_items_capability' })
  capability?: Relation<CapabilityRecord>;

  /** A name of its own on this server; null shows the public name. */
  @Column('text', { name: 'public_name', nullable: true })
  publicName: string | null;
}
