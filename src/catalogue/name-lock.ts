import { type EntityManager } from 'typeorm';

/** Any number will do, as long as no one else in this database uses it: "mcpg" in ASCII. */
const NAMES_LOCK = 0x6d637067;

/**
 * One transaction at a time gives out names (slugs and public names, SPEC G-4), over all replicas; held to the
 * transaction's end. Take it before any row, so that two transactions cannot wait for each other.
 */
export async function lockNames(manager: EntityManager): Promise<void> {
  await manager.query('SELECT pg_advisory_xact_lock($1)', [NAMES_LOCK]);
}
