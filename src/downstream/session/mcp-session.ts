import { Cancellation } from '../../common/cancellation.js';
import { toCodedError } from '../../common/errors.js';
import { JsonError, sliceOf } from '../../common/json-scan.js';
import { memberSpan } from '../../common/json-splice.js';
import { type Id, type RpcMessage } from '../../common/jsonrpc.js';
import { type Caller, sha256Hex } from '../../common/principal.js';
import { type CatalogueView } from '../../catalogue/index.js';
import { ClientSession } from '../../execution/index.js';
import { DownstreamError } from '../downstream.errors.js';
import { type ProtocolVersion } from '../protocol.js';
import { EventLog } from '../stream/event-log.js';
import { EventStream } from '../stream/event-stream.js';
import { type Answer } from './answer.js';
import { AnswerSink } from './answer-sink.js';
import { ClientRequests } from './client-requests.js';
import { type SessionServices } from './session-services.js';
import { StandingSink } from './standing-sink.js';
import { StreamAnswer } from './stream-answer.js';

/** What `initialize` has settled. */
export interface SessionTerms {
  readonly protocolVersion: ProtocolVersion;
  readonly clientInfo: Readonly<Record<string, unknown>>;
  readonly clientCapabilities: Readonly<Record<string, unknown>>;
}

export interface McpSessionOptions extends SessionTerms {
  readonly id: string;
  /** The endpoint that it was opened at; it is none anywhere else. */
  readonly endpoint: string;
  /** The route of the endpoint, for metrics. */
  readonly label: string;
  readonly view: CatalogueView;
  /** By identity, without the session: for upstream sessions that are shared. */
  readonly caller: Caller;
  /** Name of the standing stream in event ids; over HTTP+SSE it names the session. */
  readonly standing?: string;
}

/** What a request came with, besides its message. */
export interface RequestExtras {
  readonly traceparent?: string;
  readonly requestId: string;
}

/** A request that runs. */
interface Running {
  readonly cancellation: Cancellation;
  cancelled: boolean;
}

/** The number of the standing stream; those of calls count from 1. */
const STANDING = '0';

/**
 * The session of one client, whatever the transport: its requests in flight, what it has been asked, its streams
 * (SPEC §5). It takes messages one by one and answers through the `Answer` that came with each.
 *
 *   open -> ended          (DELETE, expiry, the end of an HTTP+SSE stream, a kill, the shutdown)
 */
export class McpSession {
  readonly id: string;
  /** SHA-256 of the id: what its bound upstream sessions are keyed by (SPEC P-1). */
  readonly hash: string;
  readonly endpoint: string;
  readonly label: string;
  readonly caller: Caller;
  readonly view: CatalogueView;
  readonly standing: EventStream;
  /** Milliseconds of the registry's clock. */
  lastUsed = 0;
  terms: SessionTerms;
  private upstream: ClientSession;
  private readonly asked = new ClientRequests();
  private readonly running = new Map<string, Running>();
  private readonly streams = new Map<string, EventStream>();
  private readonly log: EventLog;
  private lastStream = 0;
  /** When clients should come back, once the streams are to end. */
  private releasing: number | undefined;
  private ended = false;

  constructor(
    options: McpSessionOptions,
    private readonly services: SessionServices,
  ) {
    const { id, endpoint, label, caller, view, standing = STANDING } = options;
    this.id = id;
    this.hash = sha256Hex(id);
    this.endpoint = endpoint;
    this.label = label;
    this.caller = caller;
    this.view = view;
    this.log = new EventLog(services.eventLimits, services.eventBudget, services.now);
    this.standing = new EventStream(standing, this.log);
    this.terms = options;
    this.upstream = this.clientSession(options);
  }

  /** Over HTTP+SSE the session is there before `initialize` comes on it. */
  agree(terms: SessionTerms): void {
    this.terms = terms;
    this.upstream = this.clientSession(terms);
  }

  /** In use although nothing comes: it must not expire. */
  get busy(): boolean {
    return this.running.size > 0 || this.standing.attached;
  }

  /** Any message of the client, answered on the standing stream: that is how HTTP+SSE works. */
  receive(message: RpcMessage, extras: RequestExtras): void {
    const { method, id } = message;
    if (method === undefined || id === undefined) return this.take(message);
    void this.run({ ...message, method, id }, new StreamAnswer(this.standing, id), extras);
  }

