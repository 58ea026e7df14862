import { type ServerResponse } from 'node:http';
import { afterEach, describe, expect, it } from '@jest/globals';
import { startRawMcp } from '../../../test/support/raw-mcp.js';
import { until } from '../../../test/support/until.js';
import { type UpstreamSession } from '../upstream.port.js';
import { StreamableHttpConnector } from './streamable-http.connector.js';

const ends: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

type Get = (res: ServerResponse) => unknown;
const status =
  (code: number, body = '', headers: Record<string, string> = {}): Get =>
  (res) =>
    res.writeHead(code, headers).end(body);
const EVENTS = { 'content-type': 'text/event-stream' };
const open: Get = (res) => res.writeHead(200, EVENTS).flushHeaders();
/** A stream that ends at once and may be asked for again soon: the tests need not wait a second. */
const soonAgain: Get = (res) => res.writeHead(200, EVENTS).end('retry: 100\n\n');

/** A session whose standing stream is answered as the script says, and at its end like the last one. */
async function listening(script: readonly Get[], stateless = false) {
  const at: number[] = []; // when each GET came
  const get: Get = (res) => {
    const answer = script[Math.min(at.length, script.length - 1)];
    at.push(performance.now());
    answer?.(res);
  };
  const server = await startRawMcp(() => ({}), { get, stateless });
  ends.push(() => server.close());
  const connector = new StreamableHttpConnector({
    maxResponseBytes: 2 ** 20,
    connectTimeoutMs: 1_000,
    transportTimeoutMs: 1_000,
    cleanupTimeoutMs: 500,
    clientInfo: { name: 'test', version: '1' },
  });
  ends.push(() => connector.close());
  const target = {
    gatewayId: 'g',
    gatewayName: 'raw',
    url: server.url,
    transport: 'streamablehttp' as const,
    credentials: { headers: () => ({}) },
  };
  let lost = 0;
  const session = await connector.connect(target, { listen: true, observer: { lost: () => void (lost += 1) } });
  ends.push(() => session.close('terminate'));
  return { session, at, lost: () => lost };
}

const becomes = (session: UpstreamSession, state: UpstreamSession['standingStream']): Promise<unknown> =>
  until(() => session.standingStream === state, { what: `the stream is ${state}` });

describe('the standing stream where the server gives none (SPEC D-8, P-9)', () => {
  it.each([401, 403, 408, 409, 429, 500, 502, 503])('%d passes: it is asked for again', async (code) => {
    const { session, at } = await listening([soonAgain, status(code, 'session'), open]);
    await becomes(session, 'open');
    expect(at).toHaveLength(3);
    expect(session.lost).toBeUndefined();
  });

  it('each time after a longer pause', async () => {
    const { at } = await listening([soonAgain, status(401)]);
    await until(() => at.length >= 5, { what: 'the stream was asked for five times' });
    const pauses = at.slice(1).map((time, index) => time - (at[index] as number));
    for (const [index, pause] of pauses.entries()) expect(pause).toBeGreaterThan(95 * 2 ** index);
  });

  it('not before the time that the server names', async () => {
    const { session, at } = await listening([soonAgain, status(429, '', { 'retry-after': '1' }), open]);
    await becomes(session, 'open');
    expect((at[2] as number) - (at[1] as number)).toBeGreaterThan(990);
  });

  it.each([
    ['a 404', status(404)],
    ['a 400 that speaks of the session', status(400, '{"error":{"message":"Bad Request: No valid session ID"}}')],
    ['the beginning of such a 400', (res) => res.writeHead(400).write('no such session')],
  ])('%s says that the session is gone, once', async (_name, answer) => {
    const { session, lost } = await listening([answer]);
    await until(() => session.lost, { what: 'the session is lost' });
    expect([session.lost?.code, session.standingStream, lost()]).toEqual(['UPSTREAM_SESSION_LOST', 'closed', 1]);
  });

  it.each([
    ['unsupported', 405, ''],
    ['refused', 400, 'invalid accept'],
    ['refused', 406, 'session'],
    ['refused', 410, ''],
  ] as const)('it is %s after a %d %j, and nothing is lost', async (state, code, body) => {
    const { session, at } = await listening([soonAgain, status(code, body), open]);
    await becomes(session, state);
    expect([session.lost, at.length]).toEqual([undefined, 2]);
  });

  it.each([400, 404])('without a session %d is about the stream alone', async (code) => {
    const { session } = await listening([status(code, 'no session')], true);
    await becomes(session, 'refused');
    expect(session.lost).toBeUndefined();
  });
});
