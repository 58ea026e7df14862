import { type CancelSignal } from '../../common/cancellation.js';
import { type ClientSink, type Reply } from '../../execution/index.js';
import { type Answer } from './answer.js';
import { type ClientRequests } from './client-requests.js';

/** What a server says during one call, on the way to the answer of that call. */
export class AnswerSink implements ClientSink {
  constructor(
    private readonly answer: Answer,
    private readonly asked: ClientRequests,
  ) {}

  notify(frame: Buffer): void {
    this.answer.interim(frame);
  }

  pause(retryMs: number): void {
    this.answer.pause?.(retryMs);
  }

  ask(
    method: string,
    params: Buffer | undefined,
    signal: CancelSignal,
    onProgress?: (params: Buffer) => void,
  ): Promise<Reply> {
    return this.asked.ask((frame) => this.answer.interim(frame), method, params, signal, onProgress);
  }
}
