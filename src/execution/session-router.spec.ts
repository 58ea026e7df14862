import { afterEach, describe, expect, it, jest } from '@jest/globals';
import { deferred } from '../../test/support/deferred.js';
import { until } from '../../test/support/until.js';
import { UpstreamDouble } from '../../test/support/upstream-double.js';
import { type UpstreamReply } from '../session-pool/index.js';
import { CallClock } from './call-clock.js';
import { type SessionSink } from './client-sink.js';
import { type RoutedCall } from './routed-call.js';
import { type RouterOwner, SessionRouter } from './session-router.js';

const MAX_MS = 60_000;
const clocks: CallClock[] = [];
afterEach(() => {
  for (const clock of clocks.splice(0)) clock.stop();
  jest.useRealTimers();
});

/** A way to one client, that notes what it brings and answers when the test says. */
class Sink implements SessionSink {
  listening = false;
  readonly heard: string[] = [];
  readonly asked: string[] = [];
  readonly answer = deferred<UpstreamReply>();

  notify(frame: Buffer): void {
    this.heard.push(frame.toString().replace('{"jsonrpc":"2.0","method":"notifications/', '').slice(0, -1));
  }

  ask(method: string, params: Buffer | undefined, signal: AbortSignal): Promise<UpstreamReply> {
    this.asked.push(`${method} ${params?.toString()}`);
    signal.addEventListener('abort', () => this.answer.reject(signal.reason));
    return this.answer.promise;
  }

  replies(raw: string): void {
    this.answer.resolve({ kind: 'result', raw: Buffer.from(raw) });
  }
}

function world(declared: readonly string[] = ['sampling', 'elicitation', 'roots'], maxMs = MAX_MS) {
  const upstream = new UpstreamDouble();
  const router = SessionRouter.of(upstream);
  const standing = new Sink();
  const updates: unknown[] = [];
  const owner: RouterOwner = {
    client: {
      sink: standing,
      declares: (name) => declared.includes(name),
      wantsLog: (params) => !params?.includes('debug'),
    },
    limits: { maxMs },
    updated: (params) => void updates.push(params?.toString()),
  };
  let ids = 100;
  const call = (sink?: Sink, token?: string): { call: RoutedCall; id: number; clock: CallClock } => {
    const clock = new CallClock({ silenceMs: 1_000, maxMs: MAX_MS }, (ms) => new Error(`silent after ${ms}`));
    clocks.push(clock);
    const routed = router.call(clock, sink, token === undefined ? undefined : Buffer.from(token));
    router.started((ids += 1), routed);
    return { call: routed, id: ids, clock };
  };
  return { upstream, router, standing, owner, updates, call };
}

const bound = (...given: Parameters<typeof world>) => {
  const made = world(...given);
  made.router.bindTo(made.owner);
  return made;
};

describe('where notifications go (SPEC D-8)', () => {
  it('on the stream of a call: to that call alone', () => {
    const { upstream, call, standing } = bound();
    const [one, two] = [new Sink(), new Sink()];
    const [{ id }] = [call(one), call(two)];
    upstream.says('notifications/message', '{"level":"info","n":1.0}', { origin: id });
    expect([one.heard, two.heard, standing.heard]).toEqual([['message","params":{"level":"info","n":1.0}'], [], []]);
  });

  it('of a call that is over: to nobody, not to another call and not to the session', () => {
    const { upstream, router, call, standing } = bound();
    const [over, other] = [new Sink(), new Sink()];
    const ended = call(over);
    call(other);
    router.ended(ended.call);
    upstream.says('notifications/message', '{}', { origin: ended.id });
    expect([over.heard, other.heard, standing.heard]).toEqual([[], [], []]);
  });

  it('without an origin: to the session while its client listens, whoever calls', () => {
    const { upstream, call, standing } = bound();
    const only = new Sink();
    call(only);
    standing.listening = true;
    upstream.says('notifications/message', '{}');
    expect([standing.heard, only.heard]).toEqual([['message","params":{}'], []]);
  });

  it('without an origin, and nobody listens: to the only call in flight; of two calls to neither', () => {
    const { upstream, router, call, standing } = bound();
    const [one, two] = [new Sink(), new Sink()];
    call(one);
    upstream.says('notifications/message', '{"n":1}');
    const second = call(two);
    upstream.says('notifications/message', '{"n":2}');
    router.ended(second.call);
    upstream.says('notifications/message', '{"n":3}');
    expect(one.heard).toEqual(['message","params":{"n":1}', 'message","params":{"n":3}']);
    expect([two.heard, standing.heard]).toEqual([[], ['message","params":{"n":2}']]);
  });

  it('a session that is shared has no standing stream: what belongs to no call is nobody’s', () => {
    const { upstream, call } = world();
    const only = new Sink();
    const { id } = call(only);
    upstream.says('notifications/message', '{"n":1}');
    upstream.says('notifications/resources/updated', '{"uri":"a:b"}');
    upstream.says('notifications/message', '{"n":2}', { origin: id });
    expect(only.heard).toEqual(['message","params":{"n":2}']);
  });

  it('what concerns the catalogue is told by the catalogue (N-7), updates by the binding, and logs by their level', () => {
    const { upstream, standing, updates } = bound();
    for (const list of ['tools', 'resources', 'prompts']) upstream.says(`notifications/${list}/list_changed`);
    upstream.says('notifications/resources/updated', '{"uri":"a:b"}');
    upstream.says('notifications/message', '{"level":"debug"}');
    expect([standing.heard, updates]).toEqual([[], ['{"uri":"a:b"}']]);
    upstream.says('notifications/made/up', '{}');
    expect(standing.heard).toEqual(['made/up","params":{}']);
  });

  it('there is one router for each session', () => {
    const upstream = new UpstreamDouble();
    expect(SessionRouter.of(upstream)).toBe(SessionRouter.of(upstream));
    expect(SessionRouter.of(new UpstreamDouble())).not.toBe(SessionRouter.of(upstream));
  });
});

