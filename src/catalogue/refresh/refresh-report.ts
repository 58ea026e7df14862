import { CAPABILITY_KINDS, type CapabilityKind } from '../capability-kind.js';
import { type CapabilityReading, type ValidationError } from '../capability-reading.js';
import { type CapabilityChanges } from '../capability-store.js';

/** A list that could not be read, and why: the last good one stays. */
export interface FailedList {
  readonly kind: CapabilityKind;
  readonly code: string;
  readonly message: string;
}

/** What became of a refresh (SPEC G-5). */
export interface RefreshReport {
  /** Every list that was asked for was read completely and stored. */
  readonly success: boolean;
  /** Another refresh, on whichever replica, has done it meanwhile. */
  readonly covered: boolean;
  readonly error?: string;
  readonly changes: CapabilityChanges;
  readonly failedLists: readonly FailedList[];
  readonly validationErrors: readonly ValidationError[];
  readonly durationMs: number;
}

const NO_CHANGES = Object.fromEntries(
  CAPABILITY_KINDS.map((kind) => [kind, { added: 0, updated: 0, removed: 0, visible: false }]),
) as unknown as CapabilityChanges;

export function coveredReport(durationMs: number): RefreshReport {
  return { success: true, covered: true, changes: NO_CHANGES, failedLists: [], validationErrors: [], durationMs };
}

export function reportOf(reading: CapabilityReading, changes: CapabilityChanges, durationMs: number): RefreshReport {
  const failedLists = failuresOf(reading);
  const error = failedLists.map(({ message }) => message).join('; ');
  return {
    success: failedLists.length === 0,
    covered: false,
    ...(error === '' ? {} : { error }),
    ...{ changes, failedLists, validationErrors: reading.validationErrors, durationMs },
  };
}

/** Kinds whose lists look different to clients now. */
export function visibleKinds(changes: CapabilityChanges): CapabilityKind[] {
  return CAPABILITY_KINDS.filter((kind) => changes[kind].visible);
}

/** Whether any record was added, changed or removed. */
export function hasChanged(changes: CapabilityChanges): boolean {
  return CAPABILITY_KINDS.some((kind) => {
    const { added, updated, removed } = changes[kind];
    return added + updated + removed > 0;
  });
}

function failuresOf({ lists }: CapabilityReading): FailedList[] {
  return CAPABILITY_KINDS.flatMap((kind) => {
    const list = lists[kind];
    if (list.status !== 'failed') return [];
    return [{ kind, code: list.error.code, message: list.error.message }];
  });
}
