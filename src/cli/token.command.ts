import { type Command, InvalidArgumentError, Option } from 'commander';
import { SignJWT } from 'jose';
import { isScope, type Scope, SCOPES } from '../auth/scopes.js';
import { EnvironmentSchema } from '../config/schema.js';

interface TokenOptions {
  readonly sub: string;
  readonly scope?: readonly Scope[];
  /** Seconds. */
  readonly expires: number;
  readonly tenant?: string;
}

const DESCRIPTION = 'print a token for AUTH_MODE=jwt with JWT_SECRET (HS256; iss and aud as JWT_ISSUER, JWT_AUDIENCE)';
const UNIT_SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3_600, d: 86_400 };
const MAX_EXPIRES_SECONDS = 365 * 86_400;

/**
 * Adds `token`, which prints one JWT and nothing else, so that it can be used in `$(…)`. Bad input ends with one line
 * and exit code 1.
 *
 * @param env holds JWT_SECRET and, if tokens shall carry them, JWT_ISSUER and JWT_AUDIENCE
 */
export function registerTokenCommand(program: Command, env: NodeJS.ProcessEnv, print: (line: string) => void): void {
  program
    .command('token')
    .description(DESCRIPTION)
    .requiredOption('--sub <subject>', 'the user that the token speaks for', notEmpty)
    .option(
      '--scope <scopes>',
      `of ${SCOPES.join(', ')}; repeat it or separate by spaces (default: mcp:use)`,
      addScopes,
    )
    .addOption(
      new Option('--expires <time>', 'how long it is valid: 30m, 1h, 7d').argParser(duration).default(3_600, '1h'),
    )
    .option('--tenant <tenant>', 'the tenant of the user (tenant_id)', notEmpty)
    .action(async (options: TokenOptions, command: Command) => {
      const secret = secretOf(env, command);
      print(await sign(options, secret, env));
    });
}

async function sign(
  { sub, scope = ['mcp:use'], expires, tenant }: TokenOptions,
  secret: string,
  env: NodeJS.ProcessEnv,
) {
  const { JWT_ISSUER: issuer, JWT_AUDIENCE: audience } = env;
  const now = Math.floor(Date.now() / 1000);
  const token = new SignJWT({ scope: scope.join(' '), ...(tenant === undefined ? {} : { tenant_id: tenant }) })
    .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
    .setSubject(sub)
    .setIssuedAt(now)
    .setExpirationTime(now + expires);
  if (issuer?.trim()) token.setIssuer(issuer);
  if (audience?.trim()) token.setAudience(audience);
  return token.sign(Buffer.from(secret, 'utf8'));
}

/** The secret by the same rule as the service's; `command.error` prints one line and does not return. */
function secretOf(env: NodeJS.ProcessEnv, command: Command): string {
  const { JWT_SECRET: secret, JWKS_URL: keySet } = env;
  if (!secret?.trim()) {
    const hint = keySet?.trim() ? '; with JWKS_URL your identity provider makes the tokens' : '';
    return command.error(`error: JWT_SECRET is not set (the one that the service runs with)${hint}`);
  }
  const checked = EnvironmentSchema.shape.JWT_SECRET.safeParse(secret);
  if (!checked.success) return command.error(`error: JWT_SECRET ${checked.error.issues[0]?.message}`);
  return secret;
}

function addScopes(text: string, before: readonly Scope[] = []): Scope[] {
  const words = text.split(/\s+/).filter((word) => word !== '');
  const unknown = words.filter((word) => !isScope(word));
  if (words.length === 0 || unknown.length > 0) {
    const what = unknown.length > 0 ? `Unknown: ${unknown.join(' ')}. ` : '';
    throw new InvalidArgumentError(`${what}The scopes are ${SCOPES.join(', ')}.`);
  }
  return [...new Set([...before, ...words.filter(isScope)])];
}

function duration(text: string): number {
  const [, count = '', unit = ''] = /^(\d{1,9})([smhd])$/.exec(text) ?? [];
  const seconds = Number(count) * (UNIT_SECONDS[unit] ?? 0);
  if (seconds < 1) throw new InvalidArgumentError('Give a number and s, m, h or d, such as 30m, 1h or 7d.');
  if (seconds > MAX_EXPIRES_SECONDS) throw new InvalidArgumentError('At most 365d.');
  return seconds;
}

function notEmpty(text: string): string {
  if (text.trim() === '') throw new InvalidArgumentError('It must not be empty.');
  return text;
}
