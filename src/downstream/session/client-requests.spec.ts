import { getEventListeners } from 'node:events';
import { beforeEach, describe, expect, it } from '@jest/globals';
import { type RpcMessage } from '../../common/jsonrpc.js';
import { ClientRequests } from './client-requests.js';

let asked: ClientRequests;
let written: Record<string, unknown>[];
let raw: string[];

beforeEach(() => {
  asked = new ClientRequests();
  written = [];
  raw = [];
});

const write = (frame: Buffer): void => {
  raw.push(frame.toString());
  written.push(JSON.parse(frame.toString()) as Record<string, unknown>);
};
const never = new AbortController().signal;
const json = (text: string): Buffer => Buffer.from(text);
const ask = (params?: string, signal = never) =>
  asked.ask(write, 'elicitation/create', params === undefined ? undefined : json(params), signal);
const answer = (id: string, member: 'result' | 'error', text: string): RpcMessage => ({
  id: json(id),
  [member]: json(text),
});

describe('ClientRequests (SPEC D-8)', () => {
  it('asks under ids of its own, and gives each its own answer as it came, whatever the order', async () => {
    const [first, second] = [ask('{"m":1.0}'), ask()];
    expect(raw).toEqual([
      '{"jsonrpc":"2.0","id":1,"method":"elicitation/create","params":{"m":1.0}}',
      '{"jsonrpc":"2.0","id":2,"method":"elicitation/create"}',
    ]);
    asked.answered(answer('2', 'error', '{"code":-1,"message":"no"}'));
    asked.answered(answer('1', 'result', '{"n":12345678901234567890}'));
    expect(await first).toEqual({ kind: 'result', raw: json('{"n":12345678901234567890}') });
    expect(await second).toEqual({ kind: 'error', raw: json('{"code":-1,"message":"no"}') });
    expect(asked.size).toBe(0);
  });

  it.each(['"1"', '2', '01', '1.0', 'null'])('an answer to %s is nobody’s, nor is a second one', async (id) => {
    const question = ask();
    asked.answered(answer(id, 'result', '"wrong"'));
    asked.answered({ result: json('"no id"') });
    expect(asked.size).toBe(1);
    asked.answered(answer('1', 'result', '"right"'));
    asked.answered(answer('1', 'result', '"late"'));
    expect((await question).raw.toString()).toBe('"right"');
  });

  it('a question that is withdrawn is taken back at the client, and its answer is ignored', async () => {
    const gone = new AbortController();
    const question = ask('{}', gone.signal);
    const other = ask('{}');
    gone.abort(new Error('the call has ended'));
    await expect(question).rejects.toThrow('the call has ended');
    expect(written[2]).toEqual({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 1 } });
    asked.answered(answer('1', 'result', '{}'));
    asked.answered(answer('2', 'result', '{}'));
    expect((await other).kind).toBe('result');
    expect([asked.size, written.length]).toEqual([0, 3]);
  });

  it('a question that was withdrawn before it was asked never reaches the client', async () => {
    const question = ask('{}', AbortSignal.abort(new Error('too late')));
    await expect(question).rejects.toThrow('too late');
    expect([written, asked.size]).toEqual([[], 0]);
  });

  it('leaves no listener on a signal that lives on', async () => {
    const { signal } = new AbortController();
    const question = ask('{}', signal);
    asked.answered(answer('1', 'result', '{}'));
    await question;
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });

  it('when the session ends, all that wait hear why, and nobody is asked any more', async () => {
    const waiting = [ask(), ask()];
    const reason = new Error('the session has ended');
    asked.close(reason);
    expect(await Promise.allSettled([...waiting, ask()])).toEqual(
      Array.from({ length: 3 }, () => ({ status: 'rejected', reason })),
    );
    expect([asked.size, written.length]).toEqual([0, 2]); // and no cancellation is sent to a client that has gone
  });
});

describe('progress of the client on a question (D-8)', () => {
  it('two servers with the same token: each gets its own progress, under its own token', () => {
    let told: [server: string, params: string] | undefined;
    const from = (server: string, params: string) =>
      void asked.ask(write, 'elicitation/create', json(params), never, (own) => (told = [server, own.toString()]));
    from('a', '{"_meta":{"progressToken":"t"},"n":1.0}');
    from('b', '{"_meta": { "progressToken" : "t" }}');
    from('c', '{"_meta":{"progressToken":7}}');
    expect(raw.map((text) => /"params":(.*)\}$/.exec(text)?.[1])).toEqual([
      '{"_meta":{"progressToken":1},"n":1.0}',
      '{"_meta": { "progressToken" : 2 }}',
      '{"_meta":{"progressToken":3}}',
    ]);
    const progress = (params?: string) => {
      told = undefined;
      asked.progress(params === undefined ? undefined : json(params));
      return told;
    };
    expect(progress('{"progressToken":2,"progress":1.0}')).toEqual(['b', '{"progressToken":"t","progress":1.0}']);
    expect(progress('{"progress":5,"progressToken":3}')).toEqual(['c', '{"progress":5,"progressToken":7}']);
    for (const foreign of ['{"progressToken":"t"}', '{"progressToken":4}', '{"progressToken":"1"}', '{}', '[]', '7']) {
      expect(progress(foreign)).toBeUndefined();
    }
    expect(progress()).toBeUndefined();
    asked.answered(answer('2', 'result', '{}'));
    expect(progress('{"progressToken":2,"progress":2}')).toBeUndefined();
  });

  it('none was wanted: none is passed on', () => {
    void ask('{"_meta":{}}');
    expect(asked.progress(json('{"progressToken":1,"progress":1}'))).toBeUndefined();
  });
});
