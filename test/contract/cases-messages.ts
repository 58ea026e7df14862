import { expect } from '@jest/globals';
import { type UpstreamMessage, type UpstreamReply, type UpstreamSession } from '../../src/upstream/upstream.port.js';
import { deferred } from '../support/deferred.js';
import { callTool, type ContractCase, params, parsed, textOf } from './bench.js';

const ANSWER: UpstreamReply = { kind: 'result', raw: Buffer.from('{"action":"accept","content":{"answer":"42"}}') };
const REFUSAL: UpstreamReply = { kind: 'error', raw: Buffer.from('{"code":-32001,"message":"nobody at home"}') };

/** Answers every request of the server and remembers what it was. */
function answering(session: UpstreamSession, reply: UpstreamReply): UpstreamMessage[] {
  const heard: UpstreamMessage[] = [];
  session.onMessage((message) => {
    heard.push(message);
    if (message.id) void session.respond(message.id, reply);
  });
  return heard;
}

export const messageCases: readonly ContractCase[] = [
  {
    title: 'what the server says during a call arrives in order, before the answer, with its call where that is known',
    run: async (bench) => {
      const { via, origin } = bench.subject.interim;
      const session = await bench.listening();
      const heard: UpstreamMessage[] = [];
      const all = deferred();
      session.onMessage((message) => {
        heard.push(message);
        if (heard.length === 3) all.resolve();
      });
      let id = 0;

      const args = { data: 'log line', count: 3, via };
      const answer = callTool(session, 'notify_log', args, { onId: (own) => (id = own) });
      // On one stream the order is certain; between a call's answer and the standing stream it is not.
      await (via === 'call' ? answer : all.promise);

      expect(heard.map(({ method }) => method)).toEqual(Array(3).fill('notifications/message'));
      expect(heard.map((message) => message.origin)).toEqual(Array(3).fill(origin ? id : undefined));
      expect(heard.every((message) => message.id === undefined)).toBe(true);
      expect(parsed(heard[0]?.params as Buffer)).toEqual({ level: 'info', data: 'log line' });
      expect(textOf(await answer)).toBe('logged');
    },
  },
  {
    title: 'progress carries the token that the caller chose (D-8)',
    // The SDK's server drops it when it answers as JSON.
    appliesTo: ({ interim }) => interim.via === 'call',
    run: async (bench) => {
      const session = await bench.connect();
      const heard = answering(session, ANSWER);
      const call = { name: 'slow', arguments: { ms: 3, steps: 3 }, _meta: { progressToken: 'token-7' } };

      await session.request('tools/call', params(call));

      expect(heard.map((message) => parsed(message.params as Buffer))).toEqual(
        [1, 2, 3].map((progress) => ({ progressToken: 'token-7', progress, total: 3 })),
      );
    },
  },
  {
    title: 'a request of the server reaches the listener, and the answer goes back',
    run: async (bench) => {
      const { via, origin } = bench.subject.interim;
      const session = await bench.listening({ clientCapabilities: { elicitation: {} } });
      const heard = answering(session, ANSWER);
      let id = 0;

      const reply = await callTool(session, 'ask', { message: 'really?', via }, { onId: (own) => (id = own) });

      expect(JSON.parse(textOf(reply))).toEqual({ action: 'accept', content: { answer: '42' } });
      expect(heard.map(({ method }) => method)).toEqual(['elicitation/create']);
      expect(heard[0]?.origin).toBe(origin ? id : undefined);
      expect(parsed(heard[0]?.params as Buffer)).toMatchObject({ message: 'really?' });
    },
  },
  {
    title: 'an error is an answer too',
    run: async (bench) => {
      const { via } = bench.subject.interim;
      const session = await bench.listening();
      answering(session, REFUSAL);

      const reply = await callTool(session, 'ask', { kind: 'sampling', message: 'think', via });

      expect(JSON.parse(textOf(reply))).toMatchObject({ error: { code: -32001 } });
      expect(textOf(reply)).toContain('nobody at home');
    },
  },
  {
    title: 'without a listener requests of the server are refused with −32601 (D-8)',
    run: async (bench) => {
      const { via } = bench.subject.interim;
      const session = await bench.listening();

      const reply = await callTool(session, 'ask', { message: 'anybody?', via });

      expect(JSON.parse(textOf(reply))).toMatchObject({ error: { code: -32601 } });
    },
  },
  {
    title: 'a ping of the server is answered, with a listener and without, and is nobody else’s business',
    run: async (bench) => {
      const session = await bench.listening();

      await bench.server.pingClients();
      const heard = answering(session, REFUSAL);
      await bench.server.pingClients();

      expect(heard).toEqual([]);
    },
  },
  {
    title: 'a change of the tool list is heard on the standing stream (N-1)',
    run: async (bench) => {
      const session = await bench.listening();
      const changed = deferred<UpstreamMessage>();
      session.onMessage((message) => changed.resolve(message));

      bench.server.addTool('brand_new');

      expect(await changed.promise).toEqual({ method: 'notifications/tools/list_changed' });
      expect(textOf(await callTool(session, 'brand_new'))).toBe('brand_new ran');
    },
  },
];
