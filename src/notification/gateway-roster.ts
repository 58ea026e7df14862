import { type CatalogueService, type GatewayEntry } from '../catalogue/index.js';
import { type Log } from '../logging/logger.js';
import { type PassResult, RefreshDebouncer, type Wanted } from './refresh-debouncer.js';

export interface GatewayRosterOptions {
  readonly catalogue: Pick<CatalogueService, 'enabledGatewayIds' | 'findGateway' | 'changes'>;
  readonly log: Log;
  /** Pause between two looks at all of them: for what was changed on a replica that could not tell. */
  readonly syncMs: number;
}

/** The gateway was added or changed, or (undefined) is gone or disabled. Must not throw and not wait. */
export type RosterListener = (id: string, entry: GatewayEntry | undefined) => void;

/** Stands for all gateways among the ids of those that are to be looked at. */
const ALL = '*';
const QUIET_MS = 10;
const MAX_WAIT_MS = 100;
const RETRY = { firstMs: 1_000, maxMs: 30_000 };

/** The enabled gateways, kept true by the catalogue's feed; its entries are live. */
export class GatewayRoster {
  private readonly entries = new Map<string, GatewayEntry>();
  private readonly listeners = new Set<RosterListener>();
  private readonly looks: RefreshDebouncer<string>;
  private unsubscribe: () => void = () => undefined;
  private timer: NodeJS.Timeout | undefined;

  constructor(private readonly options: GatewayRosterOptions) {
    this.looks = new RefreshDebouncer<string>({
      ...{ quietMs: QUIET_MS, maxWaitMs: MAX_WAIT_MS, retry: RETRY },
      run: (take, signal) => this.lookAtThese(take(), signal),
      onFailure: (error, failures) => {
        const message = 'the list of gateways cannot be read; trying on';
        if (failures === 1) options.log.warn({ reason: String(error) }, message);
      },
    });
  }

  start(): void {
    this.unsubscribe = this.options.catalogue.changes.subscribe(({ gatewayId }) => this.looks.request([gatewayId]));
    this.look();
    this.arm();
  }

  /** Remembered by its parts. */
  async stop(): Promise<void> {
    this.unsubscribe();
    clearTimeout(this.timer);
    await this.looks.stop();
  }

  /** Looks at all of them soon: what other replicas have changed may not be known here. */
  look(): void {
    this.looks.request([ALL]);
  }

  onChange(listener: RosterListener): () => void {
    this.listeners.add(listener);
    return () => void this.listeners.delete(listener);
  }

  /** @returns undefined: there is none, or another replica has it since a moment; then it is looked for */
  find(id: string): GatewayEntry | undefined {
    const entry = this.entries.get(id);
    if (!entry) this.looks.request([id]);
    return entry;
  }

  all(): Iterable<GatewayEntry> {
    return this.entries.values();
  }

  private arm(): void {
    this.timer = setTimeout(() => {
      this.look();
      this.arm();
    }, this.options.syncMs).unref();
  }

  private async lookAtThese({ kinds: ids }: Wanted<string>, signal: AbortSignal): Promise<PassResult> {
    if (!ids.has(ALL)) await this.lookAt(ids, signal);
    else {
      const enabled = await this.options.catalogue.enabledGatewayIds();
      await this.lookAt(new Set([...this.entries.keys(), ...enabled, ...[...ids].filter((id) => id !== ALL)]), signal);
    }
    return 'changed';
  }

  private async lookAt(ids: ReadonlySet<string>, signal: AbortSignal): Promise<void> {
    for (const id of ids) {
      const entry = await this.options.catalogue.findGateway(id);
      signal.throwIfAborted();
      this.note(id, entry?.enabled && !entry.deleted ? entry : undefined);
    }
  }

  private note(id: string, entry: GatewayEntry | undefined): void {
    if (entry) this.entries.set(id, entry);
    else this.entries.delete(id);
    for (const listener of this.listeners) listener(id, entry);
  }
}
