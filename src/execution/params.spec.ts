import { describe, expect, it } from '@jest/globals';
import { Params } from './params.js';

const of = (json?: string): Params => new Params(json === undefined ? undefined : Buffer.from(json));
const invalid = expect.objectContaining({ code: 'INVALID_PARAMS' });
const bytes = (text: string): Buffer => Buffer.from(text);

describe('Params (SPEC D-7)', () => {
  it('changes name and progress token and no other byte', () => {
    const json =
      '{ "_meta" : {"x":1.0, "progressToken" : "t" }, "name":"\\u0061-b", "arguments":{"n":12345678901234567890, "name":"a-b"} }';
    const params = of(json);
    expect(params.string('name')).toBe('a-b');
    params.rename(bytes('"own"'), 'name');
    expect(params.progressToken?.toString()).toBe('"t"');
    expect(params.withToken(bytes('17')).toString()).toBe(json.replace('"\\u0061-b"', '"own"').replace('"t"', '17'));
    expect(params.withToken(bytes('18')).toString()).toContain('18'); // a repeated call has another one
  });

  it('without anything to change they are the very same bytes, not a copy', () => {
    const json = bytes('{"a":1.0}');
    expect(new Params(json).withToken(undefined)).toBe(json);
    expect(new Params(json).withToken(bytes('1'))).toBe(json); // no token was asked for, so none is added
  });

  it('renames in depth', () => {
    const params = of('{"name":"n","ref":{"type":"ref/prompt","name":"x"},"argument":{"name":"x"}}');
    expect(params.string('ref', 'name')).toBe('x');
    params.rename(bytes('"y"'), 'ref', 'name');
    expect(params.withToken(undefined).toString()).toBe(
      '{"name":"n","ref":{"type":"ref/prompt","name":"y"},"argument":{"name":"x"}}',
    );
  });

  it.each([
    ['"a"', '"a"'],
    ['0', '0'],
    ['-1', '-1'],
    ['12345678901234567890', '12345678901234567890'],
    ['null', undefined],
    ['{}', undefined],
    ['[1]', undefined],
    ['true', undefined],
  ])('a progress token is a string or a number: %s', (json, token) => {
    expect(of(`{"_meta":{"progressToken":${json}}}`).progressToken?.toString()).toBe(token);
  });

  it('no params are none', () => {
    expect(of().progressToken).toBeUndefined();
    expect(of().optionalString('cursor')).toBeUndefined();
    expect(() => of().string('name')).toThrow(invalid);
    expect(of().withToken(undefined).toString()).toBe('{}');
  });

  it.each(['[]', '[1]', '{"_meta":1}', '{"_meta":[]}', '{"_meta":null}'])('%s is refused', (json) => {
    expect(() => of(json)).toThrow(invalid);
  });

  it.each(['{}', '{"name":1}', '{"name":null}', '{"name":["a"]}', '{"Name":"a"}'])('no name: %s', (json) => {
    expect(() => of(json).string('name')).toThrow(invalid);
  });

  it.each(['{}', '{"ref":"x"}', '{"ref":[]}', '{"ref":{}}', '{"ref":{"name":7}}'])('no name in depth: %s', (json) => {
    expect(() => of(json).string('ref', 'name')).toThrow(invalid);
  });
});
