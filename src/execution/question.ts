/** A request of a server that waits for the client's answer; it does not wait for ever. */
export class Question {
  /** Nobody waits for the answer any more, so none is given. */
  unwanted = false;
  private readonly controller = new AbortController();
  private readonly timer: NodeJS.Timeout;

  constructor(maxMs: number) {
    this.timer = setTimeout(() => this.controller.abort(new Error(`it did not answer in ${maxMs} ms`)), maxMs).unref();
  }

  get signal(): AbortSignal {
    return this.controller.signal;
  }

  withdraw(why: string): void {
    this.unwanted = true;
    this.controller.abort(new Error(why));
  }

  over(): void {
    clearTimeout(this.timer);
  }
}
