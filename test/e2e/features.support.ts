import { expect } from '@jest/globals';
import { COMPLETIONS } from '../support/mcp-content.js';
import { LOG_LEVELS } from '../support/mcp-feature-tools.js';
import { until } from '../support/until.js';
import { type FeatureClient } from './feature-client.support.js';

/** One feature of the protocol: fails unless it works from the client's application to the server's and back. */
export interface Feature {
  readonly name: string;
  readonly run: (client: FeatureClient) => Promise<void>;
}

const ONE = 'test://static/one';
const VIAS = [
  ['', 'call'],
  [' on the standing stream', 'stream'],
] as const;

const plain: Feature[] = [
  {
    name: 'tools',
    run: async (client) => {
      const { tools } = await client.sdk.listTools();
      const listed = tools.find(({ name }) => name === client.target.named('structured'));
      expect(listed).toMatchObject({ annotations: { readOnlyHint: true }, outputSchema: { type: 'object' } });
      expect(await client.call('structured', { city: 'Bern' })).toMatchObject({
        structuredContent: { city: 'Bern', degrees: 21.5 },
        content: [{ type: 'text' }, { type: 'resource_link', uri: ONE, name: 'one', mimeType: 'text/plain' }],
      });
      expect(await client.call('fail', { message: 'no' })).toMatchObject({ isError: true, content: [{ text: 'no' }] });
    },
  },
  {
    name: 'progress',
    run: async (client) => {
      let called = 0;
      const params = { name: client.target.named('slow'), arguments: { ms: 25, steps: 5 } };
      await client.sdk.callTool(params, undefined, { onprogress: () => void (called += 1) });
      const came = client.messages.filter(({ method }) => method === 'notifications/progress');
      const wanted = [1, 2, 3, 4, 5].map((progress) => ({ progress, total: 5 }));
      expect(came.map(({ params }) => params)).toEqual(wanted.map((each) => expect.objectContaining(each)));
      // The SDK drops the last one when the result comes in the same piece of a stream.
      expect(called).toBeGreaterThanOrEqual(4);
    },
  },
  { name: 'cancellation', run: cancellation },
  {
    name: 'resources',
    run: async ({ sdk, target }) => {
      const { resources } = await sdk.listResources();
      expect(resources).toContainEqual(
        expect.objectContaining({ uri: target.uri(ONE), name: 'one', mimeType: 'text/plain' }),
      );
      const { resourceTemplates } = await sdk.listResourceTemplates();
      expect(resourceTemplates.map(({ uriTemplate }) => uriTemplate)).toContain(target.uri('test://item/{id}'));
      const uri = target.uri(ONE);
      expect((await sdk.readResource({ uri })).contents).toMatchObject([{ uri, text: 'text of one' }]);
      const item = target.uri('test://item/7');
      expect((await sdk.readResource({ uri: item })).contents).toMatchObject([{ uri: item, text: '{"id":"7"}' }]);
      await expect(sdk.readResource({ uri: 'test://no/such' })).rejects.toMatchObject({ code: expect.any(Number) });
    },
  },
  { name: 'subscription', run: subscription },
  {
    name: 'prompts',
    run: async ({ sdk, target }) => {
      const { prompts } = await sdk.listPrompts();
      expect(prompts).toContainEqual(
        expect.objectContaining({
          name: target.named('greet'),
          arguments: [expect.objectContaining({ name: 'name', required: true })],
        }),
      );
      const { messages } = await sdk.getPrompt({ name: target.named('greet'), arguments: { name: 'Ada' } });
      expect(messages).toEqual([{ role: 'user', content: { type: 'text', text: 'Hello, Ada!' } }]);
    },
  },
  {
    name: 'completion',
    run: async ({ sdk, target }) => {
      const prompt = { type: 'ref/prompt' as const, name: target.named('greet') };
      const names = await sdk.complete({ ref: prompt, argument: { name: 'name', value: 'A' } });
      expect(names.completion.values).toEqual(COMPLETIONS.name.slice(0, 2));
      const template = { type: 'ref/resource' as const, uri: target.uri('test://item/{id}') };
      const ids = await sdk.complete({ ref: template, argument: { name: 'id', value: '1' } });
      expect(ids.completion.values).toEqual(COMPLETIONS.id.slice(0, 2));
    },
  },
  {
    name: 'roots',
    run: async (client) => {
      const { server } = client.target;
      expect(await client.ask('ask', { kind: 'roots' })).toEqual({ roots: client.roots });
      client.roots = [{ uri: 'file:///srv/bob', name: 'bob' }];
      const told = server.stats.requests['notifications/roots/list_changed'] ?? 0;
      await client.sdk.sendRootsListChanged();
      await server.waitFor(({ requests }) => requests['notifications/roots/list_changed'] === told + 1);
      expect(await client.ask('ask', { kind: 'roots' })).toEqual({ roots: client.roots });
    },
  },
  {
    name: 'ping both ways',
    run: async (client) => {
      await client.sdk.ping();
      expect(await client.ask('ask', { kind: 'ping' })).toEqual({});
      expect(await client.ask('ask', { kind: 'ping', via: 'stream' })).toEqual({});
    },
  },
];

