import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { RawClient } from '../support/raw-client.js';
import { type Heard, type Rpc } from '../support/raw-answer.js';
import { figures, user } from './pool-world.support.js';
import { type Target, Targets, type Way, WAYS } from './targets.support.js';

/** `npm run soak:ids` makes it 1,000. */
const ROUNDS = Number(process.env['SOAK_ROUNDS'] ?? 50);
/** On a machine that does a lot of other things. */
const ROUND_MS = 500;
/** Of a call: two of progress, one logging message, one question, the response. */
const MESSAGES_PER_CALL = 5;
const KINDS = ['sampling', 'elicitation'] as const;
const METHODS = { sampling: 'sampling/createMessage', elicitation: 'elicitation/create' } as const;

const VIAS = ['call', 'stream'] as const;
type Via = (typeof VIAS)[number];

/** A client and its name, which every message of its calls bears. */
interface Peer {
  readonly name: string;
  readonly target: Target;
  readonly client: RawClient;
}

/**
 * Two clients that choose the very same ids and tokens, each with a sampling and an elicitation in flight at the same
 * time; nobody answers before all four questions are out (D-8). Issue 4, shown by 3.
 */
describe(`two clients with identical ids, ${ROUNDS} rounds each (D-8)`, () => {
  let targets: Targets;
  beforeAll(async () => {
    targets = await Targets.start();
  }, 60_000);
  afterAll(() => targets.close());

  const cases = WAYS.flatMap((way) =>
    VIAS.flatMap((via) => usersOn(way).map((users) => [way.name, via, users] as const)),
  );

  it.each(cases)(
    '%s, the rest over the %s, %i user(s)',
    async (way, via, users) => {
      const target = targets.at(way);
      const open = async (name: string, who: number): Promise<Peer> => {
        const client = await RawClient.open(target.url, { headers: user(who) });
        if (target.downstream === 'http') await client.get(); // where questions on the standing stream arrive
        return { name, target, client };
      };
      const peers = [await open('ann', 1), await open('bob', users)];
      const started = performance.now();
      for (let round = 1; round <= ROUNDS; round += 1) await converse(peers, round, via);
      figures(`${way}, ${via}, ${users} user(s)`, {
        rounds: ROUNDS,
        'ms a round': (performance.now() - started) / ROUNDS,
      });
      await Promise.all(peers.map(({ client }) => client.close()));
    },
    20_000 + ROUNDS * ROUND_MS,
  );
});

/** The direct ways know no users; both of one user is a question of the gateway's, whatever is behind it. */
function usersOn({ through, upstream }: Way): number[] {
  if (through === 'nothing') return [1];
  return through === 'one' && upstream === 'http' ? [2, 1] : [2];
}

/** One round; the ids depend only on its number. */
async function converse(peers: readonly Peer[], round: number, via: Via): Promise<void> {
  const calls = KINDS.map((kind, n) => {
    const [id, token] = [2 * round + n, n === 0 ? 2 * round : `token-${round}`];
    return { kind, id: n === 0 ? id : String(id), token };
  });
  const markerOf = ({ name }: Peer, kind: string): string => `<${name} ${kind} ${round}>`;
  for (const peer of peers) {
    for (const { kind, id, token } of calls) {
      // Not awaited: the headers may come with the first message only.
      void peer.client.call(id, peer.target.named('converse'), { kind, marker: markerOf(peer, kind), via }, token);
    }
  }
  const questions = await Promise.all(peers.map((peer) => questionsOf(peer)));
  // In the opposite order, so that an answer by order of arrival would be a wrong one.
  for (const [n, peer] of [...peers.entries()].reverse()) {
    for (const question of [...(questions[n] ?? [])].reverse()) await answer(peer, question);
  }
  for (const peer of peers) {
    const heard = await everything(peer);
    const own = heard.map(({ message }) => message);
    for (const message of own)
      expectOnly(
        message,
        KINDS.map((kind) => markerOf(peer, kind)),
      );
    for (const { kind, id, token } of calls) {
      const marker = markerOf(peer, kind);
      const mine = own.filter((message) => JSON.stringify(message).includes(marker));
      expect(mine.filter(({ method }) => method === METHODS[kind])).toHaveLength(1);
      expect(mine.filter(({ method }) => method === 'notifications/message')).toHaveLength(1);
      const progress = mine.filter(({ method }) => method === 'notifications/progress');
      expect(progress.map(({ params }) => params)).toEqual(
        [1, 2].map((step) => ({ progressToken: token, progress: step, total: 2, message: marker })),
      );
      const responses = mine.filter(({ method }) => method === undefined);
      expect(responses.map((response) => [response.id, said(response)])).toEqual([[id, { marker, by: peer.name }]]);
    }
  }
}

/** Waits for both questions of a peer. */
function questionsOf({ client }: Peer): Promise<Rpc[]> {
  return client.inbox.wait('two questions', (all) => {
    const found = all
      .map(({ message }) => message)
      .filter(({ id, method }) => id !== undefined && method !== undefined);
    return found.length >= KINDS.length && found;
  });
}

async function answer({ name, client }: Peer, { id, method, params }: Rpc): Promise<void> {
  const marker = /<[^>]*>/.exec(JSON.stringify(params))?.[0] ?? '';
  const text = `${name} to ${marker}`;
  const result =
    method === METHODS.sampling
      ? { model: 'm', role: 'assistant', content: { type: 'text', text } }
      : { action: 'accept', content: { answer: text } };
  await (await client.post({ id, result })).ended();
}

/** All messages of the round; one more would be found in the next. */
async function everything({ client }: Peer): Promise<Heard[]> {
  const count = KINDS.length * MESSAGES_PER_CALL;
  await client.inbox.wait(`${count} messages`, (all) => all.length >= count);
  return client.inbox.all.splice(0);
}

/** Every marker in it is one of these, and there is one. */
function expectOnly(message: Rpc, markers: readonly string[]): void {
  const found = JSON.stringify(message).match(/<[^>]*>/g) ?? [];
  expect(found).not.toEqual([]);
  for (const marker of found) expect(markers).toContain(marker);
}

/** What the tool says: its marker, and whose answer it got. */
function said({ result, error }: Rpc): unknown {
  const [{ text = '' } = {}] = (result?.['content'] ?? []) as { text?: string }[];
  if (error || !text.startsWith('{')) return error ?? text;
  const { marker, answer } = JSON.parse(text) as { marker: string; answer: object };
  const [, by, to] = /"(\w+) to (<[^>]*>)"/.exec(JSON.stringify(answer)) ?? [];
  return to === marker ? { marker, by } : answer;
}
