import { createSecureContext } from 'node:tls';
import { z } from 'zod';
import { SESSION_POLICIES, TRANSPORT_CHOICES } from '../catalogue/index.js';
import { headerProblem, isHeaderName, isHeaderValue } from './header-rules.js';
import { isMaskedUrl, MASK } from './masking.js';

/** Each thing that may be said about a gateway, with its rule (SPEC §8). */

const NUL = /\0/;

const words = {
  error: (issue: { readonly input?: unknown }): string => (issue.input === undefined ? 'is missing' : 'must be text'),
};

export function text(max: number) {
  return z
    .string(words)
    .max(max, `must have at most ${max} characters`)
    .refine((value) => !NUL.test(value), 'must not hold a NUL character');
}

/** A secret: the mask that answers show in its place would overwrite it with three stars. */
function secret(max: number) {
  return text(max)
    .min(1, 'must not be empty')
    .refine((value) => value !== MASK, `is ${MASK}, the mask of an answer: send the real value, or leave this out`);
}

const name = z
  .string(words)
  .regex(
    /^[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}$/,
    'must be 1 to 64 of A-Z a-z 0-9 space . _ - and begin with a letter or digit',
  );

const url = text(2048)
  .trim()
  .superRefine((value, context) => {
    const problem = urlProblem(value);
    if (problem) context.addIssue({ code: 'custom', message: problem });
  });

function urlProblem(value: string): string | undefined {
  // URL parsers drop line breaks and tabs silently; then what is stored is not what is called.
  if (/[\p{Cc}\s]/u.test(value)) return 'must not hold spaces or control characters';
  if (!URL.canParse(value)) return 'must be a URL, such as https://example.org/mcp';
  const { protocol, username, password } = new URL(value);
  if (protocol !== 'http:' && protocol !== 'https:') return 'must begin with http:// or https://';
  if (username || password) return 'must not hold user and password: put them into auth';
  if (isMaskedUrl(value)) return 'holds the mask of an answer: send the real query, or leave url out';
  return undefined;
}

const headers = z
  .record(z.string(), secret(8_192).refine(isHeaderValue, 'must be printable characters of Latin-1, without CR and LF'))
  .superRefine((value, context) => {
    const names = Object.keys(value);
    if (names.length < 1 || names.length > 32) context.addIssue({ code: 'custom', message: 'must be 1 to 32 headers' });
    const seen = new Set<string>();
    for (const one of names) {
      const problem = seen.has(one.toLowerCase()) ? 'is there twice' : headerProblem(one);
      if (problem) context.addIssue({ code: 'custom', path: [one], message: problem });
      seen.add(one.toLowerCase());
    }
  });

const auth = z.discriminatedUnion(
  'type',
  [
    z.strictObject({ type: z.literal('none') }),
    z.strictObject({
      type: z.literal('basic'),
      username: text(1_024).regex(/^[^:]+$/, 'must not be empty and must not hold a colon'),
      password: secret(4_096),
    }),
    z.strictObject({
      type: z.literal('bearer'),
      token: secret(16_384).regex(/^[\x21-\x7e]*$/, 'must be printable ASCII without spaces'),
    }),
    z.strictObject({ type: z.literal('headers'), headers }),
  ],
  'must be an object with type none, basic, bearer or headers',
);

const tls = z
  .strictObject({
    ca: text(262_144).optional(),
    cert: text(262_144).optional(),
    key: secret(262_144).optional(),
    serverName: text(253)
      .regex(/^[A-Za-z0-9.-]+$/, 'must be a host name')
      .optional(),
  })
  .superRefine(({ ca, cert, key }, context) => {
    if ((cert === undefined) !== (key === undefined)) {
      return context.addIssue({ code: 'custom', message: 'cert and key go together' });
    }
    for (const [path, pem] of Object.entries({ ca, cert })) {
      if (pem !== undefined && !pem.includes('-----BEGIN CERTIFICATE-----')) {
        return context.addIssue({ code: 'custom', path: [path], message: 'must be a certificate in PEM' });
      }
    }
    try {
      createSecureContext({ ca, cert, key });
    } catch {
      // The library's words may quote the key.
      context.addIssue({
        code: 'custom',
        message: 'is of no use: ca, cert and key must be PEM, and cert belong to key',
      });
    }
  });

const passthroughHeaders = z
  .array(
    z
      .string('must be text')
      .toLowerCase()
      .refine(isHeaderName, 'must be the name of a header')
      .refine((value) => value !== 'authorization', "is never passed on: it is the client's token for this service")
      .superRefine((value, context) => {
        const problem = isHeaderName(value) ? headerProblem(value) : undefined;
        if (problem) context.addIssue({ code: 'custom', message: problem });
      }),
  )
  .max(32, 'must be at most 32 headers');

export const GATEWAY_FIELDS = {
  name,
  url,
  transport: z.enum(TRANSPORT_CHOICES, `must be one of ${TRANSPORT_CHOICES.join(', ')}`),
  description: text(1_000).nullable(),
  tags: z.array(text(64).min(1, 'must not be empty')).max(32, 'must be at most 32 tags'),
  enabled: z.boolean('must be true or false'),
  sessionPolicy: z.enum(SESSION_POLICIES, `must be one of ${SESSION_POLICIES.join(', ')}`),
  auth,
  tls: tls.nullable(),
  passthroughHeaders,
};
