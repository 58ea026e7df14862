import { type CallClock } from './call-clock.js';
import { type ClientSink } from './client-sink.js';
import { type Question } from './question.js';

/** A call in flight on an upstream session, as the router of that session knows it. */
export class RoutedCall {
  /** What the request is called upstream. */
  id = 0;
  /** What the server asks because of this call; made when it does. */
  private questions: Set<Question> | undefined;

  constructor(
    readonly clock: CallClock,
    /** Where what belongs to the call goes; undefined: nobody listens (`/rpc`, REST). */
    readonly sink: ClientSink | undefined,
    /** The progress token, as the client chose it and as the server knows it; undefined: no progress is wanted. */
    readonly token?: { readonly theirs: Buffer; readonly ours: number },
  ) {}

  asks(question: Question): void {
    this.questions ??= new Set();
    this.questions.add(question);
  }

  hasAsked(question: Question): void {
    this.questions?.delete(question);
  }

  /** It is over: what it asked is of no use to anybody. */
  end(): void {
    for (const question of this.questions ?? []) question.withdraw('the call that asked has ended');
  }
}
