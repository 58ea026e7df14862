import { Cancellation, type CancelSignal } from '../common/cancellation.js';

export interface QuestionLimits {
  /** How long the client may take to answer. */
  readonly maxMs: number;
  /** How long it may take until the client hears it at all: nobody may be listening. */
  readonly graceMs: number;
}

/** A request of a server that waits for the client's answer; it does not wait for ever. */
export class Question {
  /** Nobody waits for the answer any more, so none is given. */
  unwanted = false;
  private readonly cancellation = new Cancellation();
  private timer: NodeJS.Timeout;

  /** @param heard whether the client has a connection that the question goes to */
  constructor({ maxMs, graceMs }: QuestionLimits, heard: () => boolean) {
    const giveUp = (ms: number): void => this.cancellation.abort(new Error(`it did not answer in ${ms} ms`));
    this.timer = heard()
      ? setTimeout(() => giveUp(maxMs), maxMs)
      : setTimeout(() => {
          if (!heard()) return this.cancellation.abort(new Error('it does not listen'));
          this.timer = setTimeout(() => giveUp(maxMs), maxMs).unref();
        }, graceMs);
    this.timer.unref();
  }

  get signal(): CancelSignal {
    return this.cancellation;
  }

  withdraw(why: string): void {
    this.unwanted = true;
    this.cancellation.abort(new Error(why));
  }

  over(): void {
    clearTimeout(this.timer);
  }
}
