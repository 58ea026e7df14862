import { scanObject, sliceOf } from '../common/json-scan.js';
import { type Target } from '../session-pool/index.js';
import { type CapabilityKind, KIND_PROTOCOL } from './capability-kind.js';
import { type CapabilityRecord } from './entities/capability.entity.js';
import { type SessionPolicy } from './gateway-spec.js';
import { type RefreshKind } from './refresh/refresh-kinds.js';

/** Why nobody calls a gateway now. */
export interface Unreachable {
  /** When it last answered; undefined: never. */
  readonly since?: Date;
  /** Its class (SPEC G-2), or `unknown`. */
  readonly reason: string;
}

/** A gateway in memory: one object for each id, shared by its tools, and renewed in place when its record changes. */
export interface GatewayEntry {
  readonly id: string;
  readonly name: string;
  readonly slug: string;
  readonly sessionPolicy: SessionPolicy;
  /** SPEC P-15; undefined until the first contact. */
  readonly stateful?: boolean;
  readonly enabled: boolean;
  /** Lists whose changes the server announces (SPEC N-2); undefined until the first contact. */
  readonly listChanged?: ReadonlySet<RefreshKind>;
  /** Grows when URL, transport, credentials or TLS data change: what was opened before leads elsewhere. */
  readonly connectionVersion: number;
  /** SPEC G-7; undefined: calls may go there. */
  readonly unreachable?: Unreachable;
  /** It was deleted while somebody held this entry. */
  readonly deleted: boolean;
  readonly passthroughHeaders: readonly string[];
  /** A new object when URL, transport or TLS data change; its credentials are always the newest. */
  readonly target: Target;
}

/** What is called by a name: a prompt, or as `ToolEntry` a tool. */
export interface NamedEntry {
  readonly id: string;
  readonly publicName: string;
  readonly originalName: string;
  /** The bytes of the JSON string as the server sent it, to be spliced into a call (SPEC D-7). */
  readonly originalNameJson: Buffer;
  readonly gateway: GatewayEntry;
}

/** A tool in memory: what a call needs. */
export interface ToolEntry extends NamedEntry {
  readonly readOnlyHint: boolean;
  readonly idempotentHint: boolean;
}

/** Where a URI is read: a resource of its own record, or one that a template stands for. */
export interface ResourceEntry {
  /** The URI that was asked for. */
  readonly publicUri: string;
  /** What the server calls it: without the alias of SPEC G-4. */
  readonly originalUri: string;
  /** The bytes of the JSON string, to be spliced into a call (SPEC D-7). */
  readonly originalUriJson: Buffer;
  /** There is no record of it: a template stands for it. */
  readonly viaTemplate: boolean;
  readonly gateway: GatewayEntry;
}

export type Lookup<E> =
  | { readonly kind: 'found'; readonly entry: E }
  | { readonly kind: 'missing' }
  | { readonly kind: 'disabled'; readonly what: 'gateway' | 'tool' | 'resource' | 'prompt'; readonly name: string };

export type ToolLookup = Lookup<ToolEntry>;
export type PromptLookup = Lookup<NamedEntry>;
export type ResourceLookup = Lookup<ResourceEntry>;

type EntryColumns = Pick<CapabilityRecord, 'id' | 'kind' | 'publicName' | 'originalName' | 'definition'>;

export function namedEntry(record: EntryColumns, gateway: GatewayEntry): NamedEntry {
  const { id, publicName, originalName } = record;
  return { id, publicName, originalName, originalNameJson: nameJson(record), gateway };
}

export function toolEntry(record: EntryColumns, gateway: GatewayEntry): ToolEntry {
  const annotations = memberOf(record.definition, 'annotations');
  const hints = annotations ? hintsOf(annotations) : {};
  return {
    ...namedEntry(record, gateway),
    readOnlyHint: hints.readOnlyHint === true,
    idempotentHint: hints.idempotentHint === true,
  };
}

/** What a URI leads to: its record, or the template that it comes from. */
export interface ResourceSource {
  readonly record: EntryColumns;
  /** What it was asked for and is read by, where the record's own names do not say so. */
  readonly uris?: { readonly publicUri: string; readonly originalUri: string };
  readonly viaTemplate: boolean;
}

export function resourceEntry({ record, uris, viaTemplate }: ResourceSource, gateway: GatewayEntry): ResourceEntry {
  const { publicName, originalName } = record;
  const { publicUri, originalUri } = uris ?? { publicUri: publicName, originalUri: originalName };
  // The server's own spelling wherever the URI is the record's own.
  const originalUriJson = originalUri === originalName ? nameJson(record) : Buffer.from(JSON.stringify(originalUri));
  return { publicUri, originalUri, originalUriJson, viaTemplate, gateway };
}

/** The bytes of a record's own name or URI. */
export function nameJson(record: Pick<EntryColumns, 'kind' | 'originalName' | 'definition'>): Buffer {
  const name = memberOf(record.definition, KIND_PROTOCOL[record.kind].key);
  // Copied, so that a long definition is not kept in memory for its name.
  return name ? Buffer.from(name) : Buffer.from(JSON.stringify(record.originalName));
}

/** What an error calls a record of this kind. */
export function nounOf(kind: CapabilityKind): 'tool' | 'resource' | 'prompt' {
  return kind === 'resource_template' ? 'resource' : kind;
}

function memberOf(definition: string, member: string): Buffer | undefined {
  const bytes = Buffer.from(definition, 'utf8');
  const span = scanObject(bytes).get(member);
  return span && sliceOf(bytes, span);
}

function hintsOf(bytes: Buffer): { readOnlyHint?: unknown; idempotentHint?: unknown } {
  const value: unknown = JSON.parse(bytes.toString('utf8'));
  return typeof value === 'object' && value !== null ? value : {};
}
