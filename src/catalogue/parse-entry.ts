import { JsonError, scanObject, sliceOf } from '../common/json-scan.js';
import { type CapabilityKind, KIND_PROTOCOL } from './capability-kind.js';
import { type CapabilityEntry } from './capability-reading.js';

export const MAX_DEFINITION_BYTES = 256 * 1024;

export type ParsedEntry =
  | { readonly ok: true; readonly entry: CapabilityEntry }
  | { readonly ok: false; readonly reason: string; readonly name?: string };

/** Checks just what we need of one list entry; its bytes are kept as they came (SPEC D-7, G-5). */
export function parseEntry(kind: CapabilityKind, bytes: Buffer): ParsedEntry {
  const { key, maxNameBytes } = KIND_PROTOCOL[kind];
  const name = nameOf(bytes, key);
  if (!name.ok) return name;
  const problem = nameProblem(name.value, key, maxNameBytes);
  if (problem) return { ok: false, reason: problem, name: name.value.replaceAll('\0', '').slice(0, 128) };
  if (bytes.length > MAX_DEFINITION_BYTES) {
    const reason = `the definition has ${bytes.length} bytes; the limit is ${MAX_DEFINITION_BYTES}`;
    return { ok: false, reason, name: name.value };
  }
  return { ok: true, entry: { originalName: name.value, definition: bytes.toString('utf8') } };
}

function nameOf(bytes: Buffer, key: string): { ok: true; value: string } | { ok: false; reason: string } {
  try {
    const span = scanObject(bytes).get(key);
    if (!span) return { ok: false, reason: `${key} is missing` };
    const value: unknown = JSON.parse(sliceOf(bytes, span).toString('utf8'));
    return typeof value === 'string' ? { ok: true, value } : { ok: false, reason: `${key} is not a string` };
  } catch (error) {
    if (error instanceof JsonError) return { ok: false, reason: `not an entry: ${error.message}` };
    throw error;
  }
}

function nameProblem(name: string, key: string, maxBytes: number): string | undefined {
  if (name === '') return `${key} is empty`;
  const size = Buffer.byteLength(name);
  if (size > maxBytes) return `${key} is too long: ${size} bytes; the limit is ${maxBytes}`;
  // Postgres cannot store either, and a name that is stored differently would not be found at the server.
  if (name.includes('\0') || /\p{Surrogate}/u.test(name)) return `${key} holds a character that is not text`;
  return undefined;
}
