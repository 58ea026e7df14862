import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MIGRATIONS } from '../../migrations/index.js';
import {
  type CapabilityKind,
  type CapabilityReading,
  ENTITIES,
  type GatewaySpec,
  type ListReading,
  type ServerReading,
} from '../../src/catalogue/index.js';
import { type Database } from '../../src/database/database.js';
import { openDatabase } from '../../src/database/open-database.js';
import { MemoryLocks } from '../../src/redis/locks.js';
import { createDatabase } from './services.js';

/** A gateway as an administrator describes it. */
export const SPEC: GatewaySpec = {
  name: 'Weather',
  url: 'http://127.0.0.1:1/mcp',
  transport: 'auto',
  description: null,
  tags: ['a'],
  enabled: true,
  sessionPolicy: 'auto',
  auth: { type: 'bearer', token: 'clear-token' },
  tls: null,
  passthroughHeaders: [],
};

/** A list that was read, entries as JSON text. */
export function listOf(...definitions: string[]): ListReading {
  return {
    status: 'read',
    entries: definitions.map((definition) => {
      const { name, uri, uriTemplate } = JSON.parse(definition) as Record<string, string>;
      return { originalName: uri ?? uriTemplate ?? name ?? '', definition };
    }),
  };
}

/** What a server told; lists that are not given are absent. */
export function readingOf(lists: Partial<Record<CapabilityKind, ListReading>>): ServerReading {
  const absent: ListReading = { status: 'absent' };
  const capabilities: CapabilityReading = {
    lists: { tool: absent, resource: absent, resource_template: absent, prompt: absent, ...lists },
    validationErrors: [],
  };
  return {
    transport: 'streamablehttp',
    stateful: true,
    server: {
      protocolVersion: '2025-11-25',
      capabilities: { tools: {} },
      serverInfo: { name: 's' },
      instructions: 'a\0b',
    },
    capabilities,
  };
}

/** A server with these tools. */
export const tools = (...names: string[]): ServerReading =>
  readingOf({ tool: listOf(...names.map((name) => JSON.stringify({ name, inputSchema: { type: 'object' } }))) });

/** For a catalogue that reads no server. */
export const NO_REFRESH = {
  upstream: { openUnpooled: () => Promise.reject(new Error('no server is read here')) },
  locks: new MemoryLocks(),
  refresh: { pageTimeoutMs: 1_000, totalTimeoutMs: 1_000 },
};

/** A fresh database with the tables of the service; the clean-ups are to be run in reverse order. */
export async function openCatalogueDatabase(
  kind: 'postgres' | 'embedded',
  atEnd: (cleanup: () => Promise<unknown>) => void,
): Promise<Database> {
  const dataDir = await mkdtemp(join(tmpdir(), 'catalogue-'));
  atEnd(() => rm(dataDir, { recursive: true, force: true }));
  const server = kind === 'postgres' ? await createDatabase() : undefined;
  if (server) atEnd(() => server.drop());
  const database = await openDatabase({
    ...{ dataDir, poolSize: 4, connectTimeoutMs: 10_000, entities: ENTITIES, migrations: MIGRATIONS },
    ...(server ? { url: server.url } : {}),
  });
  atEnd(() => database.close());
  return database;
}
