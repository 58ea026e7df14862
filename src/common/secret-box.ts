import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createSecretKey,
  type KeyObject,
  randomBytes,
} from 'node:crypto';
import { CodedError } from './errors.js';

/** What could not be sealed or opened; the message names neither the text nor a key. */
export class SecretBoxError extends CodedError<'INTERNAL'> {
  override readonly name = 'SecretBoxError';

  constructor(message: string) {
    super('INTERNAL', message);
  }
}

interface Key {
  /** First 8 hex digits of the SHA-256 of the key. */
  readonly id: string;
  readonly key: KeyObject;
}

const CIPHER = 'aes-256-gcm';
const IV_BYTES = 12;
const TAG_BYTES = 16;
const SEALED = /^v1:([0-9a-f]{8}):([\w-]{16}):([\w-]{22}):([\w-]*)$/;

/**
 * Encrypts secrets at rest with AES-256-GCM (SPEC S-4): `v1:<keyId>:<iv>:<tag>:<ciphertext>`, the last three base64url.
 *
 * - A value is bound to its place: what was sealed for one `context` does not open for another, so that nobody with
 *   access to the table can move a credential to a gateway of their own.
 * - The first key seals, all open: to rotate, put the new key first and keep the old ones until everything is resealed.
 */
export class SecretBox {
  private readonly current: Key;
  private readonly keys: ReadonlyMap<string, Key>;

  /**
   * @param keys ENCRYPTION_KEY and older ones, newest first, each 32 bytes in base64
   * @throws SecretBoxError when one is not 32 bytes
   */
  constructor(keys: readonly [string, ...string[]]) {
    this.current = readKey(keys[0]);
    this.keys = new Map(keys.map(readKey).map((one) => [one.id, one]));
  }

  /** @param context where the value lives, such as `gateway:<id>:auth`; the same is needed to open it */
  seal(plain: string, context: string): string {
    const { id, key } = this.current;
    const iv = randomBytes(IV_BYTES);
    const cipher = createCipheriv(CIPHER, key, iv, { authTagLength: TAG_BYTES }).setAAD(boundTo(id, context));
    const text = Buffer.concat([cipher.update(plain, 'utf8'), cipher.final()]);
    return ['v1', id, ...[iv, cipher.getAuthTag(), text].map((bytes) => bytes.toString('base64url'))].join(':');
  }

  /** @throws SecretBoxError when the key is not there, or the value was changed or sealed for another context */
  open(sealed: string, context: string): string {
    const [, id = '', ...fields] = SEALED.exec(sealed) ?? [];
    if (id === '') throw new SecretBoxError('a stored secret is not in the form v1:<key>:<iv>:<tag>:<text>');
    const { key } = this.keyOf(id);
    const [iv, tag, text] = fields.map(strictBytes);
    try {
      if (!iv || !tag || !text) throw new RangeError('not canonical base64url');
      const decipher = createDecipheriv(CIPHER, key, iv, { authTagLength: TAG_BYTES });
      decipher.setAAD(boundTo(id, context)).setAuthTag(tag);
      return Buffer.concat([decipher.update(text), decipher.final()]).toString('utf8');
    } catch {
      throw new SecretBoxError(`a stored secret was changed, or belongs to another record than ${context}`);
    }
  }

  private keyOf(id: string): Key {
    const key = this.keys.get(id);
    if (key !== undefined) return key;
    const held = [...this.keys.keys()].join(', ');
    throw new SecretBoxError(
      `a stored secret was sealed with the key ${id}, and ENCRYPTION_KEY is ${held}: start with the key that sealed it`,
    );
  }
}

function readKey(text: string): Key {
  const bytes = Buffer.from(text, 'base64');
  if (bytes.length !== 32) throw new SecretBoxError('ENCRYPTION_KEY must be 32 bytes in base64');
  return { id: createHash('sha256').update(bytes).digest('hex').slice(0, 8), key: createSecretKey(bytes) };
}

function boundTo(keyId: string, context: string): Buffer {
  return Buffer.from(`v1:${keyId}:${context}`, 'utf8');
}

/** Node forgives stray bits in base64url: two texts of one value would make "changed" undetectable in the spare bits. */
function strictBytes(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64url');
  return bytes.toString('base64url') === text ? bytes : undefined;
}
