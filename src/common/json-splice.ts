import { scanObject, type Span } from './json-scan.js';

/** Bytes that take the place of a span. */
export interface Splice {
  readonly span: Span;
  readonly bytes: Buffer;
}

/**
 * The span of a member of nested objects, from the beginning of `json`; undefined if there is none.
 *
 * @throws JsonError if `json`, or what stands on the way, is no JSON object
 */
export function memberSpan(json: Buffer, ...path: readonly string[]): Span | undefined {
  let outer: Span = { start: 0, end: json.length };
  for (const name of path) {
    const span = scanObject(json.subarray(outer.start, outer.end)).get(name);
    if (!span) return undefined;
    outer = { start: outer.start + span.start, end: outer.start + span.end };
  }
  return outer;
}

/** The same text with other bytes in these places, which must not overlap; every other byte stays (SPEC D-7). */
export function splice(json: Buffer, splices: readonly Splice[]): Buffer {
  if (splices.length === 0) return json;
  const parts: Buffer[] = [];
  let at = 0;
  for (const { span, bytes } of [...splices].sort((a, b) => a.span.start - b.span.start)) {
    parts.push(json.subarray(at, span.start), bytes);
    at = span.end;
  }
  parts.push(json.subarray(at));
  return Buffer.concat(parts);
}
