import { describe, expect, it } from '@jest/globals';
import { JsonError } from './json-scan.js';
import {
  notificationFrame,
  readMessage,
  readString,
  requestFrame,
  responseFrame,
  responseParts,
  RpcShapeError,
} from './jsonrpc.js';

const read = (text: string) => readMessage(Buffer.from(text));

/** Every part as text, as it came. */
const textsOf = (text: string) =>
  Object.fromEntries(Object.entries(read(text)).map(([name, part]) => [name, String(part)]));

function shapeErrorOf(text: string): RpcShapeError {
  try {
    read(text);
  } catch (error) {
    if (error instanceof RpcShapeError) return error;
    throw error;
  }
  throw new Error('it was accepted');
}

describe('readMessage (D-7)', () => {
  it('takes a request apart into the bytes that came, whatever their order and spacing', () => {
    const text =
      '{ "params" : {"n":1.0, "big":12345678901234567890,"é":"\\u00e9"} ,"x":[1],"method":"a\\u002fb",\n"id" : "7" , "jsonrpc":"2.0"}';
    expect(textsOf(text)).toEqual({
      params: '{"n":1.0, "big":12345678901234567890,"é":"\\u00e9"}',
      method: 'a/b',
      id: '"7"',
    });
  });

  it('copies nothing: the parts are views of the message', () => {
    const json = Buffer.from('{"jsonrpc":"2.0","id":1,"method":"m","params":{}}');
    const { id, params } = readMessage(json);
    expect([id?.buffer, params?.buffer]).toEqual([json.buffer, json.buffer]);
  });

  it.each([
    ['notification', '{"jsonrpc":"2.0","method":"m"}', { method: 'm' }],
    ['notification with a list', '{"jsonrpc":"2.0","method":"m","params":[1]}', { method: 'm', params: '[1]' }],
    ['result', '{"jsonrpc":"2.0","id":-3,"result":null}', { id: '-3', result: 'null' }],
    ['falsy result', '{"jsonrpc":"2.0","id":0,"result":false}', { id: '0', result: 'false' }],
    ['error', '{"jsonrpc":"2.0","id":"","error":{"code":1}}', { id: '""', error: '{"code":1}' }],
    ['empty method', '{"jsonrpc":"2.0","id":1,"method":""}', { id: '1', method: '' }],
  ])('reads a %s', (_kind, text, parts) => {
    expect(textsOf(text)).toEqual(parts);
  });

  it('keeps ids beyond 2^53 and long string ids as they came', () => {
    for (const id of ['9007199254740993', '-9223372036854775808', `"${'x'.repeat(10_000)}"`, '"\\ud83d\\ude00"']) {
      expect(textsOf(`{"jsonrpc":"2.0","id":${id},"method":"m"}`)).toEqual({ id, method: 'm' });
    }
  });

  it.each(['null', '1.5', '1.0', '1e3', 'true', '{}', '[1]', '1'.repeat(33)])('refuses the id %s', (id) => {
    const error = shapeErrorOf(`{"jsonrpc":"2.0","id":${id},"method":"m"}`);
    expect(error).toMatchObject({ message: 'id must be a string or an integer', id: undefined });
  });

  it.each([
    ['no version', '{"id":7,"method":"m"}'],
    ['version 1.0', '{"jsonrpc":"1.0","id":7,"method":"m"}'],
    ['version as a number', '{"jsonrpc":2.0,"id":7,"method":"m"}'],
    ['version in an array', '{"jsonrpc":["2.0"],"id":7,"method":"m"}'],
    ['method no string', '{"jsonrpc":"2.0","id":7,"method":["m"]}'],
    ['method null', '{"jsonrpc":"2.0","id":7,"method":null}'],
    ['params null', '{"jsonrpc":"2.0","id":7,"method":"m","params":null}'],
    ['params a string', '{"jsonrpc":"2.0","id":7,"method":"m","params":"{}"}'],
    ['nothing but an id', '{"jsonrpc":"2.0","id":7}'],
    ['result and error', '{"jsonrpc":"2.0","id":7,"result":1,"error":{}}'],
    ['result and null error', '{"jsonrpc":"2.0","id":7,"result":1,"error":null}'],
  ])('refuses %s and keeps the id for the answer', (_what, text) => {
    expect(shapeErrorOf(text).id?.toString()).toBe('7');
  });

  it('refuses a response without an id', () => {
    expect(shapeErrorOf('{"jsonrpc":"2.0","result":1}').id).toBeUndefined();
    expect(shapeErrorOf('{}').id).toBeUndefined();
  });

  it('refuses what two parsers could read differently (D-1)', () => {
    expect(() => read('{"jsonrpc":"2.0","id":1,"method":"ping","meth\\u006fd":"tools/call"}')).toThrow(JsonError);
    expect(() => read('{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}')).toThrow(JsonError);
  });

  it.each(['', ' ', '[]', '"x"', '7', '{"jsonrpc":"2.0","id":1,"method":"m"', '{"jsonrpc":"2.0"}{}', '\ufeff{}'])(
    'says that %j is not one JSON object',
    (text) => {
      expect(() => read(text)).toThrow(JsonError);
    },
  );
});

describe('readString', () => {
  it('decodes escapes and UTF-8', () => {
    expect(readString(Buffer.from('"a\\n\\u00e9é😀"'))).toBe('a\néé😀');
  });

  it.each(['7', 'null', '{}', ''])('refuses %j', (text) => {
    expect(() => readString(Buffer.from(text))).toThrow(JsonError);
  });
});

describe('frames (D-7)', () => {
  const params = Buffer.from('{"n":12345678901234567890,"x":1.0}');

  it('splices the raw parts in', () => {
    expect(requestFrame(7, 'tools/call', params).toString()).toBe(
      '{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"n":12345678901234567890,"x":1.0}}',
    );
    expect(requestFrame(Buffer.from('"ä"'), 'ping').toString()).toBe('{"jsonrpc":"2.0","id":"ä","method":"ping"}');
    expect(notificationFrame('a"b').toString()).toBe('{"jsonrpc":"2.0","method":"a\\"b"}');
    expect(notificationFrame('n', Buffer.from('[]')).toString()).toBe('{"jsonrpc":"2.0","method":"n","params":[]}');
  });

  it('answers null where the id could not be read (JSON-RPC 2.0 §5)', () => {
    const body = responseFrame(undefined, 'error', Buffer.from('{"code":-32700}')).toString();
    expect(body).toBe('{"jsonrpc":"2.0","id":null,"error":{"code":-32700}}');
  });

  it('a response of parts holds the result itself, not a copy', () => {
    const raw = Buffer.alloc(1_000_000, '1');
    const parts = responseParts(Buffer.from('9007199254740993'), 'result', raw);
    expect(parts.filter((part) => part === raw)).toHaveLength(1);
    expect(Buffer.concat(parts)).toEqual(responseFrame(Buffer.from('9007199254740993'), 'result', raw));
  });

  it('what is framed can be read again', () => {
    const id = Buffer.from('"\\u0000\\"}"');
    expect(readMessage(requestFrame(id, 'm\u2028"\\', params))).toEqual({ id, method: 'm\u2028"\\', params });
    expect(readMessage(responseFrame(id, 'result', params))).toEqual({ id, result: params });
  });
});
