import { describe, expect, it } from '@jest/globals';
import { spliceDefinition } from './splice-definition.js';

const splice = (definition: string, values: Record<string, string>): string =>
  spliceDefinition(Buffer.from(definition), values).toString();

describe('spliceDefinition (SPEC D-7)', () => {
  it('changes only the bytes of the named members', () => {
    const definition =
      '{ "z": 1.0, "name" : "a\\u0062", "inputSchema":{"name":"x","maximum":1e400}, "description":"d" }';
    expect(splice(definition, { name: 'w-ab', description: 'new "d"' })).toBe(
      '{ "z": 1.0, "name" : "w-ab", "inputSchema":{"name":"x","maximum":1e400}, "description":"new \\"d\\"" }',
    );
  });

  it('puts a member first that is not there', () => {
    expect(splice('{"name":"a"}', { name: 'b', description: 'd' })).toBe('{"description":"d","name":"b"}');
    expect(splice(' { } ', { description: 'd' })).toBe(' {"description":"d" } ');
  });
});
