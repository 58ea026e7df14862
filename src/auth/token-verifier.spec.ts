import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { inspect } from 'node:util';
import { type JWTPayload, SignJWT, UnsecuredJWT } from 'jose';
import { type Principal } from '../common/principal.js';
import { type AuthError, challenge } from './auth.errors.js';
import { TokenVerifier, type TokenVerifierOptions } from './token-verifier.js';

const SECRET = 'a shared secret of more than 32 characters';
const START = Date.UTC(2026, 0, 1);

let now = START;
const clock = { now: () => now };

function verifierWith(options: Partial<TokenVerifierOptions> = {}): TokenVerifier {
  return new TokenVerifier({ mode: 'jwt', secret: SECRET, ...clock, ...options });
}

/** Seconds from now, as the numeric date of a claim. */
const at = (seconds: number) => Math.floor(now / 1000) + seconds;

function sign(claims: JWTPayload, { alg = 'HS256', secret = SECRET } = {}): Promise<string> {
  return new SignJWT(claims).setProtectedHeader({ alg }).sign(Buffer.from(secret));
}

async function ask(verifier: TokenVerifier, header: string | undefined): Promise<Principal | undefined> {
  return verifier.verify(header);
}

async function problemOf(verifier: TokenVerifier, header: string | undefined): Promise<AuthError> {
  return ask(verifier, header).then(
    (principal) => Promise.reject(new Error(`let in ${inspect(principal)}`)),
    (error: AuthError) => error,
  );
}

const signatures = () => jest.spyOn(globalThis.crypto.subtle, 'verify');

beforeEach(() => {
  now = START;
});

afterEach(() => {
  jest.restoreAllMocks();
});

describe('the header', () => {
  it('S-1: mode none looks at nothing', () => {
    const verifier = new TokenVerifier({ mode: 'none' });
    expect(verifier.verify(undefined)).toBeUndefined();
    expect(verifier.verify('Bearer rubbish')).toBeUndefined();
  });

  it.each([undefined, '', 'Basic dXNlcjpwYXNz', 'Bearerabc', 'Token abc', 'abc'])(
    '%p carries no token',
    async (header) => {
      const error = await problemOf(verifierWith(), header);
      expect(error).toMatchObject({
        code: 'UNAUTHORIZED',
        message: expect.stringContaining('Authorization: Bearer <token>'),
      });
      expect(challenge(error)).toBe('Bearer');
    },
  );

  it.each(['Bearer', 'Bearer ', 'Bearer a b', 'Bearer a, Bearer b', 'Bearer a,b'])(
    '%p is not one token',
    async (header) => {
      const error = await problemOf(verifierWith(), header);
      expect(error).toMatchObject({ code: 'UNAUTHORIZED', message: expect.stringContaining('exactly one token') });
      expect(challenge(error)).toContain('error="invalid_token"');
    },
  );

  it.each(['Bearer', 'bearer', 'BEARER', 'bEaReR'])('takes the scheme as %s', async (scheme) => {
    const token = await sign({ sub: 'alice', exp: at(60) });
    expect(await ask(verifierWith(), `${scheme} ${token}`)).toMatchObject({ subject: 'alice' });
  });
});

