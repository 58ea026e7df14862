import { afterAll, describe, expect, it } from '@jest/globals';
import { reasonOf } from '../../common/cancellation.js';
import { deferred } from '../../../test/support/deferred.js';
import { SsePairs } from '../../../test/support/sse-pair.js';
import { parseEvents } from '../../../test/support/sse-text.js';
import { type CatalogueView } from '../../catalogue/index.js';
import { CodedError } from '../../common/errors.js';
import { ANONYMOUS, sha256Hex } from '../../common/principal.js';
import { type ClientSession, type ExecutionContext, type Reply } from '../../execution/index.js';
import { DownstreamError } from '../downstream.errors.js';
import { EventBudget } from '../stream/event-log.js';
import { type Answer } from './answer.js';
import { McpSession } from './mcp-session.js';
import { type SessionServices } from './session-services.js';

const pairs = new SsePairs();
afterAll(() => pairs.close());

const OK: Reply = { kind: 'result', raw: Buffer.from('{}') };
const EXTRAS = { requestId: 'r-1' };

/** A session whose requests are executed as the test says. */
function world(capabilities: Record<string, unknown> = { sampling: {} }) {
  const counted: string[] = [];
  const unforeseen: unknown[] = [];
  const told: string[] = [];
  const budget = new EventBudget(1_000_000);
  let execute = async (_method: string, _context: ExecutionContext): Promise<Reply> => OK;
  const services = {
    eventLimits: { maxEvents: 100, maxBytes: 100_000, maxAgeMs: 1_000, maxEventBytes: 10_000 },
    eventBudget: budget,
    now: () => 0,
    execution: {
      execute: (method: string, _params: Buffer | undefined, context: ExecutionContext) => execute(method, context),
      tellServers: async (_session: ClientSession, method: string, params?: Buffer) =>
        void told.push(`${method} ${params?.toString()}`),
    },
    count: (...labels: string[]) => void counted.push(labels.join(' ')),
    reportUnforeseen: (thrown: unknown) => void unforeseen.push(thrown),
  } as unknown as SessionServices;
  const session = new McpSession(
    {
      ...{ id: 'session-id', endpoint: '/mcp', label: '/mcp', view: {} as CatalogueView },
      ...{ protocolVersion: '2025-11-25', clientInfo: {}, clientCapabilities: capabilities },
      caller: { userIdentity: ANONYMOUS, identityHash: ANONYMOUS, passthrough: {} },
    },
    services,
  );
  return {
    ...{ session, counted, unforeseen, told, budget },
    executes: (run: typeof execute) => void (execute = run),
    run: (id: string, answer: Answer, method = 'tools/call') =>
      session.run({ id: Buffer.from(id), method }, answer, EXTRAS),
  };
}

/** Notes what comes back. */
function noting(): Answer & { readonly seen: string[] } {
  const seen: string[] = [];
  return {
    seen,
    interim: (frame) => void seen.push(`interim ${frame.toString()}`),
    reply: ({ kind, raw }) => void seen.push(`${kind} ${raw.toString()}`),
    fail: ({ code }) => void seen.push(`fail ${code}`),
    cancelled: () => void seen.push('cancelled'),
  };
}

/** A tool that runs until it is aborted. */
const untilAborted = (_method: string, { signal }: ExecutionContext): Promise<Reply> =>
  new Promise((_resolve, reject) => {
    if (signal?.aborted) reject(reasonOf(signal));
    signal?.addEventListener('abort', () => reject(reasonOf(signal)));
  });
const cancel = (requestId: string) => ({
  method: 'notifications/cancelled',
  params: Buffer.from(`{"requestId":${requestId}}`),
});

describe('requests of a client', () => {
  it('are answered once and counted, the way that they came', async () => {
    const { session, run, executes, counted, unforeseen } = world();
    const answers = [noting(), noting(), noting(), noting()];
    const outcomes: (() => Reply)[] = [
      () => OK,
      () => ({ kind: 'error', raw: Buffer.from('{"code":-1}') }),
      () => {
        throw new CodedError('UNKNOWN_TOOL', 'm');
      },
      () => {
        throw new Error('a bug');
      },
    ];
    for (const [at, answer] of answers.entries()) {
      executes(async () => (outcomes[at] as () => Reply)());
      await run(String(at), answer);
    }
    expect(answers.map(({ seen }) => seen)).toEqual([
      ...[['result {}'], ['error {"code":-1}'], ['fail UNKNOWN_TOOL'], ['fail INTERNAL']],
    ]);
    expect(counted.map((labels) => labels.replace('/mcp tools/call ', ''))).toEqual([
      ...['ok', 'error', 'UNKNOWN_TOOL', 'INTERNAL'],
    ]);
    expect(unforeseen).toEqual([new Error('a bug')]);
    expect([session.busy, session.hash]).toEqual([false, sha256Hex('session-id')]);
  });

  it('a second one with the id of one that runs is refused; 1 and "1" are two ids', async () => {
    const { session, run, executes } = world();
    const gate = deferred<Reply>();
    executes(() => gate.promise);
    const [first, second, other] = [noting(), noting(), noting()];
    const running = [run('1', first), run('1', second), run('"1"', other)];
    expect(second.seen).toEqual(['fail BAD_REQUEST']);
    expect(session.busy).toBe(true);
    gate.resolve(OK);
    await Promise.all(running);
    expect([first.seen, other.seen, session.busy]).toEqual([['result {}'], ['result {}'], false]);
    const again = noting();
    await run('1', again);
    expect(again.seen).toEqual(['result {}']);
  });

  it('that are cancelled stop, and have no answer (D-8)', async () => {
    const { session, run, executes, counted } = world();
    executes(untilAborted);
    const [one, other] = [noting(), noting()];
    const running = [run('"a"', one), run('7', other)];
    for (const foreign of ['"b"', 'a', '8', '"7"', 'null', '{}']) session.take(cancel(foreign));
    session.take({ method: 'notifications/cancelled' });
    expect([one.seen, other.seen]).toEqual([[], []]);
    session.take(cancel('"a"'));
    await running[0];
    expect([one.seen, other.seen]).toEqual([['cancelled'], []]);
    session.take(cancel('7'));
    await running[1];
    expect([other.seen, counted]).toEqual([['cancelled'], ['/mcp tools/call CANCELLED', '/mcp tools/call CANCELLED']]);
    session.take(cancel('7')); // answered meanwhile
  });

  it('that are cancelled have no answer even if the server gives one', async () => {
    const { session, run, executes } = world();
    const gate = deferred<Reply>();
    executes(() => gate.promise);
    const answer = noting();
    const running = run('1', answer);
    session.take(cancel('1'));
    gate.resolve(OK);
    await running;
    expect(answer.seen).toEqual(['cancelled']);
  });
});

