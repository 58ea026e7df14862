import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { random } from '../support/random.js';
import { type Answer, type Rpc } from '../support/raw-answer.js';
import { RawClient } from '../support/raw-client.js';
import { bearer, TEST_JWT_SECRET } from '../support/tokens.js';
import { until } from '../support/until.js';
import { figures } from './pool-world.support.js';
import { type Target, Targets, WAYS } from './targets.support.js';

/** How long the calls take; `npm run soak:resume` makes it 30 s. */
const CALL_MS = Number(process.env['SOAK_RESUME_MS'] ?? 1_500);
const STEPS = 100;
/** Each seed is a call of its own, all at the same time in one session. */
const SEEDS = [1, 2, 3, 4, 5, 6];
/** At most that many events are missed by one cut. */
const MISSED = 15;

const OVER_HTTP = WAYS.filter(({ downstream }) => downstream === 'http');
const THROUGH = OVER_HTTP.filter(({ through }) => through !== 'nothing');
type Headers = Readonly<Record<string, string>>;

let targets: Targets;
let ann: Headers;

beforeAll(async () => {
  ann = await bearer('ann');
  targets = await Targets.start({
    ways: OVER_HTTP,
    server: { eventStore: true },
    env: { AUTH_MODE: 'jwt', JWT_SECRET: TEST_JWT_SECRET },
    headers: await bearer('root', { scope: 'admin' }),
  });
}, 60_000);
afterAll(() => targets.close());

/** What one call saw over all its streams. */
interface Story {
  readonly steps: unknown[];
  readonly result: unknown;
  readonly eventIds: readonly string[];
  readonly cuts: number;
}

describe(`a call of ${CALL_MS} ms with ${STEPS} events, cut at random (D-9, PROTOCOL R1 to R3)`, () => {
  it.each(OVER_HTTP)(
    '$name: every event exactly once, in order, then the result',
    async ({ name, through }) => {
      const target = targets.at(name);
      const { cancelled, progress } = target.server.stats;
      const client = await RawClient.open(target.url, { headers: ann });
      const all = progress + SEEDS.length * STEPS;
      const stories = await Promise.all(SEEDS.map((seed) => tell(client, target, seed, all)));
      const wanted = Array.from({ length: STEPS }, (_, n) => n + 1);
      for (const { steps, result } of stories) {
        expect(steps).toEqual(wanted);
        expect(result).toMatchObject({ content: [{ type: 'text', text: `took ${CALL_MS} ms` }] });
      }
      const ids = stories.flatMap(({ eventIds }) => eventIds);
      expect(new Set(ids).size).toBe(ids.length); // R2: unique over all streams of the session
      if (through !== 'nothing') for (const id of ids) expect(id).toMatch(/^[^.]+\.\d+$/);
      expect(target.server.stats.cancelled).toBe(cancelled); // C1: a dropped connection is not a cancel
      figures(name, { calls: stories.length, cuts: stories.reduce((sum, { cuts }) => sum + cuts, 0) });
      await client.close();
    },
    CALL_MS * 2 + 20_000,
  );
});

/**
 * A call, cut one to four times where the seed says; resumed at once or after some more events have been sent.
 *
 * @param all how many the server has sent when all calls are over
 */
async function tell(client: RawClient, target: Target, seed: number, all: number): Promise<Story> {
  const next = random(seed);
  const upTo = (limit: number): number => Math.floor(next() * limit);
  const cuts = Array.from({ length: 1 + upTo(4) }, () => 1 + upTo(STEPS)).sort((a, b) => a - b);
  const messages: Rpc[] = [];
  const eventIds: string[] = [];
  let last: string | undefined;
  const keep = (answer: Answer): void => {
    messages.push(...answer.messages);
    eventIds.push(...answer.eventIds);
    last = answer.lastEventId ?? last;
  };
  let answer = await client.call(seed, target.named('slow'), { ms: CALL_MS, steps: STEPS }, `token-${seed}`);
  expect([answer.status, answer.isStream]).toEqual([200, true]);
  let done = 0;
  for (const cut of cuts) {
    const enough = cut - messages.length;
    if (enough > 0) await answer.inbox.wait(`${enough} events`, (all) => all.length >= enough, CALL_MS + 10_000);
    if (hasEnded(answer)) break;
    answer.cut();
    keep(answer);
    done += 1;
    const { progress } = target.server.stats;
    const away = Math.min(progress + upTo(MISSED), all);
    await target.server.waitFor((stats) => stats.progress >= away, CALL_MS + 10_000);
    answer = await resume(client, last);
  }
  await answer.inbox.wait('the result', () => hasEnded(answer), CALL_MS + 10_000);
  if (target.through !== 'nothing') expect(await answer.ended()).toBe('end'); // the SDK leaves a replay open
  keep(answer);
  const progress = messages.filter(({ method }) => method === 'notifications/progress');
  for (const { params } of progress) expect(params).toMatchObject({ progressToken: `token-${seed}`, total: STEPS });
  const rest = messages.filter(({ method }) => method !== 'notifications/progress');
  expect(rest).toEqual([{ jsonrpc: '2.0', id: seed, result: expect.anything() }]);
  expect(messages.at(-1)).toBe(rest[0]);
  return { steps: progress.map(({ params }) => params?.['progress']), result: rest[0]?.result, eventIds, cuts: done };
}

