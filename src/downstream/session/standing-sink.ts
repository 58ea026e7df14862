import { type CancelSignal } from '../../common/cancellation.js';
import { type Reply, type SessionSink } from '../../execution/index.js';
import { type EventStream } from '../stream/event-stream.js';
import { type ClientRequests } from './client-requests.js';

/** What a server says outside of any call, on the way to the session's standing stream. */
export class StandingSink implements SessionSink {
  constructor(
    private readonly stream: EventStream,
    private readonly asked: ClientRequests,
  ) {}

  get listening(): boolean {
    return this.stream.attached;
  }

  notify(frame: Buffer): void {
    this.stream.send([frame]);
  }

  ask(
    method: string,
    params: Buffer | undefined,
    signal: CancelSignal,
    onProgress?: (params: Buffer) => void,
  ): Promise<Reply> {
    return this.asked.ask((frame) => this.stream.send([frame]), method, params, signal, onProgress);
  }
}
