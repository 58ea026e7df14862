import { once } from 'node:events';
import { createServer, get, type IncomingMessage } from 'node:http';
import { type AddressInfo } from 'node:net';
import { afterAll, afterEach, describe, expect, it, jest } from '@jest/globals';
import { deferred } from '../../../test/support/deferred.js';
import { SsePairs } from '../../../test/support/sse-pair.js';
import { parseEvents } from '../../../test/support/sse-text.js';
import { type CatalogueView } from '../../catalogue/index.js';
import { CodedError } from '../../common/errors.js';
import { ANONYMOUS } from '../../common/principal.js';
import { type Settings } from '../../config/settings.js';
import { type ProtocolVersion } from '../protocol.js';
import { McpSession } from '../session/mcp-session.js';
import { type SessionServices } from '../session/session-services.js';
import { EventBudget } from '../stream/event-log.js';
import { KeepAlive } from '../stream/keep-alive.js';
import { EdgeExchange } from './edge-exchange.js';
import { HttpAnswer } from './http-answer.js';
import { StreamOpener } from './stream-opener.js';

const NEVER = 60_000;
const INTERIM = '{"jsonrpc":"2.0","method":"notifications/progress"}';
const RESULT = '{"jsonrpc":"2.0","id":5,"result":{"n":1.0}}';
const OK = { kind: 'result', raw: Buffer.from('{"n":1.0}') } as const;

const pairs = new SsePairs();
const cleanUps: (() => void)[] = [];
afterAll(() => pairs.close());
afterEach(() => {
  jest.useRealTimers();
  for (const cleanUp of cleanUps.splice(0).reverse()) cleanUp();
});

/** One request to a real server: the way back to it, and the client's side of it. */
async function open(sseAfterMs = NEVER, protocolVersion: ProtocolVersion = '2025-11-25') {
  const keepAlive = new KeepAlive(NEVER);
  const opener = new StreamOpener(
    { SSE_AFTER_MS: sseAfterMs, STREAM_MAX_BUFFERED_BYTES: 1_000_000 } as Settings,
    keepAlive,
  );
  const services = {
    eventLimits: { maxEvents: 100, maxBytes: 100_000, maxAgeMs: 60_000, maxEventBytes: 10_000 },
    ...{ eventBudget: new EventBudget(1_000_000), now: () => 0 },
  } as unknown as SessionServices;
  const session = new McpSession(
    {
      ...{ id: 'i', endpoint: '/mcp', label: '/mcp', view: {} as CatalogueView },
      ...{ protocolVersion, clientInfo: {}, clientCapabilities: {} },
      caller: { userIdentity: ANONYMOUS, identityHash: ANONYMOUS, passthrough: {} },
    },
    services,
  );
  const exchange = deferred<EdgeExchange>();
  const server = createServer((req, res) => exchange.resolve(new EdgeExchange(req, res, 'r-1')));
  await once(server.listen(0, '127.0.0.1'), 'listening');
  cleanUps.push(() => (keepAlive.stop(), server.close(), server.closeAllConnections()));
  const outgoing = get({ port: (server.address() as AddressInfo).port, agent: false }).on('error', () => undefined);
  const response = once(outgoing, 'response') as Promise<[IncomingMessage]>;
  response.catch(() => undefined);
  const arrived = await exchange.promise;
  return {
    session,
    answer: new HttpAnswer(arrived, session, Buffer.from('5'), opener),
    headersSent: () => arrived.res.headersSent,
    read: async () => {
      const [message] = await response;
      const text = Buffer.concat((await message.toArray()) as Buffer[]).toString();
      return {
        type: message.headers['content-type'],
        status: message.statusCode,
        text,
        id: message.headers['x-request-id'],
      };
    },
    leave: async () => {
      const closed = once(arrived.res, 'close');
      outgoing.destroy();
      await closed;
    },
  };
}

