import { beforeEach, describe, expect, it, jest } from '@jest/globals';
import { deferred } from '../../test/support/deferred.js';
import { UpstreamDouble } from '../../test/support/upstream-double.js';
import { type UpstreamReply, UpstreamError } from '../session-pool/index.js';
import { type BindingClient, GatewayBinding } from './gateway-binding.js';

const OK: UpstreamReply = { kind: 'result', raw: Buffer.from('{}') };
const NO: UpstreamReply = { kind: 'error', raw: Buffer.from('{"code":-1,"message":"no"}') };

let heard: string[];
let client: BindingClient & { logLevel: string | undefined };
let binding: GatewayBinding;
let asked: number;
const ask =
  (reply = OK) =>
  async () => ((asked += 1), reply);

beforeEach(() => {
  heard = [];
  asked = 0;
  client = {
    relayedCapabilities: { roots: {} },
    logLevel: undefined,
    declares: () => true,
    wantsLog: () => client.logLevel !== 'error',
    sink: {
      listening: true,
      notify: (frame) => void heard.push(frame.toString()),
      ask: () => Promise.reject(new Error('nobody is asked here')),
    },
  };
  binding = new GatewayBinding(client, { maxMs: 1_000 });
});

const updated = (uri: string) =>
  `{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"${uri}"}}`;

describe('subscriptions (SPEC D-8, G-4)', () => {
  it('one upstream for all aliases, and it ends with the last of them', async () => {
    await binding.opened(new UpstreamDouble());
    expect(await binding.subscribe('a:b', 'a:b', ask())).toBeUndefined();
    expect(await binding.subscribe('a:b', 'gw:x:a:b', ask())).toBeUndefined();
    expect(await binding.subscribe('a:b', 'a:b', ask())).toBeUndefined();
    expect(asked).toBe(1);
    await binding.unsubscribe('a:b', 'a:b', ask());
    expect(asked).toBe(1);
    await binding.unsubscribe('a:b', 'a:b', ask()); // twice is once
    expect(asked).toBe(1);
    await binding.unsubscribe('a:b', 'gw:x:a:b', ask());
    expect(asked).toBe(2);
    await binding.subscribe('a:b', 'a:b', ask());
    expect(asked).toBe(3);
  });

  it('an update is told under every name that the client subscribed to, and no other', async () => {
    await binding.subscribe('a:b', 'a:b', ask());
    await binding.subscribe('a:b', 'gw:x:a:b', ask());
    binding.updated(Buffer.from('{"uri":"a\\u003ab"}'));
    expect(heard).toEqual([updated('a:b'), updated('gw:x:a:b')]);
    await binding.unsubscribe('a:b', 'a:b', ask());
    binding.updated(Buffer.from('{"uri":"a:b"}'));
    expect(heard.slice(2)).toEqual([updated('gw:x:a:b')]);
  });

  it('keeps every other byte of an update (D-7), and passes on that of a part of what is subscribed to', async () => {
    await binding.subscribe('a:b', 'gw:x:a:b', ask());
    binding.updated(Buffer.from('{ "n":1.0, "uri" : "a:b" }'));
    binding.updated(Buffer.from('{"uri":"a:b/part"}'));
    expect(heard).toEqual([
      '{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{ "n":1.0, "uri" : "gw:x:a:b" }}',
      updated('a:b/part'),
    ]);
  });

  it('who subscribed to nothing hears nothing; what is no update is ignored', async () => {
    binding.updated(Buffer.from('{"uri":"a:b"}'));
    await binding.subscribe('a:b', 'a:b', ask());
    for (const params of ['{}', '[]', '{"uri":7}', 'null']) binding.updated(Buffer.from(params));
    binding.updated(undefined);
    expect(heard).toEqual([]);
  });

  it('a server that refuses: the client hears it, and is not subscribed', async () => {
    expect(await binding.subscribe('a:b', 'a:b', ask(NO))).toBe(NO);
    binding.updated(Buffer.from('{"uri":"a:b"}'));
    expect(heard).toEqual([]);
    await binding.subscribe('a:b', 'a:b', ask());
    expect(asked).toBe(2);
    expect(await binding.unsubscribe('a:b', 'a:b', ask(NO))).toBe(NO);
    expect(await binding.unsubscribe('c:d', 'c:d', ask(NO))).toBe(NO); // never subscribed: the server's own word
  });

  it('two aliases subscribed to at the same time are both heard', async () => {
    const gate = deferred<UpstreamReply>();
    const both = ['a:b', 'gw:x:a:b'].map((uri) => binding.subscribe('a:b', uri, () => gate.promise));
    gate.resolve(OK);
    await Promise.all(both);
    binding.updated(Buffer.from('{"uri":"a:b"}'));
    expect(heard).toEqual([updated('a:b'), updated('gw:x:a:b')]);
  });
});

