import { describe, expect, it } from '@jest/globals';
import { createHash } from 'node:crypto';
import { MAX_PUBLIC_NAME, MAX_SLUG, publicNameFor, publicUriFor, slugFor } from './naming.js';

const ALPHABET = ['a', 'B', '7', '-', '_', '.', ' ', '/', 'ä', '世', '😀', '\n', 'tool', 'get_weather'];

/** Repeatable, so that a failure can be looked at again. */
function randomOf(seed: number): (below: number) => number {
  let counter = 0;
  return (below) => createHash('sha256').update(`${seed}:${counter++}`).digest().readUInt32BE(0) % below;
}

function randomText(random: (below: number) => number, max: number): string {
  return Array.from({ length: random(max) }, () => ALPHABET[random(ALPHABET.length)]).join('');
}

const never = (): boolean => false;

describe('slugFor (SPEC G-4)', () => {
  it.each([
    ['Weather', 'weather'],
    ['My  Weather.Server_2', 'my-weather-server-2'],
    ['x'.repeat(64), 'x'.repeat(32)],
    ['世界', 'gateway'],
    [`${'a'.repeat(31)}. b`, 'a'.repeat(31)],
  ])('%s becomes %s', (name, slug) => expect(slugFor(name, 'id', never)).toBe(slug));

  it('gives a hash of the id when the plain slug is taken', () => {
    const taken = new Set(['weather']);
    const slug = slugFor('Weather', 'id-2', (name) => taken.has(name));
    expect(slug).toMatch(/^weather-[0-9a-f]{8}$/);
    expect(slugFor('Weather', 'id-2', (name) => taken.has(name))).toBe(slug);
    expect(slugFor('Weather', 'id-3', (name) => taken.has(name))).not.toBe(slug);
  });

  it('property: always valid and unique', () => {
    const random = randomOf(1);
    const taken = new Set<string>();
    for (let i = 0; i < 2_000; i++) {
      const slug = slugFor(randomText(random, 40), `id-${i}`, (name) => taken.has(name));
      expect(slug).toMatch(/^[a-z0-9][a-z0-9-]*$/);
      expect(slug.length).toBeLessThanOrEqual(MAX_SLUG);
      expect(taken.has(slug)).toBe(false);
      taken.add(slug);
    }
  });
});

describe('publicNameFor (SPEC G-4)', () => {
  const gateway = { id: 'id-1', slug: 'weather' };

  it('joins slug, separator and original name', () => {
    expect(publicNameFor(gateway, '-', 'get_forecast', never)).toBe('weather-get_forecast');
    expect(publicNameFor(gateway, '__', 'a.b/c', never)).toBe('weather__a_b_c');
  });

  it('cuts a long name with a hash of the whole of it', () => {
    const one = publicNameFor(gateway, '-', `${'n'.repeat(200)}1`, never);
    const two = publicNameFor(gateway, '-', `${'n'.repeat(200)}2`, never);
    expect(one).toHaveLength(MAX_PUBLIC_NAME);
    expect(one).toMatch(/^weather-n+_[0-9a-f]{8}$/);
    expect(two).not.toBe(one);
  });

  it('property: always valid, unique, deterministic, and names handed out never change', () => {
    const random = randomOf(2);
    const gateways = ['a', 'a-b', 'weather', 'x'.repeat(32)].map((slug, i) => ({ id: `id-${i}`, slug }));
    const handedOut = new Map<string, string>();
    for (let i = 0; i < 5_000; i++) {
      const from = gateways[random(gateways.length)] ?? gateway;
      const original = randomText(random, random(10) === 0 ? 120 : 6);
      if (handedOut.has(`${from.id}\0${original}`)) continue;
      const used = new Set(handedOut.values());
      const name = publicNameFor(from, '-', original, (candidate) => used.has(candidate));
      expect(name).toMatch(/^[A-Za-z0-9_-]{1,64}$/);
      expect(used.has(name)).toBe(false);
      expect(publicNameFor(from, '-', original, (candidate) => used.has(candidate))).toBe(name);
      handedOut.set(`${from.id}\0${original}`, name);
      if (handedOut.size >= 1_500) break;
    }
    expect(handedOut.size).toBeGreaterThan(1_000);
  });

  it('resolves a collision the same way whatever else there is', () => {
    const few = publicNameFor(gateway, '-', 'a.b', (name) => name === 'weather-a_b');
    const many = publicNameFor(gateway, '-', 'a.b', (name) => ['weather-a_b', 'weather-z', 'other'].includes(name));
    expect(few).toBe(many);
    expect(few).toMatch(/^weather-a_b_[0-9a-f]{8}$/);
  });
});

describe('publicUriFor (SPEC G-4)', () => {
  it('lets the first keep its URI and gives a later one the alias', () => {
    expect(publicUriFor({ id: '1', slug: 'one' }, 'file:///a', never)).toBe('file:///a');
    expect(publicUriFor({ id: '2', slug: 'two' }, 'file:///a', (uri) => uri === 'file:///a')).toBe('gw:two:file:///a');
  });

  it('finds another one when a server squats on the alias', () => {
    const taken = new Set(['file:///a', 'gw:two:file:///a']);
    const uri = publicUriFor({ id: '2', slug: 'two' }, 'file:///a', (name) => taken.has(name));
    expect(uri).toMatch(/^gw:two-[0-9a-f]{8}:file:\/\/\/a$/);
  });
});