describe('the claims', () => {
  const principalFor = async (claims: JWTPayload) =>
    ask(verifierWith(), `Bearer ${await sign({ exp: at(60), ...claims })}`);

  it('P-1: subject is sub, else email, else user_id', async () => {
    expect(await principalFor({ sub: 's', email: 'e', user_id: 'u' })).toMatchObject({ subject: 's' });
    expect(await principalFor({ email: 'e', user_id: 'u' })).toMatchObject({ subject: 'e' });
    expect(await principalFor({ user_id: 'u' })).toMatchObject({ subject: 'u' });
  });

  it.each([{}, { sub: '' }, { email: 7 }, { user_id: { id: 'x' } }])('refuses %p: nobody is named', async (claims) => {
    const token = await sign({ exp: at(60), ...claims });
    expect((await problemOf(verifierWith(), `Bearer ${token}`)).message).toContain('names no user');
  });

  it('takes tenant, issuer and scopes in their usual spellings', async () => {
    expect(
      await principalFor({ sub: 'a', tenant_id: 't1', tenant: 't2', iss: 'https://idp', scope: 'mcp:use  admin' }),
    ).toEqual({
      subject: 'a',
      tenant: 't1',
      issuer: 'https://idp',
      scopes: ['mcp:use', 'admin'],
    });
    expect(await principalFor({ sub: 'a', tenant: 't2', scp: 'mcp:use' })).toEqual({
      subject: 'a',
      tenant: 't2',
      scopes: ['mcp:use'],
    });
    expect(await principalFor({ sub: 'a', tid: 't3', scp: ['mcp:use', 'admin', 5] })).toEqual({
      subject: 'a',
      tenant: 't3',
      scopes: ['mcp:use', 'admin'],
    });
    expect(await principalFor({ sub: 'a', tenant_id: 9 })).toEqual({ subject: 'a', scopes: [] });
  });

  it('hands out a principal that nobody can change for the next request', async () => {
    const principal = await principalFor({ sub: 'a', scope: 'mcp:use' });
    expect(Object.isFrozen(principal) && Object.isFrozen(principal?.scopes)).toBe(true);
  });
});

describe('what is refused (S-1)', () => {
  const good = () => ({ sub: 'alice', exp: at(60), iss: 'https://idp', aud: 'gateway' });
  const strict = () => verifierWith({ issuer: 'https://idp', audience: 'gateway' });
  const refusal = async (token: string) => (await problemOf(strict(), `Bearer ${token}`)).message;

  it('accepts the good one, also with several audiences', async () => {
    expect(await ask(strict(), `Bearer ${await sign(good())}`)).toMatchObject({ subject: 'alice' });
    expect(await ask(strict(), `Bearer ${await sign({ ...good(), aud: ['x', 'gateway'] })}`)).toMatchObject({
      subject: 'alice',
    });
  });

  it('issuer and audience, wrong or missing', async () => {
    expect(await refusal(await sign({ ...good(), iss: 'https://evil' }))).toContain('another issuer');
    expect(await refusal(await sign({ ...good(), iss: undefined }))).toContain('another issuer');
    expect(await refusal(await sign({ ...good(), aud: 'other' }))).toContain('another audience');
    expect(await refusal(await sign({ ...good(), aud: undefined }))).toContain('another audience');
  });

  it('no expiry, or one that is no number', async () => {
    expect(await refusal(await sign({ ...good(), exp: undefined }))).toContain('no expiry');
    expect(await refusal(await sign({ ...good(), exp: 'never' } as unknown as JWTPayload))).toContain('malformed');
  });

  it('expired and not yet valid, each with the clock skew and not more', async () => {
    expect(await refusal(await sign({ ...good(), exp: at(-30) }))).toContain('expired');
    expect(await ask(strict(), `Bearer ${await sign({ ...good(), exp: at(-29) })}`)).toMatchObject({
      subject: 'alice',
    });
    expect(await refusal(await sign({ ...good(), nbf: at(31) }))).toContain('not valid yet');
    expect(await ask(strict(), `Bearer ${await sign({ ...good(), nbf: at(30) })}`)).toMatchObject({ subject: 'alice' });
  });

  it('a wrong signature, a changed body, a body taken from another token', async () => {
    expect(await refusal(await sign(good(), { secret: `${SECRET}!` }))).toContain('signature');
    const [head, , signature] = (await sign(good())).split('.');
    const [, other] = (await sign({ ...good(), sub: 'mallory' })).split('.');
    expect(await refusal(`${head}.${other}.${signature}`)).toContain('signature');
  });

  it('alg none and every other algorithm', async () => {
    const unsigned = new UnsecuredJWT(good()).encode();
    expect(await refusal(unsigned)).toContain('algorithm that is not allowed');
    const [, body, signature] = (await sign(good())).split('.');
    for (const alg of ['None', 'nOnE', 'HS384', 'RS256', '']) {
      const head = Buffer.from(JSON.stringify({ alg })).toString('base64url');
      expect(await refusal(`${head}.${body}.${signature}`)).toMatch(/not allowed|malformed/);
    }
    expect(await refusal(await sign(good(), { alg: 'HS512' }))).toContain('algorithm that is not allowed');
  });

  it.each(['x', 'a.b', 'a.b.c', 'a.b.c.d.e', '..', 'eyJhbGciOiJIUzI1NiJ9.e30.', '💥.💥.💥'])(
    '%p is malformed',
    async (token) => {
      expect(await refusal(token)).toMatch(/malformed|signature/);
    },
  );

  it('never says anything of the token, however the error is printed', async () => {
    const token = await sign({ ...good(), sub: 'alice@secret.example', iss: 'https://evil.example' });
    const error = await problemOf(strict(), `Bearer ${token}`);
    const printed = inspect(error, { depth: 20, showHidden: true }) + JSON.stringify(error.data) + error.stack;
    expect(error.cause).toBeUndefined();
    for (const part of [...token.split('.'), 'secret.example', 'evil.example']) expect(printed).not.toContain(part);
  });
});

