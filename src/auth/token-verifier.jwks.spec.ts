import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { createServer, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo } from 'node:net';
import { exportJWK, exportSPKI, generateKeyPair, type GenerateKeyPairResult, type JWK, SignJWT } from 'jose';
import { deferred } from '../../test/support/deferred.js';
import { type Principal } from '../common/principal.js';
import { TokenVerifier, type TokenVerifierOptions } from './token-verifier.js';

const ISSUER = 'https://idp.example';
const AUDIENCE = 'https://gateway.example/mcp';

/** An identity provider: its published keys can be changed while it runs. */
class IdentityProvider {
  keys: JWK[] = [];
  fetches = 0;
  answer = (response: ServerResponse): void => {
    response.setHeader('content-type', 'application/json').end(JSON.stringify({ keys: this.keys }));
  };
  private readonly server: Server = createServer((_request, response) => {
    this.fetches += 1;
    this.answer(response);
  });

  async start(): Promise<void> {
    await new Promise<void>((resolve) => this.server.listen(0, '127.0.0.1', resolve));
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}/jwks?key=hidden`;
  }

  async publish(pair: GenerateKeyPairResult, extra: JWK): Promise<void> {
    this.keys.push({ ...(await exportJWK(pair.publicKey)), ...extra });
  }

  async stop(): Promise<void> {
    if (!this.server.listening) return;
    const closed = new Promise((resolve) => this.server.close(resolve));
    this.server.closeAllConnections();
    await closed;
  }
}

const pair = (alg: string) => generateKeyPair(alg, { extractable: true });

function sign(
  { privateKey }: GenerateKeyPairResult,
  header: { alg: string; kid?: string },
  sub = 'alice',
): Promise<string> {
  return new SignJWT({ scope: 'mcp:use' })
    .setProtectedHeader(header)
    .setSubject(sub)
    .setIssuer(ISSUER)
    .setAudience(AUDIENCE)
    .setExpirationTime('1h')
    .sign(privateKey);
}

describe('TokenVerifier with a key set (S-1)', () => {
  let idp: IdentityProvider;
  const verifierWith = (options: Partial<TokenVerifierOptions> = {}) =>
    new TokenVerifier({
      mode: 'jwt',
      jwksUrl: idp.url,
      issuer: ISSUER,
      audience: AUDIENCE,
      jwksCooldownMs: 0,
      ...options,
    });
  const ask = async (verifier: TokenVerifier, token: string): Promise<Principal | undefined> =>
    verifier.verify(`Bearer ${token}`);

  beforeEach(async () => {
    idp = new IdentityProvider();
    await idp.start();
  });

  afterEach(async () => {
    jest.restoreAllMocks();
    await idp.stop();
  });

  it.each(['RS256', 'RS384', 'PS256', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA'])('takes %s', async (alg) => {
    const keys = await pair(alg);
    await idp.publish(keys, { kid: 'one' });
    expect(await ask(verifierWith(), await sign(keys, { alg, kid: 'one' }))).toEqual({
      subject: 'alice',
      issuer: ISSUER,
      scopes: ['mcp:use'],
    });
  });

  it('reads the set once for many tokens and parallel requests', async () => {
    const keys = await pair('ES256');
    await idp.publish(keys, { kid: 'one' });
    const verifier = verifierWith();
    const tokens = await Promise.all(
      Array.from({ length: 20 }, (_, n) => sign(keys, { alg: 'ES256', kid: 'one' }, `u${n}`)),
    );
    await Promise.all(tokens.map((token) => ask(verifier, token)));
    expect(idp.fetches).toBe(1);
  });

  it('takes a new key after a rotation, and no longer the old one', async () => {
    const [old, fresh] = await Promise.all([pair('RS256'), pair('ES256')]);
    await idp.publish(old, { kid: 'old' });
    const verifier = verifierWith();
    await ask(verifier, await sign(old, { alg: 'RS256', kid: 'old' }));

    idp.keys = [];
    await idp.publish(fresh, { kid: 'fresh' });
    expect(await ask(verifier, await sign(fresh, { alg: 'ES256', kid: 'fresh' }))).toMatchObject({ subject: 'alice' });
    expect(idp.fetches).toBe(2);
    await expect(ask(verifier, await sign(old, { alg: 'RS256', kid: 'old' }, 'bob'))).rejects.toThrow(
      'key is not known',
    );
  });

  it('an unknown key id does not make it fetch more often than the cooldown allows', async () => {
    const [keys, stranger] = await Promise.all([pair('ES256'), pair('ES256')]);
    await idp.publish(keys, { kid: 'one' });
    const verifier = verifierWith({ jwksCooldownMs: 60_000 });
    for (let n = 0; n < 5; n++) {
      const token = await sign(stranger, { alg: 'ES256', kid: `guess${n}` });
      await expect(ask(verifier, token)).rejects.toMatchObject({ code: 'UNAUTHORIZED' });
    }
    expect(idp.fetches).toBe(1);
  });

  it('tries each key where a token names none', async () => {
    const [one, two, stranger] = await Promise.all([pair('ES256'), pair('ES256'), pair('ES256')]);
    await idp.publish(one, { kid: 'one' });
    await idp.publish(two, { kid: 'two' });
    const verifier = verifierWith();
    expect(await ask(verifier, await sign(one, { alg: 'ES256' }, 'u1'))).toMatchObject({ subject: 'u1' });
    expect(await ask(verifier, await sign(two, { alg: 'ES256' }, 'u2'))).toMatchObject({ subject: 'u2' });
    await expect(ask(verifier, await sign(stranger, { alg: 'ES256' }))).rejects.toThrow('signature');
  });

  it('refuses HS256 signed with the public key as if it were a secret', async () => {
    const keys = await pair('RS256');
    await idp.publish(keys, { kid: 'one' });
    const published = [await exportSPKI(keys.publicKey), JSON.stringify(idp.keys[0]), idp.keys[0]?.n ?? ''];
    for (const secret of published) {
      const forged = new SignJWT({ sub: 'mallory', iss: ISSUER, aud: AUDIENCE }).setExpirationTime('1h');
      const token = await forged.setProtectedHeader({ alg: 'HS256', kid: 'one' }).sign(Buffer.from(secret));
      await expect(ask(verifierWith(), token)).rejects.toThrow('algorithm that is not allowed');
    }
    expect(idp.fetches).toBe(0);
  });

  it('refuses keys that a token brings along', async () => {
    const [keys, own] = await Promise.all([pair('ES256'), pair('ES256')]);
    await idp.publish(keys, { kid: 'one' });
    const header = { alg: 'ES256', kid: 'one', jwk: await exportJWK(own.publicKey), jku: 'http://127.0.0.1:1/jwks' };
    await expect(ask(verifierWith(), await sign(own, header))).rejects.toThrow('signature');
  });

  it('forgets a verified token after five minutes, so that the withdrawal of its key takes effect', async () => {
    const keys = await pair('EdDSA');
    await idp.publish(keys, { kid: 'one' });
    const verify = jest.spyOn(globalThis.crypto.subtle, 'verify');
    let later = 0;
    const verifier = verifierWith({ now: () => Date.now() + later });
    const token = await sign(keys, { alg: 'EdDSA', kid: 'one' });
    await ask(verifier, token);
    later = 299_000;
    await ask(verifier, token);
    expect(verify).toHaveBeenCalledTimes(1);
    later = 300_001;
    await ask(verifier, token);
    expect(verify).toHaveBeenCalledTimes(2);
  });

  it('one verification for parallel requests, also while the set is still on its way', async () => {
    const keys = await pair('ES256');
    await idp.publish(keys, { kid: 'one' });
    const verify = jest.spyOn(globalThis.crypto.subtle, 'verify');
    const [asked, gate] = [deferred(), deferred()];
    const send = idp.answer;
    idp.answer = (response) => {
      asked.resolve();
      void gate.promise.then(() => send(response));
    };
    const verifier = verifierWith();
    const token = await sign(keys, { alg: 'ES256', kid: 'one' });
    const early = ask(verifier, token);
    await asked.promise;
    const late = ask(verifier, token);
    gate.resolve();
    expect(await early).toBe(await late);
    expect([idp.fetches, verify.mock.calls.length]).toEqual([1, 1]);
  });

  describe('a set that cannot be read is no 401, and heals', () => {
    const broken: [string, (response: ServerResponse) => void][] = [
      ['answers 500', (response) => response.writeHead(500).end('down')],
      ['answers HTML', (response) => response.end('<html>sign in</html>')],
      ['answers no key set', (response) => response.end('{"error":"no"}')],
      ['redirects', (response) => response.writeHead(302, { location: 'http://127.0.0.1:1/' }).end()],
      ['hangs', () => undefined],
      ['hangs in the body', (response) => response.write('{"keys":[')],
      ['hangs up', (response) => response.destroy()],
    ];

    it.each(broken)('%s', async (_, answer) => {
      const keys = await pair('ES256');
      await idp.publish(keys, { kid: 'one' });
      const token = await sign(keys, { alg: 'ES256', kid: 'one' });
      const verifier = verifierWith({ jwksTimeoutMs: 500 });
      const good = idp.answer;
      idp.answer = answer;
      const error: Error = await ask(verifier, token).then(
        () => new Error('let in'),
        (thrown: Error) => thrown,
      );
      expect(error).toMatchObject({ name: 'AuthUnavailableError', data: { retryable: true, retryAfterMs: 5_000 } });
      expect(error.message).not.toContain('hidden');

      idp.answer = good;
      expect(await ask(verifier, token)).toMatchObject({ subject: 'alice' });
    });

    it('refuses connections', async () => {
      const keys = await pair('ES256');
      const verifier = verifierWith();
      await idp.stop();
      await expect(ask(verifier, await sign(keys, { alg: 'ES256' }))).rejects.toThrow('JWKS_URL cannot be read');
    });
  });
});