describe('questions to a client (D-8)', () => {
  it('go the way of their call, and answers of the client find them', async () => {
    const { session, run, executes } = world();
    executes(async (_method, { sink, signal }) => {
      const reply = await sink?.ask('sampling/createMessage', Buffer.from('{}'), signal ?? AbortSignal.abort());
      return { kind: 'result', raw: Buffer.from(`{"got":${reply?.raw.toString()}}`) };
    });
    const answers = [noting(), noting()];
    const running = answers.map((answer, at) => run(String(at), answer));
    expect(answers.map(({ seen }) => /"id":(\d)/.exec(seen[0] ?? '')?.[1])).toEqual(['1', '2']);
    session.take({ id: Buffer.from('2'), result: Buffer.from('"two"') });
    session.take({ id: Buffer.from('1'), result: Buffer.from('"one"') });
    await Promise.all(running);
    expect(answers.map(({ seen }) => seen[1])).toEqual(['result {"got":"one"}', 'result {"got":"two"}']);
  });

  it('what concerns every server is told to them; progress only of a question that wants it', async () => {
    const { session, run, executes, told } = world();
    const params = (json: string) => Buffer.from(json);
    const asker: string[] = [];
    executes(async (_method, { sink, signal }) =>
      (sink as NonNullable<typeof sink>).ask(
        ...(['roots/list', params('{"_meta":{"progressToken":"t"}}'), signal as AbortSignal] as const),
        (own) => void asker.push(own.toString()),
      ),
    );
    const running = run('1', noting());
    session.take({ method: 'notifications/initialized' });
    session.take({ method: 'notifications/roots/list_changed' });
    session.take({ method: 'notifications/progress', params: params('{"progressToken":1,"progress":1.0}') });
    session.take({ method: 'notifications/progress', params: params('{"progressToken":9,"progress":1.0}') });
    expect(told).toEqual(['notifications/roots/list_changed undefined']);
    expect(asker).toEqual(['{"progressToken":"t","progress":1.0}']); // the server that asked, and no other
    session.take({ id: Buffer.from('1'), result: params('{}') });
    await running;
  });
});

describe('streams and the end', () => {
  it('streams of requests are found by their names until all of theirs is gone', () => {
    const { session } = world();
    const [one, two] = [session.openStream(), session.openStream()];
    expect([session.streamOf(one.id), session.streamOf(two.id), session.streamOf('0')]).toEqual([
      ...[one, two, session.standing],
    ]);
    one.end();
    two.send([Buffer.from('{}')]);
    two.end();
    expect(() => session.streamOf(one.id)).toThrow(expect.objectContaining({ code: 'BAD_REQUEST' }));
    expect(session.streamOf(two.id)).toBe(two);
    expect(() => session.streamOf('zz')).toThrow(expect.objectContaining({ code: 'BAD_REQUEST' }));
  });

  it('is in use while its standing stream is listened to', async () => {
    const [{ session }, pair] = [world(), await pairs.open()];
    session.standing.resume(() => pair.connection);
    session.notify(Buffer.from('{"n":1}'));
    expect(session.busy).toBe(true);
    session.interruptStreams(1_000);
    expect([session.busy, parseEvents(await pair.all())]).toEqual([
      ...[false, [{ type: 'message', id: '0.1', data: '{"n":1}' }]],
    ]);
  });

  it('its end aborts what runs, tells who waits, ends every stream and frees what was kept (D-10)', async () => {
    const { session, run, executes, budget } = world();
    const pair = await pairs.open();
    session.standing.resume(() => pair.connection);
    session.notify(Buffer.from('{}'));
    const stream = session.openStream();
    stream.send([Buffer.from('{}')]);
    expect(budget.used).toBeGreaterThan(0);
    executes(untilAborted);
    const [runs, asks] = [noting(), noting()];
    const running = [run('1', runs)];
    executes((_method, { sink }) =>
      (sink as NonNullable<typeof sink>).ask('roots/list', undefined, new AbortController().signal),
    );
    running.push(run('2', asks));
    const reason = new DownstreamError('SESSION_NOT_FOUND', 'the session has ended');
    session.end(reason);
    session.end(reason);
    await Promise.all(running);
    expect([runs.seen, asks.seen[1]]).toEqual([['fail SESSION_NOT_FOUND'], 'fail SESSION_NOT_FOUND']);
    expect(await pair.all()).toContain('data: {}');
    expect([stream.ended, session.standing.ended, budget.used, session.busy]).toEqual([true, true, 0, false]);
  });
});
