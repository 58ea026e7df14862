import { describe, expect, it } from '@jest/globals';
import { checkJson, JsonError, MAX_DEPTH, scanArray, scanObject, sliceOf } from './json-scan.js';
import { random } from '../../test/support/random.js';

const accepts = (text: string, parse: (text: string) => void): boolean => {
  try {
    parse(text);
    return true;
  } catch {
    return false;
  }
};

const SEEDS = [
  '{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"a-b","arguments":{"n":12345678901234567890,"x":1.0}}}',
  '[1,-0,0.5,1e9,1E-3,true,false,null,"a\\u00e9\\n\\"b",[],{},[[[]]],{"a":{"b":[{"c":"d"}]}}]',
  ' { "k" : [ 1 , 2 ] , "\\u006b2" : "v" } ',
  '"text"',
  '-12.5e+3',
];
const BYTES = '{}[]",:\\/ \n\t-+.eE0123456789truefalsn\u0001\u007fu';

describe('scan of JSON bytes (D-7)', () => {
  it('agrees with JSON.parse on 40,000 mutated texts', () => {
    const next = random(20251125);
    let valid = 0;
    for (let round = 0; round < 40_000; round++) {
      let text = SEEDS[round % SEEDS.length] ?? '';
      for (let edits = Math.floor(next() * 4); edits >= 0; edits--) {
        const at = Math.floor(next() * (text.length + 1));
        const put = BYTES[Math.floor(next() * BYTES.length)] ?? '';
        text = text.slice(0, at) + (next() < 0.7 ? put : '') + text.slice(at + (next() < 0.6 ? 1 : 0));
      }
      const ours = accepts(text, (it) => checkJson(Buffer.from(it)));
      const theirs = accepts(text, JSON.parse);
      if (ours !== theirs) throw new Error(`scanner ${ours}, JSON.parse ${theirs}: ${JSON.stringify(text)}`);
      if (theirs) valid += 1;
    }
    expect(valid).toBeGreaterThan(1_000);
  });

  it('gives the bytes of each member as they came', () => {
    const json = Buffer.from(' {"id" : 1.0, "params":{"n":12345678901234567890} , "na\\u006de":"é"}\n');
    const members = scanObject(json);
    expect([...members].map(([key, span]) => [key, sliceOf(json, span).toString()])).toEqual([
      ['id', '1.0'],
      ['params', '{"n":12345678901234567890}'],
      ['name', '"é"'],
    ]);
  });

  it('gives the bytes of each element as they came', () => {
    const json = Buffer.from('[ {"a" : 1} ,2,"x,]"]');
    expect(scanArray(json).map((span) => sliceOf(json, span).toString())).toEqual(['{"a" : 1}', '2', '"x,]"']);
    expect(scanArray(Buffer.from('[]'))).toEqual([]);
  });

  it.each(['', 'a', '_meta', 'é', '\u{1f600}', '\u007f', '"\\', 'x'.repeat(22), 'x'.repeat(23), `${'x'.repeat(40)}é`])(
    'decodes the name %j, however long and however spelled',
    (name) => {
      const spellings = [JSON.stringify(name), JSON.stringify(name).replace('x', '\\u0078')];
      for (const spelling of spellings) expect([...scanObject(Buffer.from(`{${spelling}:1}`)).keys()]).toEqual([name]);
    },
  );

  it('refuses a repeated member, however it is spelled', () => {
    expect(() => scanObject(Buffer.from('{"name":"a","n\\u0061me":"b"}'))).toThrow(JsonError);
  });

  it('refuses bottomless nesting without overflowing the stack', () => {
    expect(() => checkJson(Buffer.from('['.repeat(1_000_000)))).toThrow(/nesting deeper than/);
    checkJson(Buffer.from('['.repeat(MAX_DEPTH) + ']'.repeat(MAX_DEPTH)));
  });

  it.each([
    '',
    ' ',
    '{',
    '{"a"',
    '{"a":',
    '{"a":1',
    '{"a":1,}',
    '[1,]',
    '{"a":1}x',
    'nul',
    '01',
    '1.',
    '"\t"',
    '"\\x"',
  ])('refuses %j', (text) => {
    expect(() => checkJson(Buffer.from(text))).toThrow(JsonError);
  });
});
