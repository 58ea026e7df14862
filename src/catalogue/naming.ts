import { createHash } from 'node:crypto';

/** Names that are handed out (SPEC G-4): pure functions, the same on every replica and after every restart. */

export const MAX_SLUG = 32;
/** The limit of common model APIs; the protocol itself allows 128. */
export const MAX_PUBLIC_NAME = 64;
const HASH_LENGTH = 8;

/** Whether a name is taken by something else. */
export type Taken = (name: string) => boolean;

/**
 * The slug of a gateway: `[a-z0-9-]`, at most 32, made once from its name and never changed afterwards.
 *
 * @param id the gateway's id; decides the suffix when the plain slug is taken
 */
export function slugFor(name: string, id: string, taken: Taken): string {
  const plain =
    name
      .toLowerCase()
      .replace(/[^a-z0-9]+/g, '-')
      .replace(/^-+/, '')
      .slice(0, MAX_SLUG)
      .replace(/-+$/, '') || 'gateway';
  return firstFree(plain, taken, (round) => withSuffix(plain, '-', hash8('slug', id, round), MAX_SLUG));
}

/**
 * The public name of a tool or prompt: `<slug><separator><original>` in `[A-Za-z0-9_-]`, at most 64, cut with a hash of
 * the whole. A name that is taken gets a hash of (gateway id, original name) instead, so the result never depends on
 * who else exists, only on whether the plain name was free.
 */
export function publicNameFor(
  gateway: { readonly id: string; readonly slug: string },
  separator: string,
  original: string,
  taken: Taken,
): string {
  const whole = `${gateway.slug}${separator}${original}`;
  const clean = whole.replace(/[^A-Za-z0-9_-]/gu, '_');
  const plain =
    clean.length <= MAX_PUBLIC_NAME ? clean : withSuffix(clean, '_', hash8('long', whole, 0), MAX_PUBLIC_NAME);
  return firstFree(plain, taken, (round) =>
    withSuffix(clean, '_', hash8('name', `${gateway.id}\0${original}`, round), MAX_PUBLIC_NAME),
  );
}

/** Whether `publicNameFor` could have made it. */
export function isPublicName(text: string): boolean {
  return text.length <= MAX_PUBLIC_NAME && /^[A-Za-z0-9_-]+$/.test(text);
}

/** Longest name of a server's own that is looked up: what is ever stored (KIND_PROTOCOL). */
const MAX_ORIGINAL_NAME = 512;

/** Whether a server itself could call something so, and Postgres compare it. */
export function isOriginalName(text: string): boolean {
  return text !== '' && text.length <= MAX_ORIGINAL_NAME && !text.includes('\0') && !/\p{Surrogate}/u.test(text);
}

/** Longest URI that is looked up: beyond what is ever stored, with room for what a template stands for. */
const MAX_URI = 4_096;

/** Whether it could be a URI of a resource: short enough, and text that Postgres can compare. */
export function isPublicUri(text: string): boolean {
  return text !== '' && text.length <= MAX_URI && !text.includes('\0') && !/\p{Surrogate}/u.test(text);
}

/** The public URI (or template): the first registered keeps its own, a later gateway's gets the alias of SPEC G-4. */
export function publicUriFor(
  gateway: { readonly id: string; readonly slug: string },
  uri: string,
  taken: Taken,
): string {
  return firstFree(uri, taken, (round) => {
    // The plain alias can only be taken by a server that names a resource of its own like this.
    const mark = round === 0 ? '' : `-${hash8('uri', `${gateway.id}\0${uri}`, round)}`;
    return `gw:${gateway.slug}${mark}:${uri}`;
  });
}

function firstFree(plain: string, taken: Taken, candidate: (round: number) => string): string {
  let name = plain;
  for (let round = 0; taken(name); round++) name = candidate(round);
  return name;
}

function withSuffix(text: string, mark: string, hash: string, max: number): string {
  return `${text.slice(0, max - HASH_LENGTH - mark.length)}${mark}${hash}`;
}

function hash8(purpose: string, text: string, round: number): string {
  return createHash('sha256').update(`${purpose}\0${text}\0${round}`).digest('hex').slice(0, HASH_LENGTH);
}
