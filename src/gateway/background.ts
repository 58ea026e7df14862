import { CodedError } from '../common/errors.js';

/** The one signal of this room's long work; it aborts when the service ends. */
export class Background {
  private readonly controller = new AbortController();

  get signal(): AbortSignal {
    return this.controller.signal;
  }

  stop(): void {
    this.controller.abort(new CodedError('SHUTTING_DOWN', 'this replica is shutting down; try again'));
  }
}
