import { type CapabilityKind } from '../capability-kind.js';
import { type OwnedCapability } from '../capability-queries.js';
import { type PageRequest } from '../cursor.js';
import { type VirtualServerRecord } from '../entities/virtual-server.entity.js';

/** A capability that is to be shown, as an administrator names it. */
export interface ServerItemSpec {
  /** Id or public name (URI, URI template). */
  readonly capability: string;
  /** Needed where several kinds have this public name. */
  readonly kind?: CapabilityKind;
  /** Another name on this server, for a tool or a prompt; without it the public one. */
  readonly name?: string;
}

/** A virtual server as an administrator describes it (SPEC G-9). */
export interface VirtualServerSpec {
  readonly name: string;
  readonly description: string | null;
  readonly enabled: boolean;
  readonly items: readonly ServerItemSpec[];
}

/** A capability that a server shows, enabled or not. */
export interface ServerItem {
  readonly capability: OwnedCapability;
  /** The name of its own on this server, if it has one. */
  readonly chosenName: string | null;
}

export interface VirtualServerDetails {
  readonly record: VirtualServerRecord;
  /** By kind and name. */
  readonly items: readonly ServerItem[];
}

export interface VirtualServerFilter extends PageRequest {
  readonly enabled?: boolean;
  /** Part of the name, the slug or the description. */
  readonly search?: string;
}

/** What a selection is, without its capabilities themselves. */
export interface VirtualServerSummary {
  readonly record: VirtualServerRecord;
  readonly counts: Readonly<Record<CapabilityKind, number>>;
}

/** The name that clients of the server know a capability by. */
export function shownName({ capability, chosenName }: ServerItem): string {
  return chosenName ?? capability.publicName;
}