const asking = VIAS.flatMap(([where, via]): Feature[] => [
  {
    name: `sampling${where}`,
    run: async (client) => {
      expect(await client.ask('ask', { kind: 'sampling', message: 'a poem', via })).toEqual({
        model: 'test-model',
        role: 'assistant',
        content: { type: 'text', text: 'sampled' },
      });
      const messages = [{ role: 'user', content: { type: 'text', text: 'a poem' } }];
      expect(client.asked).toEqual([expect.objectContaining({ messages, maxTokens: 16 })]);
    },
  },
  {
    name: `elicitation, form${where}`,
    run: async (client) => {
      const answer = await client.ask('ask', { kind: 'elicitation', message: 'your name?', via });
      expect(answer).toEqual({ action: 'accept', content: { answer: 'elicited' } });
      const requestedSchema = { type: 'object', properties: { answer: { type: 'string' } } };
      expect(client.asked).toEqual([{ mode: 'form', message: 'your name?', requestedSchema }]);
    },
  },
  {
    name: `elicitation, URL${where}`,
    run: async (client) => {
      const question = { message: 'please pay', url: 'https://pay.example.com/7?a=b', elicitationId: `e-${via}` };
      expect(await client.ask('ask_url', { ...question, via })).toEqual({ action: 'accept' });
      expect(client.asked).toEqual([{ mode: 'url', ...question }]);
      const done = await client.notified('notifications/elicitation/complete');
      expect(done).toEqual([{ elicitationId: question.elicitationId }]);
    },
  },
  {
    name: `logging level${where}`,
    run: async (client) => {
      await client.sdk.setLoggingLevel('warning');
      await client.call('log_all', { data: `at ${via}`, via });
      expect(client.target.server.lastBody('logging/setLevel')).toContain('"warning"');
      const wanted = LOG_LEVELS.slice(LOG_LEVELS.indexOf('warning'));
      const logged = await client.notified('notifications/message', wanted.length);
      expect(logged).toEqual(wanted.map((level) => ({ level, data: `at ${via}` })));
    },
  },
]);

export const FEATURES: readonly Feature[] = [...plain, ...asking];

/** The server sees it, and the call's streams end on both sides; the SDK alone leaves them open (PROTOCOL 3.4). */
async function cancellation(client: FeatureClient): Promise<void> {
  const { server, named, through } = client.target;
  const { cancelled } = server.stats;
  const stop = new AbortController();
  const params = { name: named('gate'), arguments: {} };
  const call = client.sdk.callTool(params, undefined, { signal: stop.signal, onprogress: () => undefined });
  const failure = call.catch((error: unknown) => error);
  await Promise.race([server.waitFor(({ atGate }) => atGate === 1), call]);
  stop.abort('changed my mind');
  expect(String(await failure)).toContain('changed my mind');
  await server.waitFor((stats) => stats.cancelled === cancelled + 1 && stats.atGate === 0);
  if (through !== 'nothing') {
    await server.waitFor(({ openPosts }) => openPosts === 0);
    await until(() => client.openPosts === 0, { what: "the end of the call's stream" });
  }
  expect(await client.call('echo', { text: 'still here' })).toMatchObject({ content: [{ text: 'still here' }] });
}

async function subscription(client: FeatureClient): Promise<void> {
  const { server, uri: publicUri } = client.target;
  const uri = publicUri(ONE);
  const before = { ...server.stats.requests };
  const since = (method: string): number => (server.stats.requests[method] ?? 0) - (before[method] ?? 0);
  await client.sdk.subscribeResource({ uri });
  expect([since('resources/subscribe'), server.subscribers(ONE).length]).toEqual([1, 1]);
  await until(() => server.subscribers(ONE)[0]?.listening, { what: "the session's standing stream" });
  await server.updateResource(ONE);
  await server.updateResource('test://static/two');
  await server.updateResource(ONE);
  // Two and not three: nobody subscribed to the other one.
  expect(await client.notified('notifications/resources/updated', 2)).toEqual([{ uri }, { uri }]);
  await client.sdk.unsubscribeResource({ uri });
  expect([since('resources/unsubscribe'), server.subscribers(ONE).length]).toEqual([1, 0]);
}
