import { Column, CreateDateColumn, Entity, PrimaryColumn, Unique, UpdateDateColumn } from 'typeorm';

/** A named selection of capabilities over several gateways (SPEC G-9). */
@Entity('virtual_servers')
@Unique('uq_virtual_servers_name', ['name'])
@Unique('uq_virtual_servers_slug', ['slug'])
export class VirtualServerRecord {
  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'pk_virtual_servers' })
  id: string;

  @Column('text')
  name: string;

  @Column('text')
  slug: string;

  @Column('text', { nullable: true })
  description: string | null;

  @Column('boolean', { default: true })
  enabled: boolean;

  @CreateDateColumn({ type: 'timestamptz', name: 'created_at' })
  createdAt: Date;

  @UpdateDateColumn({ type: 'timestamptz', name: 'updated_at' })
  updatedAt: Date;
}
