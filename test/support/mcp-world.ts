import { countOne, StatsBoard } from './mcp-stats.js';
import { type Faults, type McpServerOptions } from './mcp-options.js';

/** Calls wait here until the test lets them through. */
export class Gate {
  private readonly waiting = new Set<() => void>();

  constructor(private readonly board: StatsBoard) {}

  /** Resolves when the gate is opened; rejects when the call is cancelled. */
  async pass(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    await new Promise<void>((resolve, reject) => {
      const leave = (finish: () => void): void => {
        signal.removeEventListener('abort', stop);
        this.waiting.delete(enter);
        this.count();
        finish();
      };
      const enter = (): void => leave(resolve);
      const stop = (): void => leave(() => reject(signal.reason as Error));
      signal.addEventListener('abort', stop);
      this.waiting.add(enter);
      this.count();
    });
  }

  /** Lets through who waits now; later calls wait again. */
  open(): void {
    for (const enter of [...this.waiting]) enter();
  }

  private count(): void {
    this.board.change((stats) => (stats.atGate = this.waiting.size));
  }
}

/** What all sessions of one test server share; it survives a restart. */
export class World {
  readonly board = new StatsBoard();
  readonly gate = new Gate(this.board);
  readonly faults: Faults;
  /** Names of tools beside the named ones. */
  readonly extraTools: string[];
  /** Executions by the call id that the test chose (tool `counter`). */
  readonly callIds: Record<string, number> = {};
  /** Body of the last request of each method, as it came. */
  readonly lastBody: Record<string, string> = {};

  constructor(readonly options: McpServerOptions) {
    this.faults = options.listFault ? { listFault: options.listFault } : {};
    this.extraTools = Array.from({ length: options.tools ?? 0 }, (_, n) => `tool_${String(n + 1).padStart(4, '0')}`);
  }

  offers(kind: 'tools' | 'resources' | 'prompts'): boolean {
    return this.options.kinds?.includes(kind) ?? true;
  }

  executed(callId: string): void {
    countOne(this.callIds, callId);
  }
}
