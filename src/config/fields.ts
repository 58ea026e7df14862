import { z } from 'zod';

function numeric(min: number, max: number) {
  return z
    .string()
    .trim()
    .regex(/^-?\d+(\.\d+)?$/, 'must be a number')
    .transform(Number)
    .pipe(z.number().min(min).max(max));
}

/** A number out of the environment, with its default and floor. */
export function number(fallback: number, min: number, max = Number.MAX_SAFE_INTEGER) {
  return numeric(min, max).default(fallback);
}

export function integer(fallback: number, min: number, max = Number.MAX_SAFE_INTEGER) {
  return number(fallback, min, max).refine(Number.isInteger, 'must be a whole number');
}

/** What a timer of Node can hold (2^31-1 ms, 24.8 days); a longer one fires at once. */
const MAX_SECONDS = 2_147_483;

/** Seconds as the seeds spell them, fractions allowed; milliseconds inside. */
export function seconds(fallback: number, min: number, max = MAX_SECONDS) {
  return number(fallback, min, max).transform((value) => Math.round(value * 1000));
}

/** A whole number whose default depends on other settings. */
export function optionalInteger(min: number, max = Number.MAX_SAFE_INTEGER) {
  return numeric(min, max).refine(Number.isInteger, 'must be a whole number').optional();
}

const FLAG = z
  .string()
  .trim()
  .toLowerCase()
  .pipe(z.enum(['true', 'false', '1', '0', 'on', 'off'], 'must be true or false'))
  .transform((value) => value === 'true' || value === '1' || value === 'on');

export function flag(fallback: boolean) {
  return FLAG.default(fallback);
}

/** A flag whose default depends on other settings. */
export function optionalFlag() {
  return FLAG.optional();
}

/** A URL with one of the given schemes. Kept as text: it may hold a password and is never printed. */
export function url(...schemes: string[]) {
  return z
    .string()
    .trim()
    .refine(
      (value) => URL.canParse(value) && schemes.includes(new URL(value).protocol.slice(0, -1)),
      `must be a URL that starts with ${schemes.map((scheme) => `${scheme}://`).join(' or ')}`,
    );
}

const LIST = z.string().transform((value) =>
  value
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== ''),
);

export function commaList(fallback: readonly string[]) {
  return LIST.default([...fallback]);
}

/** At least one of these words, in the order given. */
export function choices<T extends string>(allowed: readonly T[], fallback: readonly T[]) {
  const message = `must be one or more of ${allowed.join(', ')}, comma between`;
  const item = z.custom<T>((value) => (allowed as readonly unknown[]).includes(value));
  return LIST.refine((items) => items.length > 0 && items.every((one) => item.safeParse(one).success), message)
    .pipe(z.array(item))
    .default([...fallback]);
}

/** Seconds whose default depends on other settings. */
export function optionalSeconds(min: number) {
  return z
    .string()
    .trim()
    .regex(/^\d+(\.\d+)?$/, 'must be a number')
    .transform((value) => Math.round(Number(value) * 1000))
    .pipe(
      z
        .number()
        .min(min * 1000)
        .max(MAX_SECONDS * 1000),
    )
    .optional();
}
