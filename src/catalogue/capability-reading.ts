import { type CodedError } from '../common/errors.js';
import { type ServerInfo, type Transport } from '../session-pool/index.js';
import { type CapabilityKind } from './capability-kind.js';

/** One valid entry of a list. */
export interface CapabilityEntry {
  readonly originalName: string;
  /** The bytes of the entry as the server sent them, as text (SPEC D-7). */
  readonly definition: string;
}

/** An entry that was skipped (SPEC G-5). */
export interface ValidationError {
  readonly kind: CapabilityKind;
  /** Place in the server's list, from 0 over all pages. */
  readonly index: number;
  readonly name?: string;
  readonly reason: string;
}

/**
 * `read`: every page was read, so the list may add, change and remove records. `absent`: the server does not offer it,
 * which is an empty list. `failed`: nothing is known; the last good list stays. `skipped`: nobody asked for it.
 */
export type ListReading =
  | { readonly status: 'read'; readonly entries: readonly CapabilityEntry[] }
  | { readonly status: 'absent' }
  | { readonly status: 'failed'; readonly error: CodedError }
  | { readonly status: 'skipped' };

export interface CapabilityReading {
  readonly lists: Readonly<Record<CapabilityKind, ListReading>>;
  readonly validationErrors: readonly ValidationError[];
}

/** What one contact with a server told: how it was reached, what it is, what it offers. */
export interface ServerReading {
  readonly transport: Transport;
  /** It keeps state for a session (SPEC P-15). */
  readonly stateful: boolean;
  readonly server: ServerInfo;
  readonly capabilities: CapabilityReading;
}