function hasEnded({ messages }: Answer): boolean {
  return messages.some(({ result, error }) => result !== undefined || error !== undefined);
}

/** As a client does it; the other side may not have noticed yet that the first connection is gone. */
async function resume(client: RawClient, lastEventId: string | undefined): Promise<Answer> {
  return until(
    async () => {
      const answer = await client.get(lastEventId);
      if (answer.status === 200) return answer;
      await answer.ended();
      if (answer.status !== 409) expect([answer.status, answer.messages]).toEqual([200, []]);
      return undefined;
    },
    { what: 'a stream that resumes' },
  );
}

/** A call that waits at the gate and has said so. */
async function atGate(client: RawClient, target: Target, id: string, bytes = 0): Promise<Answer> {
  const { atGate: before } = target.server.stats;
  const answer = await client.call(id, target.named('gate'), { text: `through ${id}`, bytes }, id);
  await answer.inbox.wait('progress', (all) => all.length > 0);
  await target.server.waitFor(({ atGate: now }) => now === before + 1);
  return answer;
}

describe.each(OVER_HTTP)('what a stream holds, $name', ({ name }) => {
  it('R3: a replay is of its own stream only, whatever else the session has been sent', async () => {
    const target = targets.at(name);
    const client = await RawClient.open(target.url, { headers: ann });
    const standing = await client.get();
    const [one, two] = [await atGate(client, target, 'one'), await atGate(client, target, 'two')];
    one.cut();
    await (await client.call('log', target.named('notify_log'), { data: 'beside', via: 'stream' })).ended();
    await standing.inbox.wait('the logging message', (all) => all.length > 0);
    target.server.openGate();
    expect(await two.response()).toMatchObject({ id: 'two', result: { content: [{ text: 'through two' }] } });
    const rest = await resume(client, one.lastEventId);
    expect(await rest.response()).toMatchObject({ id: 'one', result: { content: [{ text: 'through one' }] } });
    expect(rest.messages).toHaveLength(1);
    expect(standing.messages.map(({ method }) => method)).toEqual(['notifications/message']);
    await client.close();
  });

  it('R3: the standing stream can be resumed too', async () => {
    const target = targets.at(name);
    const client = await RawClient.open(target.url, { headers: ann });
    // Outside of a call, so that there is no other stream to send it on.
    const say = (data: string): Promise<void> =>
      target.server.broadcast({ method: 'notifications/message', params: { level: 'info', data } });
    const first = await client.get();
    // The first call makes the session with the server, and it is the first that sends something.
    await (await client.call('log', target.named('notify_log'), { data: 'one', via: 'stream' })).response();
    await first.inbox.wait('the first message', (all) => all.length > 0);
    first.cut();
    await say('two');
    const second = await resume(client, first.lastEventId);
    await second.inbox.wait('the second message', (all) => all.length > 0);
    await say('three');
    await second.inbox.wait('the third message', (all) => all.length > 1);
    const heard = [...first.messages, ...second.messages].map(({ params }) => params?.['data']);
    expect(heard).toEqual(['one', 'two', 'three']);
    await client.close();
  });

  it('R1: a stream begins with an id and no data for a client of 2025-11-25, not for an older one', async () => {
    const target = targets.at(name);
    const seen: boolean[] = [];
    for (const protocolVersion of ['2025-11-25', '2025-06-18']) {
      const client = await RawClient.open(target.url, { headers: ann, protocolVersion });
      const answer = await atGate(client, target, 'call');
      seen.push(answer.eventIds.length > answer.messages.length);
      expect(answer.eventIds.length).toBeGreaterThanOrEqual(1);
      target.server.openGate();
      await answer.response();
      await client.close();
    }
    expect(seen).toEqual([true, false]);
  });
});

