import { setTimeout as delay } from 'node:timers/promises';
import { type HealthFinding, type HealthState } from '../catalogue/index.js';
import { CodedError } from '../common/errors.js';
import { type HealthReport } from './gateway-health.js';

export type HealthOutcome = 'healthy' | 'unhealthy' | 'unknown';

export interface HealthLoopOptions {
  /** Milliseconds between the end of a round and the next one, ±10 % (`HEALTH_CHECK_INTERVAL`). */
  readonly intervalMs: number;
  /** Failures in a row that make a gateway unreachable (`UNHEALTHY_THRESHOLD`). */
  readonly threshold: number;
  readonly maxParallel?: number;
  /** Which gateways there are to check. */
  readonly gateways: () => Promise<readonly HealthState[]>;
  /** @throws what says nothing about the server */
  readonly check: (id: string, signal: AbortSignal) => Promise<HealthReport>;
  /** Stores a finding. @returns false when it is out of date */
  readonly note: (seen: HealthState, finding: HealthFinding) => Promise<boolean>;
  readonly onChecked: (outcome: HealthOutcome) => void;
  readonly onChange: (name: string, finding: HealthFinding) => void;
  /** Our own fault, or the database's. */
  readonly onError: (what: string, error: unknown) => void;
  /** 0 to 1. */
  readonly random?: () => number;
}

interface Memory {
  /** In a row, since `lastSeen` was what it is. */
  failures: number;
  lastSeen: number | undefined;
  healthyAt?: Date;
}

const MAX_PARALLEL = 16;

/**
 * Checks all gateways again and again while this replica leads (SPEC G-7). A finding is stored only when it is another
 * one than the record says; what cannot be known changes nothing. The first round comes after one pause, so that a
 * leader that was just started asks nobody for what registering has just found out.
 *
 *   pausing -> checking (at most `maxParallel` at once, in random order) -> pausing          any -> ended
 */
export class HealthLoop {
  private readonly stopping = new AbortController();
  private readonly loops = new Set<Promise<void>>();
  /** Of the latest round of the loop that runs: by id, whether it is reachable. */
  private known = new Map<string, boolean>();

  constructor(private readonly options: HealthLoopOptions) {}

  /** Runs until `signal` aborts. Failures that another leader counted are not known here. */
  start(signal: AbortSignal): void {
    const ended = AbortSignal.any([signal, this.stopping.signal]);
    const loop = this.loop(ended).finally(() => this.loops.delete(loop));
    this.loops.add(loop);
  }

  /** Waits until the running checks have ended. */
  async stop(): Promise<void> {
    this.stopping.abort(new Error('the health loop stops'));
    await Promise.all(this.loops);
  }

  /** How many gateways are reachable, and how many are not; undefined where no loop has looked. */
  get counts(): { readonly reachable: number; readonly unreachable: number } | undefined {
    if (this.loops.size === 0 || this.known.size === 0) return undefined;
    const reachable = [...this.known.values()].filter(Boolean).length;
    return { reachable, unreachable: this.known.size - reachable };
  }

  private async loop(signal: AbortSignal): Promise<void> {
    const memories = new Map<string, Memory>();
    this.known = new Map();
    while (await this.paused(signal)) await this.round(memories, signal);
  }

  /** @returns whether to go on. The process may end meanwhile: the timer is not what keeps it alive. */
  private paused(signal: AbortSignal): Promise<boolean> {
    const { intervalMs } = this.options;
    return delay(intervalMs * (0.9 + this.random() / 5), true, { signal, ref: false }).catch(() => false);
  }

  private async round(memories: Map<string, Memory>, signal: AbortSignal): Promise<void> {
    const { gateways, maxParallel = MAX_PARALLEL, onError } = this.options;
    let states: readonly HealthState[];
    try {
      states = await gateways();
    } catch (error) {
      return onError('gateways could not be listed for their health checks', error);
    }
    this.known = new Map(states.map(({ id, reachable }) => [id, reachable]));
    for (const id of memories.keys()) if (!this.known.has(id)) memories.delete(id);
    const queue = this.shuffled(states).values();
    const worker = async (): Promise<void> => {
      for (const state of queue) {
        if (signal.aborted) return;
        await this.look(state, memories, signal);
      }
    };
    await Promise.all(Array.from({ length: Math.min(maxParallel, states.length) }, worker));
  }

  private async look(state: HealthState, memories: Map<string, Memory>, signal: AbortSignal): Promise<void> {
    const { check, note, onChecked, onChange, onError } = this.options;
    try {
      const report = await this.reportOf(check(state.id, signal));
      if (signal.aborted) return;
      onChecked(!report ? 'unknown' : report.healthy ? 'healthy' : 'unhealthy');
      const finding = report && this.judge(state, report, memories);
      if (!finding || !(await note(state, finding))) return;
      this.known.set(state.id, finding.reachable);
      if (finding.reachable !== state.reachable) onChange(state.name, finding);
    } catch (error) {
      if (!signal.aborted) onError(`the health of gateway ${state.name} could not be told`, error);
    }
  }

  /** Undefined: the check said nothing about the server (no room in the pool, a gateway that is gone). */
  private reportOf(checking: Promise<HealthReport>): Promise<HealthReport | undefined> {
    return checking.catch((error: unknown) => {
      if (error instanceof CodedError) return undefined;
      throw error;
    });
  }

  /** @returns what is to be stored, if it is not what the record says already */
  private judge(state: HealthState, report: HealthReport, memories: Map<string, Memory>): HealthFinding | undefined {
    const memory = memoryOf(state, memories);
    if (report.healthy) {
      memory.failures = 0;
      memory.healthyAt = new Date();
      return state.reachable ? undefined : { reachable: true, lastSeen: memory.healthyAt };
    }
    memory.failures += 1;
    const lastSeen = later(state.lastSeen, memory.healthyAt);
    const { reason = null, message = 'the health check failed' } = report;
    const finding: HealthFinding = { reachable: false, lastSeen, reason, message };
    if (state.reachable) return memory.failures >= this.options.threshold ? finding : undefined;
    return reason !== null && reason !== state.lastErrorReason ? finding : undefined;
  }

  private shuffled(states: readonly HealthState[]): HealthState[] {
    const keyed = states.map((state) => ({ state, key: this.random() }));
    return keyed.sort((a, b) => a.key - b.key).map(({ state }) => state);
  }

  private random(): number {
    return (this.options.random ?? Math.random)();
  }
}

/** Somebody else (a refresh) has reached the gateway since the last look: the count begins anew. */
function memoryOf({ id, lastSeen }: HealthState, memories: Map<string, Memory>): Memory {
  const known = memories.get(id);
  const at = lastSeen?.getTime();
  if (known?.lastSeen === at && known) return known;
  const fresh: Memory = { failures: 0, lastSeen: at };
  memories.set(id, fresh);
  return fresh;
}

function later(a: Date | null, b: Date | undefined): Date | null {
  if (!a || !b) return b ?? a;
  return a > b ? a : b;
}
