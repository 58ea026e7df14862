import { type MigrationInterface, type QueryRunner } from 'typeorm';

/** The first schema: gateways, their capabilities, virtual servers (SPEC G-1, G-9). */
export class Initial1763720000000 implements MigrationInterface {
  readonly name = 'Initial1763720000000';

  async up(runner: QueryRunner): Promise<void> {
    for (const statement of UP) await runner.query(statement);
  }

  async down(runner: QueryRunner): Promise<void> {
    for (const table of ['virtual_server_items', 'virtual_servers', 'capabilities', 'gateways']) {
      await runner.query(`DROP TABLE "${table}"`);
    }
  }
}

const UP = [
  `CREATE TABLE "gateways" (
    "id" uuid NOT NULL,
    "name" text NOT NULL,
    "slug" text NOT NULL,
    "url" text NOT NULL,
    "url_sealed" text,
    "transport_choice" text NOT NULL,
    "transport" text,
    "description" text,
    "tags" text array NOT NULL,
    "enabled" boolean NOT NULL,
    "session_policy" text NOT NULL,
    "auth_sealed" text,
    "tls_sealed" text,
    "passthrough_headers" text array NOT NULL,
    "stateful" boolean,
    "capabilities" text,
    "server_info" text,
    "instructions" text,
    "protocol_version" text,
    "reachable" boolean NOT NULL,
    "last_seen" timestamptz,
    "last_error_reason" text,
    "last_error" text,
    "last_refresh_at" timestamptz,
    "dirty_seq" bigint NOT NULL DEFAULT 0,
    "refreshed_seq" bigint NOT NULL DEFAULT 0,
    "created_at" timestamptz NOT NULL DEFAULT now(),
    "updated_at" timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT "pk_gateways" PRIMARY KEY ("id"),
    CONSTRAINT "uq_gateways_name" UNIQUE ("name"),
    CONSTRAINT "uq_gateways_slug" UNIQUE ("slug")
  )`,
  `CREATE TABLE "capabilities" (
    "id" uuid NOT NULL,
    "gateway_id" uuid NOT NULL,
    "kind" text NOT NULL,
    "original_name" text NOT NULL,
    "public_name" text COLLATE "C" NOT NULL,
    "definition" text NOT NULL,
    "enabled" boolean NOT NULL DEFAULT true,
    "description_override" text,
    "ordinal" integer NOT NULL,
    "created_via" text NOT NULL,
    "created_at" timestamptz NOT NULL DEFAULT now(),
    "updated_at" timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT "pk_capabilities" PRIMARY KEY ("id"),
    CONSTRAINT "uq_capabilities_original" UNIQUE ("gateway_id", "kind", "original_name"),
    CONSTRAINT "uq_capabilities_public" UNIQUE ("kind", "public_name"),
    CONSTRAINT "fk_capabilities_gateway" FOREIGN KEY ("gateway_id") REFERENCES "gateways" ("id") ON DELETE CASCADE
  )`,
  `CREATE TABLE "virtual_servers" (
    "id" uuid NOT NULL,
    "name" text NOT NULL,
    "slug" text NOT NULL,
    "description" text,
    "enabled" boolean NOT NULL DEFAULT true,
    "created_at" timestamptz NOT NULL DEFAULT now(),
    "updated_at" timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT "pk_virtual_servers" PRIMARY KEY ("id"),
    CONSTRAINT "uq_virtual_servers_name" UNIQUE ("name"),
    CONSTRAINT "uq_virtual_servers_slug" UNIQUE ("slug")
  )`,
  `CREATE TABLE "virtual_server_items" (
    "server_id" uuid NOT NULL,
    "capability_id" uuid NOT NULL,
    "public_name" text,
    CONSTRAINT "pk_virtual_server_items" PRIMARY KEY ("server_id", "capability_id"),
    CONSTRAINT "fk_virtual_server_items_server" FOREIGN KEY ("server_id")
      REFERENCES "virtual_servers" ("id") ON DELETE CASCADE,
    CONSTRAINT "fk_virtual_server_items_capability" FOREIGN KEY ("capability_id")
      REFERENCES "capabilities" ("id") ON DELETE CASCADE
  )`,
  `CREATE INDEX "ix_virtual_server_items_capability" ON "virtual_server_items" ("capability_id")`,
];