describe('progress (D-8)', () => {
  it.each(['7', '"7"', '"t"'])(
    'two clients with the same token %s: each hears of its own, under its own token',
    (token) => {
      const { upstream, call } = world();
      const [one, two] = [new Sink(), new Sink()];
      const [first, second] = [call(one, token), call(two, token)];
      const [a, b] = [first.call.token?.ours, second.call.token?.ours];
      expect(a).not.toBe(b);
      upstream.says('notifications/progress', `{"progressToken":${b},"progress":0.50}`, { origin: second.id });
      upstream.says('notifications/progress', `{"progress":1,"progressToken":${a}}`); // over SSE there is no origin
      expect(two.heard).toEqual([`progress","params":{"progressToken":${token},"progress":0.50}`]);
      expect(one.heard).toEqual([`progress","params":{"progress":1,"progressToken":${token}}`]);
    },
  );

  it.each(['99', '"1"', 'null', '[1]', '1.5'])('a token that is nobody’s (%s) reaches nobody', (token) => {
    const { upstream, call, standing } = bound();
    const sink = new Sink();
    const { id } = call(sink, '1');
    upstream.says('notifications/progress', `{"progressToken":${token}}`, { origin: id });
    upstream.says('notifications/progress', '[]');
    upstream.says('notifications/progress');
    expect([sink.heard, standing.heard]).toEqual([[], []]);
  });

  it('after its call has ended it reaches nobody', () => {
    const { upstream, router, call } = world();
    const sink = new Sink();
    const { call: routed } = call(sink, '1');
    router.ended(routed);
    upstream.says('notifications/progress', `{"progressToken":${routed.token?.ours}}`);
    expect(sink.heard).toEqual([]);
  });

  it('restarts the silence of its call and of no other, also where nobody listens (A-5)', () => {
    jest.useFakeTimers();
    const { upstream, call } = world();
    const [talks, silent] = [call(undefined, '1'), call(new Sink(), '1')];
    jest.advanceTimersByTime(900);
    upstream.says('notifications/progress', `{"progressToken":${talks.call.token?.ours}}`, { origin: talks.id });
    jest.advanceTimersByTime(900);
    expect([talks.clock.signal.aborted, silent.clock.signal.aborted]).toEqual([false, true]);
  });
});

