import { createHash } from 'node:crypto';
import { CodedError } from '../common/errors.js';

const CHECK_BYTES = 6;

/**
 * Opaque cursors (SPEC D-6): the last key of a page, with a check that it was made for this list and came back whole.
 * A page begins after its key, so a list stays stable while records come and go.
 */
export function encodeCursor(list: string, key: string): string {
  const bytes = Buffer.from(key, 'utf8');
  return Buffer.concat([checkOf(list, bytes), bytes]).toString('base64url');
}

/** @throws CodedError INVALID_PARAMS when it is not a cursor of this list */
export function decodeCursor(list: string, cursor: string): string {
  const bytes = Buffer.from(cursor, 'base64url');
  const key = bytes.subarray(CHECK_BYTES);
  // Node skips what is not base64url, so a cursor is compared in its one spelling.
  const whole = bytes.toString('base64url') === cursor && bytes.length > CHECK_BYTES;
  if (!whole || !checkOf(list, key).equals(bytes.subarray(0, CHECK_BYTES))) {
    throw new CodedError('INVALID_PARAMS', 'cursor is not one that this list handed out; begin again without it');
  }
  return key.toString('utf8');
}

function checkOf(list: string, key: Buffer): Buffer {
  return createHash('sha256').update(`${list}\0`).update(key).digest().subarray(0, CHECK_BYTES);
}

/** One page of a list. */
export interface Page<T> {
  readonly items: readonly T[];
  readonly nextCursor?: string;
}

export interface PageRequest {
  readonly cursor?: string;
  readonly limit: number;
}

/** Makes a page of `limit` out of up to `limit + 1` rows; the one too many only tells that there is a next page. */
export function pageOf<T>(list: string, rows: readonly T[], limit: number, keyOf: (row: T) => string): Page<T> {
  const items = rows.slice(0, limit);
  const last = items[items.length - 1];
  if (rows.length <= limit || last === undefined) return { items };
  return { items, nextCursor: encodeCursor(list, keyOf(last)) };
}
