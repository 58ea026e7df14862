import { memberSpan, splice } from '../common/json-splice.js';
import { JsonError, sliceOf, type Span } from '../common/json-scan.js';
import { notificationFrame } from '../common/jsonrpc.js';
import { type UpstreamMessage, type UpstreamReply, type UpstreamSession } from '../session-pool/index.js';
import { type CallClock } from './call-clock.js';
import { type ClientSink, type SessionSink } from './client-sink.js';
import { Question } from './question.js';
import { refusal } from './refusal.js';
import { RoutedCall } from './routed-call.js';

/** What a server may ask a client, and the capability that the client must have declared for it. */
const QUESTIONS: ReadonlyMap<string, string> = new Map([
  ['sampling/createMessage', 'sampling'],
  ['elicitation/create', 'elicitation'],
  ['roots/list', 'roots'],
]);
const PROGRESS = 'notifications/progress';
/** What one upstream session may ask at once; servers are strangers. */
const MAX_QUESTIONS = 50;
/** How long a question waits for a client that does not listen. */
const LISTEN_GRACE_MS = 10_000;

/** What is asked, where, and because of what. */
interface Ask {
  readonly method: string;
  readonly params: Buffer | undefined;
  readonly sink: ClientSink;
  readonly owner: RouterOwner;
  readonly call: RoutedCall | undefined;
}

/** They concern the catalogue, which tells the clients itself once it has read the lists (SPEC N-7). */
const LIST_CHANGED = /^notifications\/(tools|resources|prompts)\/list_changed$/;

/** The downstream session that an upstream session is bound to, as its router knows it. */
export interface RouterOwner {
  readonly client: {
    readonly sink: SessionSink;
    declares(capability: string): boolean;
    /** @param params of a logging message */
    wantsLog(params: Buffer | undefined): boolean;
  };
  /** How long the client may take to answer a question, at most. */
  readonly limits: { readonly maxMs: number };
  /** @param params of `notifications/resources/updated` */
  updated(params: Buffer | undefined): void;
}

/**
 * Who hears what a server says on one upstream session (SPEC D-8): the calls in flight, by the id and the progress token
 * that each got there, else the downstream session that it is bound to. One for each session, for as long as it lives.
 * Ids and tokens that a client chose never go upstream, so two clients with the same ones never meet.
 */
export class SessionRouter {
  private static readonly routers = new WeakMap<UpstreamSession, SessionRouter>();
  private readonly calls = new Map<number, RoutedCall>();
  private readonly byToken = new Map<number, RoutedCall>();
  private lastToken = 0;
  /** Questions of the server that wait for an answer, by the bytes of its id. */
  private readonly questions = new Map<string, Question>();
  private owner: RouterOwner | undefined;

  private constructor(private readonly session: UpstreamSession) {
    session.onMessage((message) => this.route(message));
  }

  static of(session: UpstreamSession): SessionRouter {
    let router = SessionRouter.routers.get(session);
    if (!router) SessionRouter.routers.set(session, (router = new SessionRouter(session)));
    return router;
  }

  /** The session belongs to this one alone from now on. */
  bindTo(owner: RouterOwner): void {
    this.owner = owner;
  }

  /** A call that is about to be sent: `started` says its id, `ended` that it is over. */
  call(clock: CallClock, sink: ClientSink | undefined, token: Buffer | undefined): RoutedCall {
    if (token === undefined) return new RoutedCall(clock, sink);
    const call = new RoutedCall(clock, sink, { theirs: token, ours: (this.lastToken += 1) });
    this.byToken.set(this.lastToken, call);
    return call;
  }

  started(id: number, call: RoutedCall): void {
    call.id = id;
    this.calls.set(id, call);
  }

  ended(call: RoutedCall): void {
    this.calls.delete(call.id);
    if (call.token) this.byToken.delete(call.token.ours);
    call.end();
  }

  private route(message: UpstreamMessage): void {
    const { origin } = message;
    const call = origin === undefined ? undefined : this.calls.get(origin);
    call?.clock.signOfLife();
    // Where nothing tells which call a message belongs to, it is a sign of life of all of them.
    if (origin === undefined && this.mayBeOfACall(message)) {
      for (const { clock } of this.calls.values()) clock.signOfLife();
    }
    if (message.id !== undefined) return void this.question(message.id, message, call);
    if (LIST_CHANGED.test(message.method)) return;
    switch (message.method) {
      case PROGRESS:
        return this.progress(message);
      case 'notifications/cancelled':
        return this.withdrawn(message);
      case 'notifications/resources/updated':
        return this.owner?.updated(message.params);
      case 'notifications/message':
        if (this.owner?.client.wantsLog(message.params) === false) return;
        break;
      default:
    }
    if (origin !== undefined && !call) return; // of a call that is over
    this.sinkFor(call)?.notify(notificationFrame(message.method, message.params));
  }

