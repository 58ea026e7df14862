import { describe, expect, it } from '@jest/globals';
import { parseEvents } from '../../../test/support/sse-text.js';
import { endpointEvent, KEEP_ALIVE, messageEvent, primingEvent, retryEvent, type SseEvent } from './sse-event.js';

const text = ({ parts }: SseEvent): string => Buffer.concat(parts).toString();
const message = (...parts: string[]): Buffer[] => parts.map((part) => Buffer.from(part));

describe('messageEvent (SPEC D-3, D-9)', () => {
  it('is one event of the type that clients listen for, with its id', () => {
    expect(text(messageEvent('3.7', message('{"a":', '1}')))).toBe('event: message\nid: 3.7\ndata: {"a":1}\n\n');
  });

  it('has no id where there is none', () => {
    expect(text(messageEvent(undefined, message('{}')))).toBe('event: message\ndata: {}\n\n');
  });

  it.each(['\n', '\r', '\r\n', '\n\n', '\r\r\n'])('a line break in the JSON (%j) is none of the event', (eol) => {
    const json = `{${eol}"é":${eol}"\\n"${eol}}`;
    const [event, ...others] = parseEvents(text(messageEvent('0.1', message(json))));
    expect([event?.type, event?.id, others]).toEqual(['message', '0.1', []]);
    expect(JSON.parse(event?.data ?? '')).toEqual({ é: '\n' });
  });

  it('what comes in parts may break a line in any of them', () => {
    const [event] = parseEvents(text(messageEvent('0.1', message('{\n"a":', '[1,\r\n2]', '\n}'))));
    expect(JSON.parse(event?.data ?? '')).toEqual({ a: [1, 2] });
  });

  it('copies what is small into one write, and does not copy what is large (D-7)', () => {
    const [head, large, tail] = [Buffer.from('{"x":"'), Buffer.alloc(20_000, 'x'), Buffer.from('"}')];
    expect(messageEvent('0.1', [head, large.subarray(0, 100), tail]).parts).toHaveLength(1);
    const event = messageEvent('0.1', [head, large, tail]);
    expect(event.parts.some((part) => part === large)).toBe(true);
    expect(event.bytes).toBe(text(event).length);
  });

  it('counts bytes, not characters', () => {
    const event = messageEvent('0.1', message('{"é":"😀"}'));
    expect(event.bytes).toBe(Buffer.byteLength(text(event)));
  });
});

describe('the other events', () => {
  it('priming: an id and empty data, which is no message (MCP 2025-11-25, Transports)', () => {
    expect(parseEvents(text(primingEvent('2.0')))).toEqual([{ type: 'message', id: '2.0', data: '' }]);
  });

  it('endpoint: where to POST, as text', () => {
    expect(text(endpointEvent('/messages?sessionId=x', undefined))).toBe(
      'event: endpoint\ndata: /messages?sessionId=x\n\n',
    );
    expect(parseEvents(text(endpointEvent('/m', 'x.0')))).toEqual([{ type: 'endpoint', id: 'x.0', data: '/m' }]);
  });

  it('retry and keep-alive are no events for the client', () => {
    expect(text(retryEvent(1_000))).toBe('retry: 1000\n\n');
    expect(parseEvents(text(retryEvent(1)) + text(KEEP_ALIVE))).toEqual([]);
  });
});
