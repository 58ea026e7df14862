import { describe, expect, it } from '@jest/globals';
import { Command } from 'commander';
import { decodeJwt, decodeProtectedHeader } from 'jose';
import { TokenVerifier } from '../auth/token-verifier.js';
import { registerTokenCommand } from './token.command.js';

const SECRET = 'a shared secret of more than 32 characters';
const ENV = { JWT_SECRET: SECRET };

interface Outcome {
  printed: string[];
  errors: string;
  exitCode: number;
}

async function run(args: string[], env: NodeJS.ProcessEnv = ENV): Promise<Outcome> {
  const outcome: Outcome = { printed: [], errors: '', exitCode: 0 };
  const program = new Command('mcp-gateway').exitOverride().configureOutput({
    writeErr: (text) => (outcome.errors += text),
    writeOut: (text) => outcome.printed.push(text),
  });
  registerTokenCommand(program, env, (line) => outcome.printed.push(line));
  try {
    await program.parseAsync(['token', ...args], { from: 'user' });
  } catch (error) {
    outcome.exitCode = (error as { exitCode: number }).exitCode;
  }
  return outcome;
}

async function claimsOf(args: string[], env?: NodeJS.ProcessEnv) {
  const { printed, errors } = await run(args, env);
  expect([printed.length, errors]).toEqual([1, '']);
  return decodeJwt(printed[0] ?? '');
}

describe('mcp-gateway token', () => {
  it('prints one token that the service takes', async () => {
    const env = { ...ENV, JWT_ISSUER: 'https://idp', JWT_AUDIENCE: 'gateway' };
    const { printed, exitCode } = await run(['--sub', 'alice', '--tenant', 't1'], env);
    expect([printed.length, exitCode]).toEqual([1, 0]);
    expect(decodeProtectedHeader(printed[0] ?? '')).toEqual({ alg: 'HS256', typ: 'JWT' });
    const verifier = new TokenVerifier({ mode: 'jwt', secret: SECRET, issuer: 'https://idp', audience: 'gateway' });
    expect(await verifier.verify(`Bearer ${printed[0]}`)).toEqual({
      subject: 'alice',
      tenant: 't1',
      issuer: 'https://idp',
      scopes: ['mcp:use'],
    });
  });

  it('has no issuer and audience where none are set', async () => {
    const claims = await claimsOf(['--sub', 'alice'], { ...ENV, JWT_ISSUER: '', JWT_AUDIENCE: ' ' });
    expect(Object.keys(claims).sort()).toEqual(['exp', 'iat', 'scope', 'sub']);
  });

  it.each([
    [[], 'mcp:use'],
    [['--scope', 'admin'], 'admin'],
    [['--scope', 'mcp:use  gateways:read'], 'mcp:use gateways:read'],
    [['--scope', 'mcp:use', '--scope', 'gateways:write', '--scope', 'mcp:use'], 'mcp:use gateways:write'],
  ])('scopes %p: %s', async (args, scope) => {
    expect((await claimsOf(['--sub', 'alice', ...args])).scope).toBe(scope);
  });

  it.each([
    [[], 3_600],
    [['--expires', '90s'], 90],
    [['--expires', '30m'], 1_800],
    [['--expires', '7d'], 604_800],
    [['--expires', '365d'], 31_536_000],
  ])('expires %p: %d s', async (args, seconds) => {
    const { iat = 0, exp = 0 } = await claimsOf(['--sub', 'alice', ...args]);
    expect(exp - iat).toBe(seconds);
    expect(Math.abs(iat - Date.now() / 1000)).toBeLessThan(10);
  });

  it.each([
    [['--sub', 'a', '--scope', 'root'], 'Unknown: root. The scopes are mcp:use, gateways:read, gateways:write, admin.'],
    [['--sub', 'a', '--scope', ' '], 'The scopes are'],
    [['--sub', 'a', '--expires', '366d'], 'At most 365d'],
    [['--sub', 'a', '--expires', '0h'], 'such as 30m'],
    [['--sub', 'a', '--expires', '1.5h'], 'such as 30m'],
    [['--sub', 'a', '--expires', 'never'], 'such as 30m'],
    [['--sub', ' '], 'must not be empty'],
    [['--sub', 'a', '--tenant', ''], 'must not be empty'],
    [[], "required option '--sub <subject>' not specified"],
  ])('refuses %p in one line', async (args, message) => {
    const { printed, errors, exitCode } = await run(args);
    expect([printed, exitCode]).toEqual([[], 1]);
    expect(errors).toContain(message);
    expect(errors.trim().split('\n')).toHaveLength(1);
  });

  it.each([
    [{}, 'JWT_SECRET is not set'],
    [{ JWT_SECRET: '' }, 'JWT_SECRET is not set'],
    [{ JWKS_URL: 'https://idp/jwks' }, 'your identity provider makes the tokens'],
    [{ JWT_SECRET: 'short' }, 'JWT_SECRET must have at least 32 characters'],
  ])('says what is wrong with the environment %p in one line', async (env, message) => {
    const { printed, errors, exitCode } = await run(['--sub', 'alice'], env);
    expect([printed, exitCode]).toEqual([[], 1]);
    expect(errors).toContain(message);
    expect(errors.trim().split('\n')).toHaveLength(1);
  });
});