  /** Over streamable HTTP what a call says comes on its own stream, or is a question; chatter must not keep it alive. */
  private mayBeOfACall({ id, method }: UpstreamMessage): boolean {
    if (LIST_CHANGED.test(method)) return false;
    return id !== undefined || this.session.transport === 'sse' || method !== 'notifications/message';
  }

  /** The session is of no more use: what it asked is taken back from the client. */
  withdrawAll(why: string): void {
    for (const question of this.questions.values()) question.withdraw(why);
  }

  /** The call's own stream, else the session's, else that of the only call that could be meant. */
  private sinkFor(call: RoutedCall | undefined): ClientSink | undefined {
    if (call) return call.sink;
    const standing = this.owner?.client.sink;
    if (!standing || standing.listening || this.calls.size !== 1) return standing;
    const [only] = this.calls.values();
    return only?.sink ?? standing;
  }

  private progress({ params }: UpstreamMessage): void {
    const span = params && spanOf(params, 'progressToken');
    if (!params || !span) return;
    const call = this.byToken.get(Number(sliceOf(params, span).toString('latin1')));
    if (!call?.token) return;
    call.clock.signOfLife();
    const own = splice(params, [{ span, bytes: call.token.theirs }]);
    call.sink?.notify(notificationFrame(PROGRESS, own));
  }

  /** The server takes a question back. */
  private withdrawn({ params }: UpstreamMessage): void {
    const span = params && spanOf(params, 'requestId');
    if (!params || !span) return;
    this.questions.get(sliceOf(params, span).toString('latin1'))?.withdraw('the server took its question back');
  }

  private async question(id: Buffer, message: UpstreamMessage, call: RoutedCall | undefined): Promise<void> {
    const reply = await this.answerOf(id, message, call);
    if (reply) await this.session.respond(id, reply).catch(() => undefined);
  }

  /** @returns undefined when nobody waits for the answer any more */
  private async answerOf(
    id: Buffer,
    { method, params, origin }: UpstreamMessage,
    call: RoutedCall | undefined,
  ): Promise<UpstreamReply | undefined> {
    const { owner } = this;
    if (!owner) return refusal('this session of the gateway belongs to no interactive client, so nobody can be asked');
    const capability = QUESTIONS.get(method);
    if (capability === undefined) return refusal(`${method.slice(0, 100)} is not something that a client can be asked`);
    if (!owner.client.declares(capability)) return refusal(`the client does not support ${capability}`);
    const sink = origin !== undefined && !call ? undefined : this.sinkFor(call);
    if (!sink) return refusal('the call that this belongs to has ended');
    const key = id.toString('latin1');
    if (this.questions.has(key)) return refusal('a request with this id is waiting already');
    if (this.questions.size >= MAX_QUESTIONS) return refusal(`${MAX_QUESTIONS} questions are waiting already`);
    return this.ask(key, { method, params, sink, owner, call });
  }

  private async ask(key: string, { method, params, sink, owner, call }: Ask): Promise<UpstreamReply | undefined> {
    const { sink: standing } = owner.client;
    const heard = (): boolean => sink !== standing || standing.listening;
    const question = new Question({ maxMs: owner.limits.maxMs, graceMs: LISTEN_GRACE_MS }, heard);
    this.questions.set(key, question);
    const calls = call ? [call] : [...this.calls.values()];
    // It can only be of this one: when that ends, nobody needs the answer.
    const [only] = calls;
    if (calls.length === 1) only?.asks(question);
    // Whoever waits for the server now waits for the client, if it has heard: the silence is not the server's.
    const waiting = heard() ? calls : [];
    for (const one of waiting) one.clock.hold();
    try {
      const progress = (own: Buffer): void => void this.session.notify(PROGRESS, own).catch(() => undefined);
      return await sink.ask(method, params, question.signal, progress);
    } catch (error) {
      return question.unwanted ? undefined : refusal(`the client cannot be asked: ${(error as Error).message}`);
    } finally {
      question.over();
      only?.hasAsked(question);
      this.questions.delete(key);
      for (const one of waiting) one.clock.release();
    }
  }
}

function spanOf(params: Buffer, member: string): Span | undefined {
  try {
    return memberSpan(params, member);
  } catch (error) {
    if (error instanceof JsonError) return undefined; // not what the protocol says: nobody's
    throw error;
  }
}
