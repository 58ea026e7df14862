import { type PipeTransform } from '@nestjs/common';
import { type z } from 'zod';
import { CodedError } from '../common/errors.js';

/** One thing that is wrong with an input. */
export interface Problem {
  /** Where, such as `auth.headers.X-Key`; empty for the whole. */
  readonly path: string;
  readonly message: string;
}

/**
 * Checks an input and returns it as the schema makes it.
 *
 * @throws CodedError INVALID_PARAMS with every problem in `details.problems` (SPEC G-2)
 */
export function parseInput<S extends z.ZodType>(schema: S, input: unknown): z.output<S> {
  const parsed = schema.safeParse(input);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.flatMap(problemsOf);
  const text = problems.map(({ path, message }) => (path ? `${path} ${message}` : message)).join('; ');
  throw new CodedError('INVALID_PARAMS', `the input is not valid: ${text}`, { details: { problems } });
}

/** `@Body(input(Schema))`, `@Query(input(Schema))`. */
export function input<S extends z.ZodType>(schema: S): PipeTransform<unknown, z.output<S>> {
  return { transform: (value) => parseInput(schema, value) };
}

function problemsOf(issue: z.core.$ZodIssue): Problem[] {
  const path = issue.path.map(String);
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({ path: [...path, key].join('.'), message: 'is not known here' }));
  }
  return [{ path: path.join('.'), message: issue.message }];
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** `@Param('id', idOf('gateway'))`: what is no id names nothing. */
export function idOf(what: string): PipeTransform<string, string> {
  return {
    transform: (value) => {
      if (UUID.test(value)) return value.toLowerCase();
      throw new CodedError('NOT_FOUND', `there is no ${what} with this id`);
    },
  };
}