describe.each(THROUGH)('what the gateway refuses, $name (D-9)', ({ name }) => {
  it("another user's GET is 404, as if the session were not there, and takes nothing away", async () => {
    const target = targets.at(name);
    const client = await RawClient.open(target.url, { headers: ann });
    const call = await atGate(client, target, 'mine');
    call.cut();
    target.server.openGate();
    const stolen = await client.get(call.lastEventId, await bearer('bob'));
    await stolen.ended();
    expect([stolen.status, stolen.messages]).toMatchObject([404, [{ error: { data: { code: 'SESSION_NOT_FOUND' } } }]]);
    const own = await resume(client, call.lastEventId);
    expect(await own.response()).toMatchObject({ id: 'mine', result: { content: [{ text: 'through mine' }] } });
    await client.close();
  });

  it("another session's event id replays nothing of it, for the same user too", async () => {
    const target = targets.at(name);
    const [one, two] = [
      await RawClient.open(target.url, { headers: ann }),
      await RawClient.open(target.url, { headers: ann }),
    ];
    const call = await atGate(one, target, 'secret');
    call.cut();
    target.server.openGate();
    const foreign = await two.get(call.lastEventId); // streams may have the same names there
    expect([200, 400]).toContain(foreign.status);
    expect(await (await resume(one, call.lastEventId)).response()).toMatchObject({ id: 'secret' });
    expect(JSON.stringify(foreign.messages)).not.toContain('secret');
    await Promise.all([one.close(), two.close()]);
  });

  it.each(['no-such', '.', 'x.y', '1.-1', '1.5e3', '99999999999999999999.1', `${'9'.repeat(5_000)}.1`, '424242.1'])(
    'event id %#, which is none of ours, is 400',
    async (id) => {
      const client = await RawClient.open(targets.at(name).url, { headers: ann });
      await refused(client, id);
      await client.close();
    },
  );

  it('an event ahead of its stream is 400', async () => {
    const target = targets.at(name);
    const client = await RawClient.open(target.url, { headers: ann });
    const call = await atGate(client, target, 'call');
    const [stream] = (call.lastEventId ?? '').split('.');
    call.cut();
    await refused(client, `${stream}.4242`);
    target.server.openGate();
    expect(await (await resume(client, call.lastEventId)).response()).toMatchObject({ id: 'call' });
    await client.close();
  });

  it('an event above 1 MiB ends the resumability of its stream, and of no other', async () => {
    const target = targets.at(name);
    const client = await RawClient.open(target.url, { headers: ann });
    const large = await atGate(client, target, 'large', 1_200_000);
    const small = await atGate(client, target, 'small');
    large.cut();
    small.cut();
    const { message } = await refused(client, large.eventIds[0] ?? '');
    expect(message).toMatch(/gone/);
    target.server.openGate();
    expect(await (await resume(client, small.lastEventId)).response()).toMatchObject({ id: 'small' });
    expect((await (await client.post({ id: 1, method: 'ping' })).response()).result).toEqual({});
    await client.close();
  });

  it('more events than it keeps: the rest without a hole, or a refusal, never a part', async () => {
    const target = targets.at(name);
    const client = await RawClient.open(target.url, { headers: ann });
    const count = 5_000;
    const sent = target.server.stats.progress + count;
    const call = await client.call('many', target.named('slow'), { ms: 0, steps: count }, 'many');
    await call.inbox.wait('the first events', (all) => all.length > 0);
    call.cut();
    const received = call.messages.length;
    await target.server.waitFor(({ progress }) => progress === sent);
    const rest = await client.get(call.lastEventId);
    if (rest.status === 200) {
      await rest.ended();
      const steps = rest.messages.slice(0, -1).map(({ params }) => params?.['progress']);
      expect(steps).toEqual(Array.from({ length: count - received }, (_, n) => received + n + 1));
      expect(rest.messages.at(-1)).toMatchObject({ id: 'many', result: {} });
    } else {
      await rest.ended();
      expect([rest.status, rest.messages]).toMatchObject([
        400,
        [{ error: { message: expect.stringMatching(/gone/) } }],
      ]);
    }
    await client.close();
  });

  it('a resume takes the stream over where the old connection still stands', async () => {
    const target = targets.at(name);
    const client = await RawClient.open(target.url, { headers: ann });
    const call = await atGate(client, target, 'call');
    const next = await client.get(call.lastEventId);
    expect(next.status).toBe(200); // the client knows better than a connection that is half open
    target.server.openGate();
    expect(await next.response()).toMatchObject({ id: 'call' });
    await call.ended();
    expect(call.messages).toHaveLength(1);
    await client.close();
  });
});

/** 400 with a JSON-RPC error of our own. @returns that */
async function refused(client: RawClient, id: string): Promise<{ message: string }> {
  const answer = await client.get(id);
  await answer.ended();
  expect([answer.status, answer.messages]).toMatchObject([400, [{ error: { data: { code: 'BAD_REQUEST' } } }]]);
  return { message: answer.messages[0]?.error?.message ?? '' };
}