  /** A notification or a response of the client. */
  take(message: RpcMessage): void {
    const { method, params } = message;
    if (method === undefined) return this.asked.answered(message);
    switch (method) {
      case 'notifications/cancelled':
        return this.cancel(params);
      case 'notifications/progress':
        return this.asked.progress(params);
      case 'notifications/roots/list_changed':
        return this.tellServers(method, params);
      default: // `notifications/initialized`, and what we do not know
    }
  }

  /** Whether a request with this id is in flight. */
  isRunning(id: Id): boolean {
    return this.running.has(String(id));
  }

  /** A request of the client; resolves when it has been answered. Never rejects. */
  async run(
    message: RpcMessage & { readonly method: string; readonly id: Id },
    answer: Answer,
    extras: RequestExtras,
  ): Promise<void> {
    const key = String(message.id);
    if (this.running.has(key)) {
      const text = 'a request with this id is running in this session already';
      return answer.fail(new DownstreamError('BAD_REQUEST', text));
    }
    const running: Running = { cancellation: new Cancellation(), cancelled: false };
    this.running.set(key, running);
    let outcome: string;
    try {
      const reply = await this.services.execution.execute(message.method, message.params, {
        caller: this.caller,
        view: this.view,
        session: this.upstream,
        sink: new AnswerSink(answer, this.asked),
        signal: running.cancellation,
        ...(extras.traceparent === undefined ? {} : { traceparent: extras.traceparent }),
      });
      outcome = reply.kind === 'result' ? 'ok' : 'error';
      if (running.cancelled) answer.cancelled();
      else answer.reply(reply);
    } catch (thrown) {
      const error = toCodedError(thrown);
      outcome = error.code;
      if (running.cancelled) answer.cancelled();
      else answer.fail(error);
      if (error.code === 'INTERNAL') this.services.reportUnforeseen(thrown, message.method, extras.requestId);
    } finally {
      this.running.delete(key);
      if (this.releasing !== undefined) this.release(this.releasing);
    }
    this.services.count(this.label, message.method, outcome);
  }

  /** A stream for what belongs to one request. */
  openStream(): EventStream {
    const id = (this.lastStream += 1).toString(36);
    const stream = new EventStream(id, this.log, () => this.streams.delete(id));
    this.streams.set(id, stream);
    return stream;
  }

  /** @throws DownstreamError BAD_REQUEST when there is no such stream any more */
  streamOf(id: string): EventStream {
    const stream = id === this.standing.id ? this.standing : this.streams.get(id);
    if (!stream)
      throw new DownstreamError('BAD_REQUEST', 'the events after this Last-Event-ID are gone; start without it');
    return stream;
  }

  /** Tells the client that a list looks different now (SPEC N-7). */
  notify(frame: Buffer): void {
    this.standing.send([frame]);
  }

  /** Drops events that are too old. */
  trim(): void {
    this.log.trim();
  }

  /** `interruptStreams`, as soon as no request runs: what is promised is answered on the streams that are open. */
  release(retryMs: number): void {
    this.releasing = retryMs;
    if (this.running.size === 0) this.interruptStreams(retryMs);
  }

  /** Every connection ends, the session goes on (on another replica, if there is one). */
  interruptStreams(retryMs: number): void {
    for (const stream of [this.standing, ...this.streams.values()]) stream.interrupt(retryMs);
  }

  /** @param reason what those hear who wait for it */
  end(reason: DownstreamError): void {
    if (this.ended) return;
    this.ended = true;
    this.asked.close(reason);
    for (const { cancellation } of this.running.values()) cancellation.abort(reason);
    for (const stream of [this.standing, ...this.streams.values()]) stream.end();
    this.log.close();
  }

  private cancel(params: Buffer | undefined): void {
    const id = params && cancelledId(params);
    const running = id === undefined ? undefined : this.running.get(id);
    if (!running) return; // answered meanwhile, or never known
    running.cancelled = true;
    running.cancellation.abort(new DownstreamError('CANCELLED', 'cancelled by the client'));
  }

  private tellServers(method: string, params: Buffer | undefined): void {
    void this.services.execution.tellServers(this.upstream, method, params);
  }

  private clientSession({ clientCapabilities }: SessionTerms): ClientSession {
    const { view, id, hash } = this;
    const sink = new StandingSink(this.standing, this.asked);
    return new ClientSession({ id, hash, clientCapabilities, view, sink });
  }
}

function cancelledId(params: Buffer): string | undefined {
  try {
    const span = memberSpan(params, 'requestId');
    return span && sliceOf(params, span).toString('utf8');
  } catch (error) {
    if (error instanceof JsonError) return undefined;
    throw error;
  }
}