describe('subscriptions and the life of the upstream session (D-8, P-9)', () => {
  const URI = 'a:b';
  const lose = (session: UpstreamDouble): void => {
    session.lost = new UpstreamError('UPSTREAM_SESSION_LOST', 'gone', { execution: 'none' });
    binding.ended(session);
  };

  it('what is known is asked for all the same when there is no session', async () => {
    const session = new UpstreamDouble();
    await binding.opened(session);
    await binding.subscribe(URI, URI, ask());
    lose(session);
    await binding.subscribe(URI, URI, ask());
    expect(asked).toBe(2);
  });

  it('unsubscribing while the subscription is under way comes after it', async () => {
    const gate = deferred<UpstreamReply>();
    const order: string[] = [];
    const subscribing = binding.subscribe(URI, URI, () => (order.push('subscribe'), gate.promise));
    const unsubscribing = binding.unsubscribe(URI, URI, async () => (order.push('unsubscribe'), OK));
    const other = binding.subscribe('c:d', 'c:d', ask()); // waits for nobody
    await other;
    expect(order).toEqual(['subscribe']);
    gate.resolve(OK);
    await Promise.all([subscribing, unsubscribing]);
    expect(order).toEqual(['subscribe', 'unsubscribe']);
    const session = new UpstreamDouble();
    await binding.opened(session);
    expect(session.sent).toEqual(['resources/subscribe {"uri":"c:d"}']);
  });

  it('a change that fails does not keep the next one', async () => {
    await expect(binding.subscribe(URI, URI, () => Promise.reject(new Error('no')))).rejects.toThrow('no');
    await binding.subscribe(URI, URI, ask());
    expect(asked).toBe(1);
  });

  it('one that the server does not take again is dropped, and the client is told', async () => {
    await binding.subscribe(URI, 'gw:x:a:b', ask());
    const session = new UpstreamDouble();
    session.reply = async () => NO;
    await binding.opened(session);
    expect(JSON.parse(heard[0] ?? '')).toMatchObject({
      method: 'notifications/message',
      params: { level: 'warning', data: expect.stringContaining('gw:x:a:b') },
    });
    await binding.opened(session);
    expect([session.sent.length, heard.length]).toEqual([1, 1]);
  });

  it('one that fails because the session is lost is kept for the next', async () => {
    await binding.subscribe(URI, URI, ask());
    const session = new UpstreamDouble();
    session.reply = () => (lose(session), Promise.reject(new Error('gone')));
    await binding.opened(session);
    expect(heard).toEqual([]);
    const next = new UpstreamDouble();
    await binding.opened(next);
    expect(next.sent).toEqual(['resources/subscribe {"uri":"a:b"}']);
  });

  it('a lost session is opened anew without a call, if the client is subscribed to something', async () => {
    jest.useFakeTimers({ doNotFake: ['setImmediate', 'performance', 'nextTick', 'queueMicrotask'] });
    try {
      const opened: UpstreamDouble[] = [];
      const open = async (): Promise<void> => {
        opened.push(new UpstreamDouble());
        await binding.opened(opened.at(-1) as UpstreamDouble);
      };
      binding.keepBy(open);
      await open();
      lose(opened[0] as UpstreamDouble);
      await jest.advanceTimersByTimeAsync(60_000);
      expect(opened).toHaveLength(1); // nobody waits for anything
      await open();
      await binding.subscribe(URI, URI, ask());
      lose(opened[1] as UpstreamDouble);
      await jest.advanceTimersByTimeAsync(60_000);
      expect(opened).toHaveLength(3);
      expect(opened[2]?.sent).toEqual(['resources/subscribe {"uri":"a:b"}']);
      lose(opened[2] as UpstreamDouble);
      binding.ended(); // the downstream session has ended
      await jest.advanceTimersByTimeAsync(60_000);
      expect(opened).toHaveLength(3);
    } finally {
      jest.useRealTimers();
    }
  });
});

