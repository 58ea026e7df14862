import { z } from 'zod';
import {
  type CatalogueService,
  CAPABILITY_KINDS,
  type GatewayDetails,
  type GatewayRecord,
  SESSION_POLICIES,
  TRANSPORT_CHOICES,
  type ValidationError,
} from '../catalogue/index.js';
import { MASK, maskAuth, maskQuery, maskTls } from './masking.js';
import { readable } from './readable.js';

const json = z.record(z.string(), z.unknown());

export const ValidationErrorView = z.object({
  kind: z.enum(CAPABILITY_KINDS),
  index: z.int().describe("Place in the server's list, from 0"),
  name: z.string().optional(),
  reason: z.string(),
});

/** A gateway as REST shows it; secrets are `***`. */
export const GatewayViewSchema = z.object({
  id: z.string(),
  slug: z.string().describe('Part of the public names of its tools; never changes'),
  name: z.string(),
  url: z.string().describe('Values of the query are masked'),
  transport: z.enum(TRANSPORT_CHOICES).describe('What was asked for'),
  resolvedTransport: z.enum(['streamablehttp', 'sse']).nullable().describe('What it came to'),
  description: z.string().nullable(),
  tags: z.array(z.string()),
  enabled: z.boolean(),
  sessionPolicy: z.enum(SESSION_POLICIES),
  auth: json.describe('Masked; `{ "type": "unreadable" }` when ENCRYPTION_KEY is not the one it was stored with'),
  tls: json.nullable().describe('Masked'),
  passthroughHeaders: z.array(z.string()),
  stateful: z.boolean().nullable().describe('The server keeps state for a session'),
  capabilities: json.nullable(),
  serverInfo: json.nullable(),
  instructions: z.string().nullable(),
  protocolVersion: z.string().nullable(),
  reachable: z.boolean(),
  lastSeen: z.string().nullable(),
  lastError: z.object({ reason: z.string(), message: z.string() }).nullable(),
  lastRefreshAt: z.string().nullable(),
  counts: z.object({
    tools: z.int(),
    resources: z.int(),
    resourceTemplates: z.int(),
    prompts: z.int(),
  }),
  validationErrors: z.array(ValidationErrorView).optional().describe('Entries of the server that were skipped'),
  createdAt: z.string(),
  updatedAt: z.string(),
});
export type GatewayView = z.output<typeof GatewayViewSchema>;

export const GatewayListViewSchema = z.object({ items: z.array(GatewayViewSchema), nextCursor: z.string().optional() });
export type GatewayListView = z.output<typeof GatewayListViewSchema>;

/** @param validationErrors only where the server was just read */
export function gatewayView(
  catalogue: CatalogueService,
  { record, counts }: GatewayDetails,
  validationErrors?: readonly ValidationError[],
): GatewayView {
  const { id, slug, name, description, tags, enabled, sessionPolicy, passthroughHeaders } = record;
  return {
    ...{ id, slug, name, transport: record.transportChoice },
    ...{ resolvedTransport: record.transport, description, tags, enabled, sessionPolicy },
    ...maskedSecrets(catalogue, record),
    passthroughHeaders,
    ...serverView(record),
    counts: {
      tools: counts.tool,
      resources: counts.resource,
      resourceTemplates: counts.resource_template,
      prompts: counts.prompt,
    },
    ...(validationErrors ? { validationErrors: [...validationErrors] } : {}),
    createdAt: record.createdAt.toISOString(),
    updatedAt: record.updatedAt.toISOString(),
  };
}

function serverView(record: GatewayRecord) {
  const { stateful, instructions, protocolVersion, reachable, lastError, lastErrorReason } = record;
  return {
    stateful,
    capabilities: parsed(record.capabilities),
    serverInfo: parsed(record.serverInfo),
    ...{ instructions, protocolVersion, reachable },
    lastSeen: record.lastSeen?.toISOString() ?? null,
    lastError: lastError === null ? null : { reason: lastErrorReason ?? 'unknown', message: lastError },
    lastRefreshAt: record.lastRefreshAt?.toISOString() ?? null,
  };
}

/** A lost key must not hide the gateway: it has to be seen to be mended. */
function maskedSecrets(catalogue: CatalogueService, record: GatewayRecord): Pick<GatewayView, 'url' | 'auth' | 'tls'> {
  const secrets = catalogue.secretsOf(record);
  const tls = readable(() => maskTls(secrets.tls));
  return {
    url: readable(() => maskQuery(secrets.url)) ?? `${record.url}?${MASK}`,
    auth: { ...(readable(() => maskAuth(secrets.auth)) ?? UNREADABLE) },
    tls: tls === undefined ? UNREADABLE : tls && { ...tls },
  };
}

const UNREADABLE = { type: 'unreadable' };

function parsed(text: string | null): Record<string, unknown> | null {
  return text === null ? null : (JSON.parse(text) as Record<string, unknown>);
}
