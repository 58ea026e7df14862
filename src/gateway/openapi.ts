import { STATUS_CODES } from 'node:http';
import { applyDecorators } from '@nestjs/common';
import { ApiBody, ApiQuery, ApiResponse } from '@nestjs/swagger';
import { z } from 'zod';
import { ERROR_TABLE, type ErrorCode } from '../common/errors.js';

type Schema = NonNullable<Extract<Parameters<typeof ApiResponse>[0], { schema: unknown }>['schema']>;
type Io = 'input' | 'output';

/** What the documentation says is derived from the schemas that check (SPEC §8, `/openapi.json`). */
function schemaOf(schema: z.ZodType, io: Io): Schema {
  return z.toJSONSchema(schema, { target: 'openapi-3.0', io, unrepresentable: 'any' }) as Schema;
}

export function Accepts(schema: z.ZodType) {
  return ApiBody({ required: true, schema: schemaOf(schema, 'input') });
}

export function AcceptsQuery(schema: z.ZodObject<Readonly<Record<string, z.ZodType>>>) {
  return applyDecorators(
    ...Object.entries(schema.shape).map(([name, field]) => {
      const { description, ...member } = schemaOf(field, 'input');
      return ApiQuery({ name, required: false, schema: member, ...(description ? { description } : {}) });
    }),
  );
}

export function Answers(status: number, description: string, schema?: z.ZodType) {
  return ApiResponse({ status, description, ...(schema ? { schema: schemaOf(schema, 'output') } : {}) });
}

/** An RFC 9457 problem document. */
export const Problem = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    code: z.enum(Object.keys(ERROR_TABLE) as [ErrorCode, ...ErrorCode[]]),
    detail: z.string(),
    instance: z.string().optional(),
    requestId: z.string(),
    retryable: z.boolean(),
    problems: z.array(z.object({ path: z.string(), message: z.string() })).optional(),
  })
  .catchall(z.unknown());

/** The problems that a route may answer with, by status. */
export function Fails(...codes: ErrorCode[]) {
  const byStatus = new Map<number, ErrorCode[]>();
  for (const code of codes)
    byStatus.set(ERROR_TABLE[code].http, [...(byStatus.get(ERROR_TABLE[code].http) ?? []), code]);
  return applyDecorators(
    ...[...byStatus].map(([status, of]) =>
      ApiResponse({
        status,
        description: `${STATUS_CODES[status] ?? ''}: ${of.join(', ')}`,
        content: { 'application/problem+json': { schema: schemaOf(Problem, 'output') } },
      }),
    ),
  );
}