describe('the mapping of the bound session (P-5, D-5)', () => {
  it('is registered once for each place, and a call that comes meanwhile waits until it is', async () => {
    const gate = deferred<void>();
    let registered = 0;
    const register = (): Promise<void> => ((registered += 1), gate.promise);
    const order: string[] = [];
    const calls = [1, 2].map((n) => binding.registered('a', register).then(() => order.push(`call ${n}`)));
    await new Promise(setImmediate);
    order.push('stored');
    gate.resolve();
    await Promise.all(calls);
    await binding.registered('a', register);
    expect([order, registered]).toEqual([['stored', 'call 1', 'call 2'], 1]);
    await binding.registered('b', register);
    expect(registered).toBe(2);
  });

  it('that it could not be is the failure of this call alone', async () => {
    await expect(binding.registered('a', () => Promise.reject(new Error('no')))).rejects.toThrow('no');
    let registered = 0;
    await binding.registered('a', async () => void (registered += 1));
    expect(registered).toBe(1);
  });
});

describe('a new upstream session (P-9)', () => {
  it('gets log level and subscriptions again, by the names of the server', async () => {
    await binding.subscribe('a:b', 'gw:x:a:b', ask());
    await binding.subscribe('c:d', 'c:d', ask());
    client.logLevel = 'warning';
    const session = new UpstreamDouble({ logging: {} });
    await binding.opened(session);
    expect(session.sent.sort()).toEqual([
      'logging/setLevel {"level":"warning"}',
      'resources/subscribe {"uri":"a:b"}',
      'resources/subscribe {"uri":"c:d"}',
    ]);
  });

  it('a server without logging is not told of a level, and one that refuses harms nothing', async () => {
    await binding.subscribe('a:b', 'a:b', ask());
    client.logLevel = 'warning';
    const session = new UpstreamDouble();
    session.reply = () => Promise.reject(new Error('gone'));
    await binding.opened(session);
    expect(session.sent).toEqual(['resources/subscribe {"uri":"a:b"}']);
  });

  it('is the one that the client hears from then on', async () => {
    const session = new UpstreamDouble();
    await binding.opened(session);
    session.says('notifications/message', '{"level":"info"}');
    expect(heard).toEqual(['{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info"}}']);
  });

  it('is told what concerns every server, while it lives', async () => {
    await binding.tell('notifications/roots/list_changed', undefined);
    const session = new UpstreamDouble();
    await binding.opened(session);
    await binding.tell('notifications/roots/list_changed', undefined);
    session.lost = new UpstreamError('UPSTREAM_SESSION_LOST', 'gone', { execution: 'none' });
    await binding.tell('notifications/roots/list_changed', undefined);
    expect(session.sent).toEqual(['notifications/roots/list_changed undefined']);
    expect(binding.live).toBeUndefined();
  });

  it('that state was lost is a warning to the client, unless it wants none', () => {
    binding.stateLost('Demo');
    expect(JSON.parse(heard[0] ?? '')).toMatchObject({
      method: 'notifications/message',
      params: { level: 'warning', data: expect.stringMatching(/^Demo: .*lost/) },
    });
    client.logLevel = 'error';
    binding.stateLost('Demo');
    expect(heard).toHaveLength(1);
  });
});
