import { CodedError } from '../../common/errors.js';
import { requestFrame } from '../../common/jsonrpc.js';
import { type HeaderMap, type RawJson, type UpstreamReply } from '../upstream.port.js';
import { Post } from './post.js';

/** One request of ours: the POST that carries it and the answer that will come on the stream. Settles once. */
export class SseCall {
  readonly post: Post;
  /** Resolves when the POST has been taken or has failed; never rejects. */
  delivered: Promise<void> = Promise.resolve();
  /** The server has taken it and owes us an answer. */
  accepted = false;
  answered = false;
  private settled = false;

  constructor(
    readonly id: number,
    readonly method: string,
    params: RawJson | undefined,
    headers: HeaderMap | undefined,
    private readonly done: (outcome: UpstreamReply | CodedError) => void,
  ) {
    this.post = new Post(requestFrame(id, method, params), 'call', headers);
  }

  settle(outcome: UpstreamReply | CodedError): void {
    if (this.settled) return;
    this.settled = true;
    this.answered = !(outcome instanceof CodedError);
    this.done(outcome);
  }
}
