import { type CapabilityKind } from './capability-kind.js';

/** A change of the catalogue that was committed. */
export interface CatalogueChange {
  readonly gatewayId: string;
  /** Kinds whose lists may look different now; none when only what calls need has changed (SPEC G-7). */
  readonly kinds: readonly CapabilityKind[];
}

/** Tells others on this replica what has changed. A listener must not throw and not wait. */
export class ChangeFeed<C = CatalogueChange> {
  private readonly listeners = new Set<(change: C) => void>();

  /** @returns ends the subscription */
  subscribe(listener: (change: C) => void): () => void {
    this.listeners.add(listener);
    return () => void this.listeners.delete(listener);
  }

  publish(change: C): void {
    for (const listener of this.listeners) listener(change);
  }
}
