import { z } from 'zod';
import { CAPABILITY_KINDS } from '../catalogue/index.js';
import { GATEWAY_FIELDS, text } from './fields.js';
import { flag, NOT_AN_OBJECT, page } from './gateway.schemas.js';

/** More than any client can show its model, and one statement can carry. */
const MAX_ITEMS = 1_000;

const item = z.strictObject(
  {
    capability: text(4_096)
      .min(1, 'must not be empty')
      .describe('Id, or public name (URI, URI template), of something that a gateway offers'),
    kind: z
      .enum(CAPABILITY_KINDS, `must be one of ${CAPABILITY_KINDS.join(', ')}`)
      .optional()
      .describe('Needed where several kinds have this public name'),
    name: text(64)
      .regex(/^[A-Za-z0-9_-]{1,64}$/, 'must be 1 to 64 of A-Z a-z 0-9 _ -')
      .optional()
      .describe('Another name on this server, for a tool or a prompt'),
  },
  'must be an object with capability and, if need be, kind and name',
);

const FIELDS = {
  name: GATEWAY_FIELDS.name,
  description: GATEWAY_FIELDS.description,
  enabled: GATEWAY_FIELDS.enabled,
  items: z.array(item, 'must be a list').max(MAX_ITEMS, `must be at most ${MAX_ITEMS} items`),
};

/** Body of `POST /servers` (SPEC G-9). */
export const NewServerSchema = z.strictObject(
  { ...FIELDS, description: FIELDS.description.default(null), enabled: FIELDS.enabled.default(true) },
  NOT_AN_OBJECT,
);
export type NewServer = z.output<typeof NewServerSchema>;

/** Body of `PATCH /servers/:id`: what is left out stays; `items` is the whole new selection. */
export const ServerPatchSchema = z.strictObject(z.strictObject(FIELDS).partial().shape, NOT_AN_OBJECT);
export type ServerPatch = z.output<typeof ServerPatchSchema>;

export const ServerQuerySchema = z.strictObject({
  ...page,
  enabled: flag.optional(),
  q: text(200).optional().describe('Part of name, slug or description'),
});
export type ServerQuery = z.output<typeof ServerQuerySchema>;
