import { scanObject, sliceOf } from '../common/json-scan.js';
import { type Target } from '../session-pool/index.js';
import { type CapabilityRecord } from './entities/capability.entity.js';
import { type SessionPolicy } from './gateway-spec.js';

/** A gateway in memory: one object for each id, shared by its tools, and renewed in place when its record changes. */
export interface GatewayEntry {
  readonly id: string;
  readonly name: string;
  readonly slug: string;
  readonly sessionPolicy: SessionPolicy;
  /** SPEC P-15; undefined until the first contact. */
  readonly stateful?: boolean;
  readonly reachable: boolean;
  readonly passthroughHeaders: readonly string[];
  /** A new object when URL, transport or TLS data change; its credentials are always the newest. */
  readonly target: Target;
}

/** A tool in memory: what a call needs. */
export interface ToolEntry {
  readonly id: string;
  readonly publicName: string;
  readonly originalName: string;
  /** The bytes of the JSON string as the server sent it, to be spliced into a call (SPEC D-7). */
  readonly originalNameJson: Buffer;
  readonly readOnlyHint: boolean;
  readonly idempotentHint: boolean;
  readonly gateway: GatewayEntry;
}

export type ToolLookup =
  | { readonly kind: 'found'; readonly tool: ToolEntry }
  | { readonly kind: 'missing' }
  | { readonly kind: 'disabled'; readonly what: 'tool' | 'gateway'; readonly name: string };

type ToolColumns = Pick<CapabilityRecord, 'id' | 'publicName' | 'originalName' | 'definition'>;

export function toolEntry(record: ToolColumns, gateway: GatewayEntry): ToolEntry {
  const definition = Buffer.from(record.definition, 'utf8');
  const members = scanObject(definition);
  const name = members.get('name');
  const annotations = members.get('annotations');
  const hints = annotations ? hintsOf(sliceOf(definition, annotations)) : {};
  return {
    id: record.id,
    publicName: record.publicName,
    originalName: record.originalName,
    // Copied, so that a long definition is not kept in memory for its name.
    originalNameJson: name ? Buffer.from(sliceOf(definition, name)) : Buffer.from(JSON.stringify(record.originalName)),
    readOnlyHint: hints.readOnlyHint === true,
    idempotentHint: hints.idempotentHint === true,
    gateway,
  };
}

function hintsOf(bytes: Buffer): { readOnlyHint?: unknown; idempotentHint?: unknown } {
  const value: unknown = JSON.parse(bytes.toString('utf8'));
  return typeof value === 'object' && value !== null ? value : {};
}
