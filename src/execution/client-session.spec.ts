import { describe, expect, it } from '@jest/globals';
import { type CatalogueView, type GatewayEntry } from '../catalogue/index.js';
import { ClientSession, LOG_LEVELS } from './client-session.js';
import { type SessionSink } from './client-sink.js';

const session = (clientCapabilities: Record<string, unknown> = {}): ClientSession =>
  new ClientSession({
    ...{ id: 'i', hash: 'h', clientCapabilities },
    ...{ view: {} as CatalogueView, sink: { listening: false } as SessionSink },
  });
const level = (text: string): Buffer => Buffer.from(`{"data":1.0,"level":"${text}"}`);

describe('ClientSession', () => {
  it('declares upstream what it can relay, as the client said it, and nothing else (P-4)', () => {
    const elicitation = { form: {}, url: {} };
    const made = session({ sampling: {}, elicitation, experimental: { x: {} }, tasks: {} });
    expect(made.relayedCapabilities).toEqual({ sampling: {}, elicitation });
    expect(['sampling', 'elicitation', 'roots', 'tasks'].filter((name) => made.declares(name))).toEqual([
      ...['sampling', 'elicitation'],
    ]);
  });

  it('has one binding with each gateway', () => {
    const [made, limits] = [session(), { maxMs: 1 }];
    const [a, b] = [{ id: 'a' } as GatewayEntry, { id: 'b' } as GatewayEntry];
    expect(made.bindingOf(a, limits)).toBe(made.bindingOf({ id: 'a' } as GatewayEntry, limits));
    expect(made.bindingOf(b, limits)).not.toBe(made.bindingOf(a, limits));
    expect([...made.bound]).toHaveLength(2);
  });

  it('remembers the links that it has seen, by gateway', () => {
    const made = session();
    made.links.note(['a:b'], 'one');
    expect([made.links.gatewayOf('a:b'), session().links.gatewayOf('a:b')]).toEqual(['one', undefined]);
  });
});

describe('logging messages (MCP, Utilities, "Logging")', () => {
  it.each(LOG_LEVELS.map((wanted, at) => [wanted, at] as const))('at %s: it and what is more severe', (wanted, at) => {
    const made = session();
    made.logLevel = wanted;
    expect(LOG_LEVELS.filter((one) => made.wantsLog(level(one)))).toEqual(LOG_LEVELS.slice(at));
  });

  it('all of them while the client asked for none', () => {
    expect(LOG_LEVELS.every((one) => session().wantsLog(level(one)))).toBe(true);
  });

  it('one without a level that we know is passed on', () => {
    const made = session();
    made.logLevel = 'emergency';
    for (const params of ['{}', '[]', '{"level":7}', '{"level":"loud"}']) {
      expect([params, made.wantsLog(Buffer.from(params))]).toEqual([params, true]);
    }
    expect(made.wantsLog(undefined)).toBe(true);
  });
});
