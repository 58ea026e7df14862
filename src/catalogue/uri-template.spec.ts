import { describe, expect, it } from '@jest/globals';
import { UriTemplate } from './uri-template.js';

describe('UriTemplate (SPEC G-4, RFC 6570)', () => {
  it.each<[string, string, boolean]>([
    ['test://item/{id}', 'test://item/7', true],
    ['test://item/{id}', 'test://item/a%2Fb', true],
    ['test://item/{id}', 'test://item/', false],
    ['test://item/{id}', 'test://item/7/parts', false],
    ['test://item/{id}', 'xtest://item/7', false],
    ['db://{name}/rows', 'db://users/rows', true],
    ['db://{name}/rows', 'db://users/rows/1', false],
    ['{a}-{b}', 'x-y-z', true],
    ['file:///{+path}', 'file:///a/b/c.txt', true],
    ['file:///{+path}.txt', 'file:///a.txt/b.txt', true],
    ['file:///{+path}.txt', 'file:///a.txt/b', false],
    ['{+a}/{b}', 'x/y/z', true],
    ['log://all{?level,from}', 'log://all', true],
    ['log://all{?level,from}', 'log://all?level=1&from=2', true],
    ['log://all{?level,from}', 'log://all#x', false],
    ['log://all?x=1{&level}', 'log://all?x=1&level=2', true],
    ['a:b{/rest*}', 'a:b/c/d', true],
    ['a:b{/rest*}', 'a:bc', false],
    ['a:b{.ext}', 'a:b.json', true],
    ['a:b{;p}', 'a:b;p=1', true],
    ['a:b{#part}', 'a:b#x/y?z', true],
    ['a:{}', 'a:x', false],
    ['a:{}', 'a:{}', true],
    ['a:{open', 'a:{open', true],
    ['plain', 'plain', true],
    ['', '', true],
  ])('%s and %s: %s', (template, uri, expected) => {
    expect(new UriTemplate(template).matches(uri)).toBe(expected);
  });

  it.each([
    ['test://item/{id}', 12],
    ['{+any}', 0],
    ['plain', 5],
    ['', 0],
  ])('the fixed text before the first expression of %j has %d characters', (template, length) => {
    expect(new UriTemplate(template).prefixLength).toBe(length);
  });

  it('cannot be made slow by a hostile template and URI', () => {
    const template = new UriTemplate('{+a}a'.repeat(400) + 'b');
    const started = performance.now();
    expect(template.matches('a'.repeat(4_096))).toBe(false);
    expect(performance.now() - started).toBeLessThan(2_000);
  });
});
