import { type ServerResponse } from 'node:http';
import { CodedError } from './errors.js';

/** Aborts with CANCELLED when the client goes away before its answer has gone out (SPEC D-8, without a session). */
export function clientSignal(res: ServerResponse): AbortSignal {
  const gone = new AbortController();
  const abort = (): void => gone.abort(new CodedError('CANCELLED', 'the client went away'));
  if (res.destroyed) abort();
  else
    res.once('close', () => {
      if (!res.writableFinished) abort();
    });
  return gone.signal;
}
