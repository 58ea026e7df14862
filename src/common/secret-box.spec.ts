import { describe, expect, it } from '@jest/globals';
import { createHash, randomBytes } from 'node:crypto';
import { inspect } from 'node:util';
import { SecretBox, SecretBoxError } from './secret-box.js';

const newKey = () => randomBytes(32).toString('base64');
const idOf = (key: string) => createHash('sha256').update(Buffer.from(key, 'base64')).digest('hex').slice(0, 8);

describe('SecretBox (S-4)', () => {
  const key = newKey();
  const box = new SecretBox([key]);

  it.each(['', 'x', 'a password', 'ünï 💥\u0000\n', 'x'.repeat(100_000)])('opens what it sealed (%#)', (plain) => {
    expect(box.open(box.seal(plain, 'gateway:1:auth'), 'gateway:1:auth')).toBe(plain);
  });

  it('has the form v1:<keyId>:<iv>:<tag>:<ciphertext>, without the text', () => {
    const sealed = box.seal('hunter2', 'c');
    expect(sealed).toMatch(/^v1:[0-9a-f]{8}:[\w-]{16}:[\w-]{22}:[\w-]{10}$/);
    expect(sealed.split(':')[1]).toBe(idOf(key));
    expect(sealed).not.toContain('hunter2');
  });

  it('never seals twice alike', () => {
    expect(new Set(Array.from({ length: 100 }, () => box.seal('same', 'c'))).size).toBe(100);
  });

  it('does not open for another record', () => {
    const sealed = box.seal('hunter2', 'gateway:1:auth');
    for (const context of ['gateway:2:auth', 'gateway:1:tls', '', 'gateway:1:auth ']) {
      expect(() => box.open(sealed, context)).toThrow('belongs to another record');
    }
  });

  it('notices every changed character', () => {
    const sealed = box.seal('hunter2', 'c');
    for (let at = 0; at < sealed.length; at++) {
      for (const other of ['A', 'B', '_', '0', ':']) {
        if (sealed[at] === other) continue;
        const changed = sealed.slice(0, at) + other + sealed.slice(at + 1);
        expect(() => box.open(changed, 'c')).toThrow(SecretBoxError);
      }
    }
  });

  it('notices what was cut off, put on, or mixed from two values', () => {
    const [one, two] = [box.seal('hunter2', 'c'), box.seal('hunter3', 'c')].map((sealed) => sealed.split(':'));
    const mixed = [...(one ?? []).slice(0, 4), two?.[4]].join(':');
    for (const changed of [mixed, `${one?.join(':')}A`, one?.join(':').slice(0, -1) ?? '', '', 'hunter2', 'v1::::']) {
      expect(() => box.open(changed, 'c')).toThrow(SecretBoxError);
    }
  });

  it('rotation: the first key seals, older ones still open', () => {
    const fresh = newKey();
    const rotated = new SecretBox([fresh, key]);
    expect(rotated.open(box.seal('old', 'c'), 'c')).toBe('old');
    const resealed = rotated.seal('new', 'c');
    expect(new SecretBox([fresh]).open(resealed, 'c')).toBe('new');
    expect(() => box.open(resealed, 'c')).toThrow(SecretBoxError);
  });

  it('says which key is missing, and names neither the text nor a key', () => {
    const other = newKey();
    const sealed = new SecretBox([other]).seal('hunter2', 'c');
    const refused = (() => {
      try {
        return box.open(sealed, 'c');
      } catch (error) {
        return error;
      }
    })();
    expect(refused).toMatchObject({ name: 'SecretBoxError', code: 'INTERNAL' });
    const printed = inspect(refused, { depth: 10, showHidden: true });
    expect(printed).toContain('ENCRYPTION_KEY');
    expect(printed).toContain(idOf(other));
    for (const secret of ['hunter2', key, other]) expect(printed).not.toContain(secret);
  });

  it('shows no key when it is printed', () => {
    const printed = inspect(box, { depth: 10, showHidden: true });
    expect(printed).not.toContain(key);
    expect(printed).not.toContain(Buffer.from(key, 'base64').toString('hex'));
  });

  it.each(['', 'short', randomBytes(31).toString('base64'), randomBytes(33).toString('base64')])(
    'refuses the key %#',
    (bad) => {
      expect(() => new SecretBox([bad])).toThrow('ENCRYPTION_KEY must be 32 bytes in base64');
      expect(() => new SecretBox([key, bad])).toThrow(SecretBoxError);
    },
  );
});
