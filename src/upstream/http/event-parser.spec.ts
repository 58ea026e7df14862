import { describe, expect, it } from '@jest/globals';
import { EventParser, type ServerSentEvent } from './event-parser.js';

interface Seen {
  readonly events: { event: string; data: string; id?: string }[];
  readonly retries: number[];
}

/** What comes out of the chunks, pushed one after the other. */
function parse(...chunks: (string | Buffer)[]): Seen {
  const seen: Seen = { events: [], retries: [] };
  const parser = new EventParser({
    onEvent: ({ data, ...rest }) => void seen.events.push({ ...rest, data: data.toString('utf8') }),
    onRetry: (ms) => void seen.retries.push(ms),
  });
  for (const chunk of chunks) parser.push(Buffer.from(chunk as string));
  return seen;
}

const STREAM = [
  '\ufeff: a comment first\r\n',
  'id: 1\r\ndata: {"a":\r\ndata:  "é😀"}\r\n\r\n',
  'event: ping\rdata\rdata:x\r\r',
  'retry: 1500\nid: zwei\ndata:\n\n',
  ':\n\nid\ndata:last\n\n',
  'data: never finished\n',
].join('');

const EVENTS = [
  { event: 'message', id: '1', data: '{"a":\n "é😀"}' },
  { event: 'ping', data: '\nx' },
  { event: 'message', id: 'zwei', data: '' },
  { event: 'message', id: '', data: 'last' },
];

describe('event stream parser (WHATWG HTML 9.2)', () => {
  it('reads all three line ends, comments, joined lines, ids and retry', () => {
    expect(parse(STREAM)).toEqual({ events: EVENTS, retries: [1500] });
  });

  it('gives the same for every way to cut the bytes in two, and byte by byte', () => {
    const bytes = Buffer.from(STREAM);
    for (let at = 0; at <= bytes.length; at++) {
      const cut = parse(bytes.subarray(0, at), bytes.subarray(at));
      if (JSON.stringify(cut.events) !== JSON.stringify(EVENTS))
        throw new Error(`cut at byte ${at}: ${JSON.stringify(cut)}`);
    }
    const single = parse(...Array.from(bytes, (byte) => Buffer.of(byte)));
    expect(single).toEqual({ events: EVENTS, retries: [1500] });
  });

  it('CR LF over a chunk border is one line break, CR and then an empty line are two', () => {
    expect(parse('data: a\r', '\ndata: b\r', '\n\r', '\n').events).toEqual([{ event: 'message', data: 'a\nb' }]);
    expect(parse('data: a\r', '\rdata: b\r', '', '\r').events.map(({ data }) => data)).toEqual(['a', 'b']);
  });

  it('takes one space off the value and no more, and knows a field only by its exact name', () => {
    const text = 'data:  two\nData: x\n data: y\ndata : z\ndatum: w\nother\n\n';
    expect(parse(text).events).toEqual([{ event: 'message', data: ' two' }]);
  });

  it('a value may hold colons', () => {
    expect(parse('data: http://x:1/\nid: a:b\n\n').events).toEqual([
      { event: 'message', id: 'a:b', data: 'http://x:1/' },
    ]);
  });

  it('an event with an id and no data is reported: it primes the resumption (D-9)', () => {
    expect(parse('id: 7\n\n').events).toEqual([{ event: 'message', id: '7', data: '' }]);
  });

  it('an event without data and id is none, and its name does not stick to the next one', () => {
    expect(parse('event: ping\n\ndata: x\n\n').events).toEqual([{ event: 'message', data: 'x' }]);
  });

  // "event:" with nothing behind it is a message like any other; dropping it would leave its call without an answer.
  it('an empty event name means message', () => {
    expect(parse('event:\ndata: x\n\n', 'event: ping\nevent\ndata: y\n\n').events.map(({ event }) => event)).toEqual([
      'message',
      'message',
    ]);
  });

  it('an id does not stick to the next event, and one with NUL is ignored', () => {
    expect(parse('id: 1\ndata: a\n\ndata: b\n\nid: x\0y\ndata: c\n\n').events).toEqual([
      { event: 'message', id: '1', data: 'a' },
      { event: 'message', data: 'b' },
      { event: 'message', data: 'c' },
    ]);
  });

  it.each(['-1', '1.5', '1e3', '0x10', '  5', '5 ', '', 'soon', '٣'])('ignores retry: %j', (value) => {
    expect(parse(`retry:${value}\n`).retries).toEqual([]);
  });

  // A pause that no timer can hold would fire at once: the server's "never again" would become a storm.
  it('cuts a retry down to what a timer can hold (N-1)', () => {
    expect(parse('retry: 99999999999\nretry: 3000\n', `retry: ${'9'.repeat(400)}\n`).retries).toEqual([
      2_147_483_647, 3000, 2_147_483_647,
    ]);
  });

  it('leaves bytes that are no UTF-8 as they came (D-7)', () => {
    const raw = Buffer.from([0xff, 0xfe, 0x00, 0xc3]);
    const events: Buffer[] = [];
    const parser = new EventParser({ onEvent: ({ data }) => void events.push(data), onRetry: () => undefined });
    parser.push(Buffer.concat([Buffer.from('data: '), raw, Buffer.from('\n\n')]));
    expect(events).toEqual([raw]);
  });

  it('keeps earlier events intact when later chunks come', () => {
    const events: Buffer[] = [];
    const parser = new EventParser({ onEvent: ({ data }) => void events.push(data), onRetry: () => undefined });
    parser.push(Buffer.from('data: 1\n\nda'));
    parser.push(Buffer.from('ta: 2\ndata: 3\n\n'));
    expect(events.map(String)).toEqual(['1', '2\n3']);
  });

  it('puts 50 MB in 4 KB chunks together in linear time', () => {
    const chunk = Buffer.alloc(4096, 'x');
    const sizes: number[] = [];
    const parser = new EventParser({ onEvent: ({ data }) => void sizes.push(data.length), onRetry: () => undefined });
    const started = performance.now();
    parser.push(Buffer.from('data: '));
    for (let i = 0; i < 12_800; i++) parser.push(chunk);
    parser.push(Buffer.from('\n\n'));
    expect(sizes).toEqual([52_428_800]);
    expect(performance.now() - started).toBeLessThan(5_000); // a copy for each chunk would be 320 GB
  });
});

