import { JsonError, scanObject, sliceOf, type Span } from '../common/json-scan.js';
import { memberSpan, splice, type Splice } from '../common/json-splice.js';
import { readString } from '../common/jsonrpc.js';
import { ExecutionError } from './execution.errors.js';

const NONE = Buffer.from('{}');

/**
 * `params` of a request, taken apart without being decoded: of what goes upstream only the name (or URI) and the
 * progress token change, the rest are the bytes that came (SPEC D-7).
 */
export class Params {
  private readonly members: ReadonlyMap<string, Span>;
  private readonly tokenSpan: Span | undefined;
  private readonly renamed: Splice[] = [];

  /** @throws ExecutionError INVALID_PARAMS if it is no object, or its `_meta` is none */
  constructor(private readonly json: Buffer = NONE) {
    this.members = readOrRefuse(() => scanObject(json));
    const meta = this.members.get('_meta');
    this.tokenSpan = meta && readOrRefuse(() => tokenIn(json, meta));
  }

  /** MCP, Utilities, "Progress": the token that the client chose, as bytes. */
  get progressToken(): Buffer | undefined {
    return this.tokenSpan && sliceOf(this.json, this.tokenSpan);
  }

  /** @throws ExecutionError INVALID_PARAMS when it is missing or no string */
  string(...path: readonly [string, ...string[]]): string {
    const text = this.optionalString(...path);
    if (text === undefined) throw new ExecutionError('INVALID_PARAMS', `params.${path.join('.')} is missing`);
    return text;
  }

  /** @throws ExecutionError INVALID_PARAMS when it is there and no string */
  optionalString(...path: readonly [string, ...string[]]): string | undefined {
    const span = this.span(path);
    if (!span) return undefined;
    const raw = sliceOf(this.json, span);
    if (raw[0] !== 0x22) throw new ExecutionError('INVALID_PARAMS', `params.${path.join('.')} must be a string`);
    return readString(raw);
  }

  /** From now on `bytes` stands there instead; the member must be there. */
  rename(bytes: Buffer, ...path: readonly [string, ...string[]]): this {
    const span = this.span(path);
    if (span) this.renamed.push({ span, bytes });
    return this;
  }

  /** The bytes that go upstream. @param token takes the place of the client's progress token */
  withToken(token: Buffer | undefined): Buffer {
    const { tokenSpan, renamed } = this;
    return splice(this.json, token && tokenSpan ? [...renamed, { span: tokenSpan, bytes: token }] : renamed);
  }

  private span([first, ...rest]: readonly [string, ...string[]]): Span | undefined {
    const span = this.members.get(first);
    if (!span || rest.length === 0) return span;
    return readOrRefuse(() => within(this.json, span, rest));
  }
}

function tokenIn(json: Buffer, meta: Span): Span | undefined {
  const span = within(json, meta, ['progressToken']);
  const first = span && json[span.start];
  // MCP: a string or a number; anything else is as good as none.
  return first === 0x22 || first === 0x2d || (first !== undefined && first >= 0x30 && first <= 0x39) ? span : undefined;
}

function within(json: Buffer, outer: Span, path: readonly string[]): Span | undefined {
  const span = memberSpan(sliceOf(json, outer), ...path);
  return span && { start: outer.start + span.start, end: outer.start + span.end };
}

function readOrRefuse<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof JsonError)) throw error;
    throw new ExecutionError('INVALID_PARAMS', `params: ${error.message}`);
  }
}
