import { describe, expect, it } from '@jest/globals';
import { linksIn, ResourceLinks } from './resource-links.js';

const links = (json: string): string[] => linksIn(Buffer.from(json));

describe('links in the result of a tool (SPEC G-4)', () => {
  it('are found among the other content, by their decoded URI', () => {
    const content = [
      '{"type":"text","text":"\\"resource_link\\""}',
      '{ "uri" : "a\\u003ab" , "type" : "resource_link" }',
      '{"type":"resource","resource":{"type":"resource_link","uri":"no:link"}}',
      '{"type":"resource_link","uri":"c:d","name":"n"}',
    ];
    expect(links(`{"isError":false,"content":[${content.join()}]}`)).toEqual(['a:b', 'c:d']);
  });

  it.each([
    '{"content":[]}',
    '{"structuredContent":{"type":"resource_link","uri":"a:b"}}',
    '{"content":[{"type":"resource_link"}]}',
    '{"content":[{"type":"text","text":"x","uri":"a:b","_meta":"resource_link"}]}',
    '{"content":{"type":"resource_link","uri":"a:b"}}',
    '{"content":["resource_link"]}',
    '{"content":[{"type":"resource_link","uri":7}]}',
    '["resource_link"]',
    '"resource_link"',
  ])('%s has none', (json) => {
    expect(links(json)).toEqual([]);
  });
});

describe('ResourceLinks', () => {
  it('the newest word on a URI holds', () => {
    const seen = new ResourceLinks();
    seen.note(['a:b', 'c:d'], 'one');
    seen.note(['a:b'], 'two');
    expect(['a:b', 'c:d', 'e:f'].map((uri) => seen.gatewayOf(uri))).toEqual(['two', 'one', undefined]);
  });

  it('is bounded: of many the newest stay', () => {
    const seen = new ResourceLinks();
    seen.note(
      Array.from({ length: 1_500 }, (_, n) => `u:${n}`),
      'one',
    );
    expect([seen.gatewayOf('u:499'), seen.gatewayOf('u:500'), seen.gatewayOf('u:1499')]).toEqual([
      ...[undefined, 'one', 'one'],
    ]);
  });
});
