import { describe, expect, it } from '@jest/globals';
import { type GatewayEntry } from '../catalogue/index.js';
import { type Reply } from './execution-context.js';
import { withPublicUri } from './public-contents.js';

const resource = (publicUri: string) => ({
  publicUri,
  originalUri: 'a:b',
  viaTemplate: false,
  originalUriJson: Buffer.from('"a:b"'),
  gateway: {} as GatewayEntry,
});
const aliased = (reply: Reply): string => withPublicUri(reply, resource('gw:x:a:b')).raw.toString();
const result = (text: string): Reply => ({ kind: 'result', raw: Buffer.from(text) });

describe('withPublicUri (SPEC G-4, D-7)', () => {
  it('gives the contents the URI that was asked for, and leaves every other byte', () => {
    const text = String.raw`{ "n":1.0,"contents" : [ {"text":"a:b", "uri" : "a\u003ab"} ,{"uri":"a:c"} ] ,"_meta":{} }`;
    expect(aliased(result(text))).toBe(
      String.raw`{ "n":1.0,"contents" : [ {"text":"a:b", "uri" : "gw:x:a:b"} ,{"uri":"a:c"} ] ,"_meta":{} }`,
    );
  });

  it('does not touch an answer where the URI is no alias, nor an error', () => {
    const reply = result('{"contents":[{"uri":"a:b"}]}');
    expect(withPublicUri(reply, resource('a:b'))).toBe(reply);
    const error: Reply = { kind: 'error', raw: Buffer.from('{"code":1,"message":"a:b"}') };
    expect(withPublicUri(error, resource('gw:x:a:b'))).toBe(error);
  });

  it.each(['{}', '{"contents":7}', '{"contents":[7]}', '[]', '{"contents":[{"uri":"a:b","uri":"a:b"}]}'])(
    'passes %s on as it is',
    (text) => expect(aliased(result(text))).toBe(text),
  );
});