const data = (text: string): [string | undefined, string][] => parseEvents(text).map((event) => [event.id, event.data]);

describe('HttpAnswer (SPEC D-9)', () => {
  it('is JSON when the result is the first thing to send', async () => {
    const { answer, read } = await open();
    answer.reply(OK);
    expect(await read()).toEqual({ type: 'application/json', status: 200, text: RESULT, id: 'r-1' });
  });

  it('is JSON for a failure, at HTTP 200 (§8)', async () => {
    const { answer, read } = await open();
    answer.fail(new CodedError('UNKNOWN_TOOL', 'm'));
    const { status, text } = await read();
    expect([status, JSON.parse(text)]).toEqual([
      200,
      {
        jsonrpc: '2.0',
        id: 5,
        error: { code: -32602, message: 'm', data: { code: 'UNKNOWN_TOOL', retryable: false } },
      },
    ]);
  });

  it.each<[ProtocolVersion, [string, string][]]>([
    ['2025-11-25', [['1.0', '']]],
    ['2025-06-18', []],
  ])('is a stream from the first interim message on, and ends with the result (%s)', async (version, primed) => {
    const { answer, read } = await open(NEVER, version);
    answer.interim(Buffer.from(INTERIM));
    answer.interim(Buffer.from(INTERIM));
    answer.reply(OK);
    const { type, text, id } = await read();
    expect([type, id, data(text)]).toEqual([
      ...['text/event-stream', 'r-1', [...primed, ['1.1', INTERIM], ['1.2', INTERIM], ['1.3', RESULT]]],
    ]);
  });

  it('is a stream when the result takes long, before there is anything to say', async () => {
    jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick', 'queueMicrotask', 'performance'] });
    const { answer, read, headersSent } = await open(1_000);
    jest.advanceTimersByTime(999);
    expect(headersSent()).toBe(false);
    jest.advanceTimersByTime(1);
    expect(headersSent()).toBe(true);
    answer.fail(new CodedError('UPSTREAM_TIMEOUT', 'm'));
    const { type, text } = await read();
    expect([type, data(text).map(([id]) => id)]).toEqual(['text/event-stream', ['1.0', '1.1']]);
    expect(JSON.parse(data(text)[1]?.[1] ?? '')).toMatchObject({ error: { data: { code: 'UPSTREAM_TIMEOUT' } } });
  });

  it('of a cancelled call is a stream without a message', async () => {
    const { answer, read } = await open();
    answer.cancelled();
    const { type, text } = await read();
    expect([type, data(text)]).toEqual(['text/event-stream', [['1.0', '']]]);
  });

  it('that has been given leaves no timer that would make a stream of it', async () => {
    jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick', 'queueMicrotask', 'performance'] });
    const { answer, read } = await open(1_000);
    expect(jest.getTimerCount()).toBe(1);
    answer.reply(OK);
    expect([jest.getTimerCount(), (await read()).type]).toEqual([0, 'application/json']);
  });

  it('goes on when the connection breaks, and the client resumes: each event once, then the end', async () => {
    const { answer, leave, session } = await open();
    answer.interim(Buffer.from(INTERIM));
    await leave();
    answer.interim(Buffer.from(INTERIM));
    answer.reply(OK);
    const pair = await pairs.open();
    session.streamOf('1').resume(() => pair.connection, 1);
    expect(data(await pair.all())).toEqual([
      ['1.2', INTERIM],
      ['1.3', RESULT],
    ]);
  });

  it('to a client that left before the stream began is kept, too', async () => {
    const { answer, leave, session, headersSent } = await open();
    await leave();
    answer.interim(Buffer.from(INTERIM));
    answer.reply(OK);
    expect(headersSent()).toBe(false);
    const pair = await pairs.open();
    session.streamOf('1').resume(() => pair.connection, 0);
    expect(data(await pair.all())).toEqual([
      ['1.1', INTERIM],
      ['1.2', RESULT],
    ]);
  });
});
