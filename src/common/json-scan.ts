/**
 * A strict JSON scanner over bytes: it finds where the members of an object (or the elements of an array) begin and
 * end, and checks the grammar (RFC 8259) on the way, without building a single value. So a message can be routed by its
 * method and name while arguments and results are passed on as the bytes that came (SPEC D-7).
 *
 * It accepts exactly what `JSON.parse` accepts of valid UTF-8, with two exceptions on purpose: a repeated member of the
 * scanned object is refused (two parsers might choose different ones), and so is nesting beyond `MAX_DEPTH`.
 */

/** Bytes from `start` up to, not including, `end`. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

export const MAX_DEPTH = 512;

/** Not JSON, or JSON that we refuse. The message says what and where, never the text itself. */
export class JsonError extends Error {
  override readonly name = 'JsonError';

  constructor(
    problem: string,
    readonly position: number,
  ) {
    super(`${problem} at byte ${position}`);
  }
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;
const OBJECT_OPEN = 0x7b;
const OBJECT_CLOSE = 0x7d;
const ARRAY_OPEN = 0x5b;
const ARRAY_CLOSE = 0x5d;

/** Bytes of a key, quotes included. */
const SHORT_KEY = 24;

/**
 * @param json one JSON object, white space around it allowed
 * @returns the span of each member's value by its decoded name, in order
 * @throws JsonError if it is not valid JSON, not an object, or names a member twice
 */
export function scanObject(json: Uint8Array): Map<string, Span> {
  const members = new Map<string, Span>();
  let at = skipSpace(json, 0);
  if (json[at] !== OBJECT_OPEN) throw new JsonError('expected an object', at);
  at = skipSpace(json, at + 1);
  if (json[at] === OBJECT_CLOSE) return expectEnd(json, at + 1, members);
  for (;;) {
    const keyEnd = skipString(json, at);
    const key = decodeKey(json, at, keyEnd);
    if (members.has(key)) throw new JsonError('repeated member', at);
    at = skipSpace(json, keyEnd);
    if (json[at] !== COLON) throw new JsonError('expected a colon', at);
    const start = skipSpace(json, at + 1);
    const end = skipValue(json, start);
    members.set(key, { start, end });
    at = skipSpace(json, end);
    if (json[at] === OBJECT_CLOSE) return expectEnd(json, at + 1, members);
    if (json[at] !== COMMA) throw new JsonError('expected a comma or a closing brace', at);
    at = skipSpace(json, at + 1);
  }
}

/**
 * @param json one JSON array, white space around it allowed
 * @returns the span of each element
 * @throws JsonError if it is not valid JSON or not an array
 */
export function scanArray(json: Uint8Array): Span[] {
  const elements: Span[] = [];
  let at = skipSpace(json, 0);
  if (json[at] !== ARRAY_OPEN) throw new JsonError('expected an array', at);
  at = skipSpace(json, at + 1);
  if (json[at] === ARRAY_CLOSE) return expectEnd(json, at + 1, elements);
  for (;;) {
    const end = skipValue(json, at);
    elements.push({ start: at, end });
    at = skipSpace(json, end);
    if (json[at] === ARRAY_CLOSE) return expectEnd(json, at + 1, elements);
    if (json[at] !== COMMA) throw new JsonError('expected a comma or a closing bracket', at);
    at = skipSpace(json, at + 1);
  }
}

/** Whether the bytes are one JSON value and nothing else. @throws JsonError */
export function checkJson(json: Uint8Array): void {
  expectEnd(json, skipValue(json, skipSpace(json, 0)), undefined);
}

/** The bytes of a span, not copied. */
export function sliceOf(json: Buffer, span: Span): Buffer {
  return json.subarray(span.start, span.end);
}

function expectEnd<T>(json: Uint8Array, at: number, result: T): T {
  const end = skipSpace(json, at);
  if (end !== json.length) throw new JsonError('text after the end', end);
  return result;
}

function decodeKey(json: Uint8Array, start: number, end: number): string {
  // Nearly every key is short plain ASCII, and then putting it together here is cheaper than a call into a decoder.
  if (end - start > SHORT_KEY) return parseKey(json, start, end);
  let key = '';
  for (let at = start + 1; at < end - 1; at += 1) {
    const byte = json[at] as number;
    if (byte === BACKSLASH || byte > 0x7e) return parseKey(json, start, end);
    key += String.fromCharCode(byte);
  }
  return key;
}

function parseKey(json: Uint8Array, start: number, end: number): string {
  const raw = Buffer.from(json.buffer, json.byteOffset + start, end - start);
  return JSON.parse(raw.toString('utf8')) as string;
}

function skipSpace(json: Uint8Array, from: number): number {
  let at = from;
  for (;;) {
    const byte = json[at];
    if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) return at;
    at += 1;
  }
}