describe('questions of the server (D-8)', () => {
  it('on the stream of a call go to its client, and the answer goes back under the server’s id', async () => {
    const { upstream, call } = bound();
    const [one, two] = [new Sink(), new Sink()];
    call(one);
    const { id } = call(two);
    upstream.says('elicitation/create', '{"m":1.0}', { id: '"q"', origin: id });
    expect([one.asked, two.asked]).toEqual([[], ['elicitation/create {"m":1.0}']]);
    two.replies('{"n":12345678901234567890}');
    await until(() => upstream.answers.length === 1, { what: 'the answer' });
    expect(upstream.answers).toEqual(['"q" {"n":12345678901234567890}']);
  });

  it('without an origin: the session, if it listens, else the only call', () => {
    const { upstream, call, standing } = bound();
    const only = new Sink();
    call(only);
    upstream.says('roots/list', undefined, { id: '1' });
    standing.listening = true;
    upstream.says('roots/list', undefined, { id: '2' });
    expect([only.asked, standing.asked]).toEqual([['roots/list undefined'], ['roots/list undefined']]);
  });

  it.each<[string, string, readonly string[]]>([
    ['sampling/createMessage', 'sampling', ['elicitation', 'roots']],
    ['elicitation/create', 'elicitation', ['sampling']],
    ['roots/list', 'roots', []],
    ['made/up', 'made/up', ['sampling', 'elicitation', 'roots']],
  ])('%s is refused where the client has not declared it', async (method, named, declared) => {
    const { upstream, call } = bound(declared);
    const sink = new Sink();
    const { id } = call(sink);
    upstream.says(method, '{}', { id: '5', origin: id });
    await until(() => upstream.answers.length === 1, { what: 'the refusal' });
    expect(JSON.parse(upstream.answers[0]?.slice(2) ?? '')).toMatchObject({
      code: -32601,
      message: expect.stringContaining(named),
    });
    expect(sink.asked).toEqual([]);
  });

  it('a shared session refuses instead of asking some client, though one calls', async () => {
    const { upstream, call } = world();
    const sink = new Sink();
    const { id } = call(sink);
    upstream.says('sampling/createMessage', '{}', { id: '1', origin: id });
    await until(() => upstream.answers.length === 1, { what: 'the refusal' });
    expect([upstream.answers[0], sink.asked]).toEqual([expect.stringContaining('no interactive client'), []]);
  });

  it('of a call that is over are refused', async () => {
    const { upstream, router, call, standing } = bound();
    standing.listening = true;
    const ended = call(new Sink());
    router.ended(ended.call);
    upstream.says('roots/list', undefined, { id: '1', origin: ended.id });
    await until(() => upstream.answers.length === 1, { what: 'the refusal' });
    expect([upstream.answers[0], standing.asked]).toEqual([expect.stringContaining('has ended'), []]);
  });

  it.each<[string, (made: ReturnType<typeof bound>, routed: RoutedCall) => void]>([
    ['the server takes it back', ({ upstream }) => upstream.says('notifications/cancelled', '{"requestId":"q"}')],
    ['its call ends', ({ router }, routed) => router.ended(routed)],
    ['the session is lost', ({ router }) => router.withdrawAll('the server has gone')],
  ])('%s: the client hears it, and no answer is given', async (_why, withdraw) => {
    const made = bound();
    const sink = new Sink();
    const { id, call } = made.call(sink);
    made.upstream.says('elicitation/create', '{}', { id: '"q"', origin: id });
    made.upstream.says('notifications/cancelled', '{"requestId":"other"}');
    made.upstream.says('notifications/cancelled', 'null');
    withdraw(made, call);
    await expect(sink.answer.promise).rejects.toThrow();
    await new Promise(setImmediate);
    expect(made.upstream.answers).toEqual([]);
    // Its id is free again.
    const next = new Sink();
    const { id: other } = made.call(next);
    made.upstream.says('elicitation/create', '{}', { id: '"q"', origin: other });
    next.replies('{}');
    await until(() => made.upstream.answers.length === 1, { what: 'the answer to the next question' });
  });

  it('a client that fails: the server hears that it cannot be asked', async () => {
    const { upstream, call } = bound();
    const sink = new Sink();
    upstream.says('roots/list', undefined, { id: '1', origin: call(sink).id });
    sink.answer.reject(new Error('the session has ended'));
    await until(() => upstream.answers.length === 1, { what: 'the refusal' });
    expect(upstream.answers[0]).toContain('the session has ended');
  });

  it('a client that never answers: the server hears it after the limit', async () => {
    jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick', 'queueMicrotask'] });
    const { upstream, call } = bound(undefined, 5_000);
    upstream.says('roots/list', undefined, { id: '1', origin: call(new Sink()).id });
    jest.advanceTimersByTime(4_999);
    await new Promise(setImmediate);
    expect(upstream.answers).toEqual([]);
    jest.advanceTimersByTime(1);
    await new Promise(setImmediate);
    expect(upstream.answers).toEqual([expect.stringContaining('did not answer in 5000 ms')]);
  });

  it('a client that does not listen is not waited for, and no call is kept alive by that (D-8)', async () => {
    jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick', 'queueMicrotask'] });
    const { upstream, call, standing } = bound(undefined, 60_000);
    standing.listening = false;
    const { clock } = call(new Sink());
    call(new Sink());
    upstream.says('roots/list', undefined, { id: '1' }); // of one of two calls, or of none
    jest.advanceTimersByTime(2_001);
    expect(clock.signal.aborted).toBe(true); // its own silence limit
    jest.advanceTimersByTime(8_000);
    await new Promise(setImmediate);
    expect(upstream.answers).toEqual([expect.stringContaining('it does not listen')]);
  });

  it('a server may not ask without bound, nor twice under one id', async () => {
    const { upstream, call } = bound();
    const sinks = Array.from({ length: 50 }, () => new Sink());
    sinks.forEach((sink, n) => upstream.says('roots/list', undefined, { id: String(n), origin: call(sink).id }));
    upstream.says('roots/list', undefined, { id: '49', origin: call(new Sink()).id });
    upstream.says('roots/list', undefined, { id: '50', origin: call(new Sink()).id });
    await until(() => upstream.answers.length === 2, { what: 'two refusals' });
    expect(upstream.answers).toEqual([
      expect.stringContaining('waiting already'),
      expect.stringContaining('50 questions are waiting'),
    ]);
  });

  it('while a person is asked, the call is not silent; afterwards it is again (A-5)', async () => {
    jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick', 'queueMicrotask'] });
    const { upstream, call } = bound();
    const sink = new Sink();
    const { id, clock } = call(sink);
    upstream.says('elicitation/create', '{}', { id: '1', origin: id });
    jest.advanceTimersByTime(30_000);
    expect(clock.signal.aborted).toBe(false);
    sink.replies('{}');
    await new Promise(setImmediate);
    jest.advanceTimersByTime(999);
    expect(clock.signal.aborted).toBe(false);
    jest.advanceTimersByTime(1_001);
    expect(clock.signal.aborted).toBe(true);
  });
});
