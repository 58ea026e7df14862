import { describe, expect, it } from '@jest/globals';
import { JsonError } from './json-scan.js';
import { memberSpan, splice } from './json-splice.js';

const at = (json: string, ...path: string[]): string | undefined => {
  const span = memberSpan(Buffer.from(json), ...path);
  return span && Buffer.from(json).toString('utf8', span.start, span.end);
};

describe('memberSpan', () => {
  it('finds a member in depth, also behind characters of several bytes', () => {
    const json = '{"é😀":"é", "a" : { "b":{"c": [1.0] , "d":"é"}},"b":2}';
    expect(at(json, 'a', 'b', 'c')).toBe('[1.0]');
    expect(at(json, 'a', 'b', 'd')).toBe('"é"');
    expect(at(json, 'b')).toBe('2');
    expect(at(json)).toBe(json);
  });

  it('knows a name however it is written', () => {
    expect(at('{"\\u0061":{"b\\n":1}}', 'a', 'b\n')).toBe('1');
  });

  it('has nothing where a member is missing', () => {
    expect([at('{}', 'a'), at('{"a":{}}', 'a', 'b'), at('{"b":{"a":1}}', 'a')]).toEqual([
      ...[undefined, undefined, undefined],
    ]);
  });

  it.each([
    ['[]', ['a']],
    ['7', ['a']],
    ['{"a":[]}', ['a', 'b']],
    ['{"a":"{}"}', ['a', 'b']],
    ['{"a":{"b":null}}', ['a', 'b', 'c']],
  ])('%s is no object on the way', (json, path) => {
    expect(() => at(json, ...path)).toThrow(JsonError);
  });
});

describe('splice (SPEC D-7)', () => {
  const spliced = (json: string, ...changes: [string, string][]): string => {
    const bytes = Buffer.from(json);
    const splices = changes.flatMap(([name, text]) => {
      const span = memberSpan(bytes, name);
      return span ? [{ span, bytes: Buffer.from(text) }] : [];
    });
    return splice(bytes, splices).toString();
  };

  it('changes these places and no other byte, in whatever order they are named', () => {
    const json = '{ "é":"é", "a" :1.0,"b": "x" , "c":[] }';
    const expected = '{ "é":"é", "a" :"longer","b": 2 , "c":null }';
    expect(spliced(json, ['a', '"longer"'], ['b', '2'], ['c', 'null'])).toBe(expected);
    expect(spliced(json, ['c', 'null'], ['a', '"longer"'], ['b', '2'])).toBe(expected);
  });

  it('copies nothing when there is nothing to change', () => {
    const json = Buffer.from('{"a":1}');
    expect(splice(json, [])).toBe(json);
  });

  it('does not change what it was given', () => {
    const json = Buffer.from('{"a":1}');
    const splices = ['a'].map((name) => ({
      span: memberSpan(json, name) ?? { start: 0, end: 0 },
      bytes: Buffer.from('2'),
    }));
    expect([splice(json, splices).toString(), json.toString()]).toEqual(['{"a":2}', '{"a":1}']);
  });
});