describe('a limit on events (S-6)', () => {
  const parsed = (max: number, chunks: string[]): unknown[] => {
    const seen: unknown[] = [];
    const sink = {
      onEvent: ({ data, id }: ServerSentEvent) => void seen.push([data.toString(), id]),
      onRetry: () => undefined,
      onOversize: () => void seen.push('too large'),
    };
    const parser = new EventParser(sink, max);
    for (const chunk of chunks) parser.push(Buffer.from(chunk));
    return seen;
  };

  it.each([
    ['in one chunk', ['data: 0123456789\n\ndata: ok\n\n']],
    ['in many chunks', [...'data: 0123456789\n\ndata: ok\n\n']],
    ['over many lines', ['data: 0\ndata: 1\ndata: 2\n', 'data: 3\n\ndata: ok\n\n']],
    ['with CR alone', ['data: 0123456789\r\rdata: ok\r\r']],
  ])('what is larger is told once and skipped, %s', (_what, chunks) => {
    expect(parsed(12, chunks)).toEqual(['too large', ['ok', undefined]]);
  });

  it('its id is told where it came first, so that it is not asked for again', () => {
    expect(parsed(12, ['id: 7\ndata: 0123456789\n\n'])).toEqual(['too large', ['', '7']]);
  });

  it.each([
    ['on one line, in one chunk', 16, ['data:0123456789abcdef\n\n'], '0123456789abcdef'],
    ['byte by byte: as much as is allowed', 12, [...'data:0123456789\n\n'], '01234567'],
    ['behind a name', 24, ['event: message\ndata: 0123456789\n\n'], ' 0123456789'],
    ['over many lines: the first', 12, ['data: 01\n', 'data: 23\n\n'], '01'],
    ['not more than 256 bytes of it, the field included', 999, [`data:${'x'.repeat(5_000)}\n\n`], 'x'.repeat(251)],
    ['nothing of what is no data', 12, ['other: 0123456789\ndata: 1\n\n'], ''],
  ])('tells how its data begins: %s', (_what, max, chunks, expected) => {
    const heads: string[] = [];
    const sink = {
      onEvent: () => undefined,
      onRetry: () => undefined,
      onOversize: (head: Buffer) => void heads.push(head.toString()),
    };
    const parser = new EventParser(sink, max);

    for (const chunk of chunks) parser.push(Buffer.from(chunk));

    expect(heads).toEqual([expected]);
  });

  it('what has just that size passes', () => {
    expect(parsed(12, ['data: 012345\n\ndata: 543210\n\n'])).toEqual([
      ['012345', undefined],
      ['543210', undefined],
    ]);
  });
});