describe('the cache', () => {
  it('verifies once; a hit comes back synchronously, with the same object', async () => {
    const verify = signatures();
    const verifier = verifierWith();
    const header = `Bearer ${await sign({ sub: 'alice', exp: at(60) })}`;
    const first = await ask(verifier, header);
    expect(verifier.verify(header)).toBe(first);
    expect(verifier.verify(header.replace('Bearer', 'bearer'))).toBe(first);
    expect(verify).toHaveBeenCalledTimes(1);
  });

  it('verifies parallel requests with one token once', async () => {
    const verify = signatures();
    const verifier = verifierWith();
    const header = `Bearer ${await sign({ sub: 'alice', exp: at(60) })}`;
    const all = await Promise.all(Array.from({ length: 50 }, () => ask(verifier, header)));
    expect(new Set(all).size).toBe(1);
    expect(verify).toHaveBeenCalledTimes(1);
  });

  it('forgets at exp: checked anew within the tolerance, refused after it', async () => {
    const verify = signatures();
    const verifier = verifierWith();
    const header = `Bearer ${await sign({ sub: 'alice', exp: at(60) })}`;
    await ask(verifier, header);
    now += 59_999;
    expect(verifier.verify(header)).not.toBeInstanceOf(Promise);
    now += 1;
    expect(await ask(verifier, header)).toMatchObject({ subject: 'alice' });
    expect(await ask(verifier, header)).toMatchObject({ subject: 'alice' });
    expect(verify).toHaveBeenCalledTimes(3);
    now += 30_000;
    expect((await problemOf(verifier, header)).message).toContain('expired');
  });

  it('does not remember a failure', async () => {
    const verify = signatures();
    const verifier = verifierWith();
    const header = `Bearer ${await sign({ sub: 'alice', exp: at(300), nbf: at(60) })}`;
    await problemOf(verifier, header);
    await problemOf(verifier, header);
    expect(verify).toHaveBeenCalledTimes(2);
    now += 60_000;
    expect(await ask(verifier, header)).toMatchObject({ subject: 'alice' });
  });

  it('keeps at most cacheSize tokens, the least recently used goes first', async () => {
    const verifier = verifierWith({ cacheSize: 2 });
    const headers = await Promise.all(['a', 'b', 'c'].map(async (sub) => `Bearer ${await sign({ sub, exp: at(60) })}`));
    for (const header of headers) await ask(verifier, header);
    const hits = headers.map((header) => !(verifier.verify(header) instanceof Promise));
    expect(hits).toEqual([false, true, true]);
  });

  it('holds no token', async () => {
    const verifier = verifierWith();
    const token = await sign({ sub: 'alice', exp: at(60) });
    await ask(verifier, `Bearer ${token}`);
    const held = inspect(verifier, { depth: 20, showHidden: true, maxArrayLength: null });
    for (const part of token.split('.')) expect(held).not.toContain(part);
  });
});

it.each([
  [{ clockToleranceSeconds: 61 }, '0 to 60'],
  [{ clockToleranceSeconds: -1 }, '0 to 60'],
  [{ secret: undefined }, 'needs secret or jwksUrl'],
  [{ jwksUrl: 'http://127.0.0.1/jwks' }, 'exclude each other'],
])('S-1: refuses the options %p', (options, message) => {
  expect(() => verifierWith(options)).toThrow(message);
});