/** One value of any kind, containers without recursion: depth is data, and data comes from strangers. */
function skipValue(json: Uint8Array, from: number): number {
  const first = json[from];
  if (first !== OBJECT_OPEN && first !== ARRAY_OPEN) return skipScalar(json, from);

  const closers: number[] = [];
  let at = from;
  for (;;) {
    const byte = json[at];
    if (byte === OBJECT_OPEN || byte === ARRAY_OPEN) {
      if (closers.length >= MAX_DEPTH) throw new JsonError(`nesting deeper than ${MAX_DEPTH}`, at);
      const closer = byte === OBJECT_OPEN ? OBJECT_CLOSE : ARRAY_CLOSE;
      at = skipSpace(json, at + 1);
      if (json[at] !== closer) {
        closers.push(closer);
        if (closer === OBJECT_CLOSE) at = skipKey(json, at);
        continue;
      }
      at += 1;
    } else {
      at = skipScalar(json, at);
    }
    // A value has ended: close what ends here, or go on to the next element.
    for (;;) {
      const closer = closers[closers.length - 1];
      if (closer === undefined) return at;
      at = skipSpace(json, at);
      if (json[at] === closer) {
        closers.pop();
        at += 1;
        continue;
      }
      if (json[at] !== COMMA) throw new JsonError('expected a comma or a closing bracket', at);
      at = skipSpace(json, at + 1);
      if (closer === OBJECT_CLOSE) at = skipKey(json, at);
      break;
    }
  }
}

/** A member's name and its colon; returns where the value begins. */
function skipKey(json: Uint8Array, from: number): number {
  const at = skipSpace(json, skipString(json, from));
  if (json[at] !== COLON) throw new JsonError('expected a colon', at);
  return skipSpace(json, at + 1);
}

function skipScalar(json: Uint8Array, from: number): number {
  switch (json[from]) {
    case QUOTE:
      return skipString(json, from);
    case 0x74:
      return skipWord(json, from, 'true');
    case 0x66:
      return skipWord(json, from, 'false');
    case 0x6e:
      return skipWord(json, from, 'null');
    default:
      return skipNumber(json, from);
  }
}

function skipWord(json: Uint8Array, from: number, word: string): number {
  for (let i = 0; i < word.length; i++) {
    if (json[from + i] !== word.charCodeAt(i)) throw new JsonError('unknown word', from);
  }
  return from + word.length;
}

function skipString(json: Uint8Array, from: number): number {
  if (json[from] !== QUOTE) throw new JsonError('expected a string', from);
  let at = from + 1;
  for (;;) {
    const byte = json[at];
    if (byte === QUOTE) return at + 1;
    if (byte === BACKSLASH) at = skipEscape(json, at + 1);
    else if (byte === undefined || byte < 0x20) throw new JsonError('unfinished string or control character', at);
    else at += 1;
  }
}

function skipEscape(json: Uint8Array, at: number): number {
  switch (json[at]) {
    case QUOTE:
    case BACKSLASH:
    case 0x2f: // / b f n r t
    case 0x62:
    case 0x66:
    case 0x6e:
    case 0x72:
    case 0x74:
      return at + 1;
    case 0x75: // uXXXX
      for (let i = 1; i <= 4; i++) if (!isHex(json[at + i])) throw new JsonError('bad \\u escape', at);
      return at + 5;
    default:
      throw new JsonError('bad escape', at);
  }
}

function skipNumber(json: Uint8Array, from: number): number {
  let at = json[from] === 0x2d ? from + 1 : from;
  if (json[at] === 0x30) at += 1;
  else at = skipDigits(json, at);
  if (json[at] === 0x2e) at = skipDigits(json, at + 1);
  if (json[at] === 0x65 || json[at] === 0x45) {
    const sign = json[at + 1] === 0x2b || json[at + 1] === 0x2d ? 2 : 1;
    at = skipDigits(json, at + sign);
  }
  return at;
}

function skipDigits(json: Uint8Array, from: number): number {
  let at = from;
  while (isDigit(json[at])) at += 1;
  if (at === from) throw new JsonError('expected a value', from);
  return at;
}

function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= 0x30 && byte <= 0x39;
}

function isHex(byte: number | undefined): boolean {
  return isDigit(byte) || (byte !== undefined && ((byte >= 0x41 && byte <= 0x46) || (byte >= 0x61 && byte <= 0x66)));
}
