import { z } from 'zod';
import { GATEWAY_FIELDS as F, text } from './fields.js';

export const NOT_AN_OBJECT = 'must be a JSON object, sent with content-type: application/json';

/** Body of `POST /gateways` (SPEC §8). */
export const NewGatewaySchema = z.strictObject(
  {
    name: F.name,
    url: F.url,
    transport: F.transport.default('auto'),
    description: F.description.default(null),
    tags: F.tags.default([]),
    enabled: F.enabled.default(true),
    sessionPolicy: F.sessionPolicy.default('auto'),
    auth: F.auth.default({ type: 'none' }),
    tls: F.tls.default(null),
    passthroughHeaders: F.passthroughHeaders.default([]),
  },
  NOT_AN_OBJECT,
);
export type NewGateway = z.output<typeof NewGatewaySchema>;

/** Body of `PATCH /gateways/:id`: what is left out stays. */
export const GatewayPatchSchema = z.strictObject(z.strictObject(F).partial().shape, NOT_AN_OBJECT);
export type GatewayPatch = z.output<typeof GatewayPatchSchema>;

/** Body of `POST /gateways/:id/state`. */
export const GatewayStateSchema = z.strictObject({ enabled: F.enabled }, NOT_AN_OBJECT);
export type GatewayState = z.output<typeof GatewayStateSchema>;

/** Body of `PATCH /tools/:id`, and of the other kinds. `null` gives the server's own description back. */
export const CapabilityPatchSchema = z.strictObject(
  { enabled: F.enabled.optional(), description: text(4_000).nullable().optional() },
  NOT_AN_OBJECT,
);
export type CapabilityPatch = z.output<typeof CapabilityPatchSchema>;

export const flag = z.enum(['true', 'false'], 'must be true or false').transform((value) => value === 'true');

export const page = {
  limit: z
    .string()
    .regex(/^\d{1,4}$/, 'must be a whole number')
    .transform(Number)
    .pipe(z.number().min(1, 'must be at least 1').max(500, 'must be at most 500'))
    .default(100)
    .describe('Items of a page, 1 to 500'),
  cursor: text(8_192).optional().describe('`nextCursor` of the page before'),
};

export const RegisterQuerySchema = z.strictObject({
  deferred: flag
    .default(false)
    .describe('true: store it at once, unreached, and go on trying to reach the server in the background'),
});
export type RegisterQuery = z.output<typeof RegisterQuerySchema>;

export const GatewayQuerySchema = z.strictObject({
  ...page,
  enabled: flag.optional(),
  reachable: flag.optional(),
  tag: text(64).optional(),
  q: text(200).optional().describe('Part of name, slug or description'),
});
export type GatewayQuery = z.output<typeof GatewayQuerySchema>;

export const CapabilityQuerySchema = z.strictObject({
  ...page,
  gateway: text(64).optional().describe('Id, slug or name of a gateway'),
  enabled: flag.optional(),
  q: text(200).optional().describe('Part of the public or original name, or of a description set here'),
});
export type CapabilityQuery = z.output<typeof CapabilityQuerySchema>;

/** The result of `tools/call`, for the documentation: it is passed on as it came (SPEC D-7). */
export const ToolResult = z.looseObject({
  content: z.array(z.looseObject({ type: z.string() })),
  structuredContent: z.record(z.string(), z.unknown()).optional(),
  isError: z.boolean().optional().describe('The tool itself has failed; this too is an answer, with status 200'),
});
