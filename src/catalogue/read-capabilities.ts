import { withDeadline } from '../common/deadline.js';
import { CodedError } from '../common/errors.js';
import { JsonError, scanArray, scanObject, sliceOf } from '../common/json-scan.js';
import { type UpstreamReply, type UpstreamSession } from '../session-pool/index.js';
import { CAPABILITY_KINDS, type CapabilityKind, KIND_PROTOCOL } from './capability-kind.js';
import {
  type CapabilityEntry,
  type CapabilityReading,
  type ListReading,
  type ValidationError,
} from './capability-reading.js';
import { parseEntry } from './parse-entry.js';

/** SPEC G-5. */
export const MAX_PAGES = 1_000;
/** All definitions of one list together. */
export const MAX_LIST_BYTES = 64 * 1024 * 1024;

const METHOD_NOT_FOUND = -32601;

export interface ReadOptions {
  /** For one page. */
  readonly pageTimeoutMs: number;
  readonly signal: AbortSignal;
  /** Only these; undefined: all. */
  readonly kinds?: ReadonlySet<CapabilityKind>;
}

/**
 * Reads every page of each list that the server's capabilities offer (SPEC G-5). The lists are read at the same time;
 * one that fails is reported and does not spoil the others; an invalid entry is skipped and reported.
 *
 * @throws only what `signal` aborts with
 */
export async function readCapabilities(session: UpstreamSession, options: ReadOptions): Promise<CapabilityReading> {
  const readers = CAPABILITY_KINDS.map((kind) => new ListReader(session, kind, options));
  const results = await Promise.all(readers.map((reader) => reader.read()));
  options.signal.throwIfAborted();
  const lists = Object.fromEntries(CAPABILITY_KINDS.map((kind, i) => [kind, results[i]]));
  return {
    lists: lists as Record<CapabilityKind, ListReading>,
    validationErrors: readers.flatMap((reader) => reader.validationErrors),
  };
}

interface Page {
  readonly entries: readonly Buffer[];
  /** The bytes of `nextCursor`, passed on as they came. */
  readonly nextCursor?: Buffer;
}

class ListReader {
  readonly validationErrors: ValidationError[] = [];
  private readonly entries = new Map<string, CapabilityEntry>();
  private index = 0;
  private bytes = 0;

  constructor(
    private readonly session: UpstreamSession,
    private readonly kind: CapabilityKind,
    private readonly options: ReadOptions,
  ) {}

  async read(): Promise<ListReading> {
    if (this.options.kinds?.has(this.kind) === false) return { status: 'skipped' };
    const offered = this.session.server.capabilities[this.protocol.capability];
    if (offered === undefined || offered === null || offered === false) return { status: 'absent' };
    try {
      return (await this.readPages()) ? { status: 'read', entries: [...this.entries.values()] } : { status: 'absent' };
    } catch (error) {
      return { status: 'failed', error: this.failure(error) };
    }
  }

  /** @returns whether the server knows the list at all */
  private async readPages(): Promise<boolean> {
    const seen = new Set<string>();
    let cursor: Buffer | undefined;
    for (let page = 1; page <= MAX_PAGES; page++) {
      const reply = await this.request(cursor);
      if (page === 1 && this.isUnknownTemplates(reply)) return false;
      const { entries, nextCursor } = this.pageOf(reply);
      for (const entry of entries) this.take(entry);
      if (!nextCursor) return true;

      const text = nextCursor.toString('utf8');
      if (seen.has(text)) throw this.broken('the server repeated a cursor');
      seen.add(text);
      cursor = nextCursor;
    }
    throw this.broken(`the list has more than ${MAX_PAGES} pages`);
  }

  /** `resources` promises `resources/templates/list` too, but many servers have no templates and answer so. */
  private isUnknownTemplates(reply: UpstreamReply): boolean {
    return this.kind === 'resource_template' && reply.kind === 'error' && errorOf(reply).code === METHOD_NOT_FOUND;
  }

  private request(cursor: Buffer | undefined): Promise<UpstreamReply> {
    const { pageTimeoutMs, signal } = this.options;
    const params = cursor && Buffer.concat([Buffer.from('{"cursor":'), cursor, Buffer.from('}')]);
    const expired = (): Error => new CodedError('UPSTREAM_TIMEOUT', `no answer within ${pageTimeoutMs} ms`);
    return withDeadline(pageTimeoutMs, signal, expired, async (limited) => {
      try {
        return await this.session.request(this.protocol.method, params, { signal: limited });
      } catch (error) {
        if (limited.aborted && !signal.aborted) throw limited.reason;
        throw error;
      }
    });
  }

  private pageOf(reply: UpstreamReply): Page {
    if (reply.kind === 'error') {
      const { code, message } = errorOf(reply);
      throw this.broken(`the server answered error ${code ?? '?'}: ${message}`);
    }
    const members = scanObject(reply.raw);
    const list = members.get(this.protocol.member);
    if (!list) throw this.broken(`the answer has no ${this.protocol.member}`);
    const bytes = sliceOf(reply.raw, list);
    const entries = scanArray(bytes).map((span) => sliceOf(bytes, span));
    const next = members.get('nextCursor');
    const cursor = next && sliceOf(reply.raw, next);
    return { entries, ...(cursor && isCursor(cursor) ? { nextCursor: cursor } : {}) };
  }

  private take(bytes: Buffer): void {
    const index = this.index++;
    this.bytes += bytes.length;
    if (this.bytes > MAX_LIST_BYTES) throw this.broken(`the list has more than ${MAX_LIST_BYTES} bytes`);
    const parsed = parseEntry(this.kind, bytes);
    if (!parsed.ok) {
      const { reason, name } = parsed;
      this.validationErrors.push({ kind: this.kind, index, ...(name === undefined ? {} : { name }), reason });
    } else if (this.entries.has(parsed.entry.originalName)) {
      const name = parsed.entry.originalName;
      this.validationErrors.push({ kind: this.kind, index, name, reason: `${this.protocol.key} is there twice` });
    } else {
      this.entries.set(parsed.entry.originalName, parsed.entry);
    }
  }

  private failure(error: unknown): CodedError {
    if (error instanceof JsonError) return this.broken(`the answer is not valid: ${error.message}`);
    if (error instanceof CodedError) return error as CodedError;
    return new CodedError('INTERNAL', `${this.protocol.method} could not be read`, { cause: error });
  }

  private broken(what: string): CodedError {
    return new CodedError('UPSTREAM_PROTOCOL', `${this.protocol.method}: ${what}`);
  }

  private get protocol() {
    return KIND_PROTOCOL[this.kind];
  }
}

/** `null` and an empty string are how some servers say "no more". */
function isCursor(bytes: Buffer): boolean {
  const text = bytes.toString('utf8');
  return text !== 'null' && text !== '""';
}

function errorOf(reply: UpstreamReply): { code?: number; message: string } {
  const error = JSON.parse(reply.raw.toString('utf8')) as { code?: unknown; message?: unknown };
  return {
    ...(typeof error.code === 'number' ? { code: error.code } : {}),
    message: typeof error.message === 'string' ? error.message.slice(0, 500) : 'without a message',
  };
}
