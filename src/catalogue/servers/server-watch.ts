import { CAPABILITY_KINDS, type CapabilityKind } from '../capability-kind.js';
import { type Fingerprint } from './virtual-server-queries.js';

export interface ServerWatchOptions {
  readonly read: (serverIds: readonly string[]) => Promise<ReadonlyMap<string, Fingerprint>>;
  /** The lists of a watched server are others than before. */
  readonly onDifference: (serverId: string, kinds: readonly CapabilityKind[]) => void;
}

/**
 * Which virtual servers show something else after a change (SPEC N-7): their lists are compared with what they were when
 * they were last looked at. One comparison at a time, each on what is committed by then; a change that comes while one
 * waits for its turn needs no other. Where the database cannot be asked, everything counts as changed.
 */
export class ServerWatch {
  private readonly known = new Map<string, Fingerprint | undefined>();
  private queue: Promise<void> = Promise.resolve();
  private waiting: Promise<void> | undefined;

  constructor(private readonly options: ServerWatchOptions) {}

  /** From now on, if it was not before. There are as many of them as virtual servers in use. */
  async watch(serverId: string): Promise<void> {
    if (this.known.has(serverId)) return;
    await this.inTurn(async () => {
      if (!this.known.has(serverId)) this.known.set(serverId, (await this.options.read([serverId])).get(serverId));
    });
  }

  forget(serverId: string): void {
    this.known.delete(serverId);
  }

  /** Something has changed, it is not known where. Resolves when the differences have been told. */
  compareAll(): Promise<void> {
    if (this.waiting) return this.waiting;
    this.waiting = this.inTurn(async () => {
      this.waiting = undefined;
      for (const [id, kinds] of await this.compare([...this.known.keys()])) {
        if (kinds.length > 0) this.options.onDifference(id, kinds);
      }
    });
    return this.waiting;
  }

  /** The kinds whose lists differ; all of them for a server that nobody watches. */
  async differencesOf(serverId: string): Promise<readonly CapabilityKind[]> {
    if (!this.known.has(serverId)) return CAPABILITY_KINDS;
    let kinds: readonly CapabilityKind[] = CAPABILITY_KINDS;
    await this.inTurn(async () => {
      kinds = (await this.compare([serverId])).get(serverId) ?? CAPABILITY_KINDS;
    });
    return kinds;
  }

  private inTurn(work: () => Promise<void>): Promise<void> {
    const turn = this.queue.then(work);
    this.queue = turn.catch(() => undefined); // told to who asked; the next one begins all the same
    return turn;
  }

  private async compare(ids: readonly string[]): Promise<Map<string, readonly CapabilityKind[]>> {
    if (ids.length === 0) return new Map();
    const now = await this.options.read(ids).catch(() => undefined);
    const differences = new Map<string, readonly CapabilityKind[]>();
    for (const id of ids) {
      if (!this.known.has(id)) continue; // forgotten meanwhile
      const [before, after] = [this.known.get(id), now?.get(id)];
      this.known.set(id, after);
      differences.set(
        id,
        CAPABILITY_KINDS.filter((kind) => !before || !after || before.get(kind) !== after.get(kind)),
      );
    }
    return differences;
  }
}
