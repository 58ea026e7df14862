import { type CodedError } from '../../common/errors.js';
import { type Id, responseParts } from '../../common/jsonrpc.js';
import { type Reply } from '../../execution/index.js';
import { errorBody } from '../error-body.js';
import { type EventStream } from '../stream/event-stream.js';
import { type Answer } from './answer.js';

/** Everything that belongs to the request goes onto one stream: that of an HTTP+SSE session, or of a batch. */
export class StreamAnswer implements Answer {
  constructor(
    private readonly stream: EventStream,
    private readonly id: Id,
  ) {}

  interim(frame: Buffer): void {
    this.stream.send([frame]);
  }

  reply({ kind, raw }: Reply): void {
    this.stream.send(responseParts(this.id, kind, raw));
  }

  fail(error: CodedError): void {
    this.stream.send(responseParts(this.id, 'error', errorBody(error)));
  }

  cancelled(): void {
    // Nothing follows, and the stream belongs to others too.
  }
}
