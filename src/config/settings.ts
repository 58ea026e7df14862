import { maskUrl } from '../common/mask-url.js';
import { nearest } from './nearest.js';
import { type Environment, EnvironmentSchema } from './schema.js';

/** Settings whose defaults depend on others. */
type Derived =
  'AUTH_MODE' | 'MCP_SESSION_POOL_MAX_PER_GATEWAY' | 'MCPGATEWAY_SESSION_AFFINITY_ENABLED' | 'SHUTDOWN_DELAY_SECONDS';

/** Everything that the environment decides, parsed, checked and frozen; durations in milliseconds. */
export type Settings = Readonly<
  Omit<Environment, Derived> & {
    AUTH_MODE: 'none' | 'jwt';
    MCP_SESSION_POOL_MAX_PER_GATEWAY: number;
    MCPGATEWAY_SESSION_AFFINITY_ENABLED: boolean;
    SHUTDOWN_DELAY_SECONDS: number;
    /** HOST is loopback and NODE_ENV is not `production` (SPEC §9). */
    development: boolean;
  }
>;

/** All problems of the environment in one message. */
export class SettingsError extends Error {
  override readonly name = 'SettingsError';

  constructor(readonly problems: readonly string[]) {
    super(['settings are not usable:', ...problems.map((problem) => `  - ${problem}`)].join('\n'));
  }
}

const MAX_PER_GATEWAY = 1_000;
const GUARDED_PREFIXES = ['MCP_SESSION_POOL_', 'MCPGATEWAY_'];

/**
 * Reads and checks the environment once.
 *
 * @throws SettingsError with every problem, unknown guarded names included (SPEC §9)
 */
export function loadSettings(env: Readonly<Record<string, string | undefined>>): Settings {
  const given = withoutEmpty(env);
  const problems = unknownNames(given);
  const parsed = EnvironmentSchema.safeParse(given);
  const issues = parsed.error?.issues ?? [];
  problems.push(...issues.map((issue) => `${issue.path.join('.')} ${issue.message}`));
  // What cannot be read stands at its default, so that the relations of the rest are still checked.
  const wrong = new Set(issues.map((issue) => issue.path.join('.')));
  const readable = Object.fromEntries(Object.entries(given).filter(([name]) => !wrong.has(name)));
  const values = parsed.data ?? EnvironmentSchema.parse(readable);
  const loopback = isLoopback(values.HOST);
  const development = loopback && values.NODE_ENV !== 'production';
  problems.push(...relations(values, loopback).filter((text) => ![...wrong].some((name) => text.includes(name))));
  if (problems.length > 0) throw new SettingsError(problems);
  return Object.freeze({
    ...values,
    AUTH_MODE: values.AUTH_MODE ?? 'none',
    MCP_SESSION_POOL_MAX_PER_GATEWAY:
      values.MCP_SESSION_POOL_MAX_PER_GATEWAY ?? Math.min(MAX_PER_GATEWAY, values.MCP_SESSION_POOL_MAX_TOTAL_SESSIONS),
    MCPGATEWAY_SESSION_AFFINITY_ENABLED: values.MCPGATEWAY_SESSION_AFFINITY_ENABLED ?? values.REDIS_URL !== undefined,
    SHUTDOWN_DELAY_SECONDS: values.SHUTDOWN_DELAY_SECONDS ?? (development ? 0 : 5_000),
    development,
  });
}

const SECRETS: readonly (keyof Settings)[] = ['JWT_SECRET', 'ENCRYPTION_KEY'];
const URLS: readonly (keyof Settings)[] = ['DATABASE_URL', 'REDIS_URL', 'JWKS_URL'];

const DURATION = /_(SECONDS|TIMEOUT|TTL|INTERVAL|EVICTION|RESET|WARNING)$/;

/** The settings as they may be printed: secrets masked, passwords cut out of URLs. */
export function maskSettings(settings: Settings): Record<string, unknown> {
  const masked: Record<string, unknown> = { ...settings };
  // As they are given: durations in the seconds that their names say, not in our milliseconds.
  for (const [name, value] of Object.entries(masked)) {
    if (DURATION.test(name) && typeof value === 'number') masked[name] = value / 1000;
  }
  for (const name of SECRETS) if (masked[name] !== undefined) masked[name] = '***';
  for (const name of URLS) if (typeof masked[name] === 'string') masked[name] = maskUrl(masked[name]);
  return masked;
}

function relations(values: Environment, loopback: boolean): string[] {
  const problems: string[] = [];
  const { AUTH_MODE, JWT_SECRET, JWKS_URL } = values;
  if (AUTH_MODE === undefined && !loopback) {
    problems.push(`AUTH_MODE must be set, because HOST ${values.HOST} can be reached from outside (jwt is meant)`);
  }
  if (AUTH_MODE === 'none' && !loopback && !values.AUTH_ALLOW_ANONYMOUS) {
    problems.push(`AUTH_MODE=none needs a loopback HOST (or AUTH_ALLOW_ANONYMOUS=true, if you know what you do)`);
  }
  if (AUTH_MODE === undefined && (JWT_SECRET || JWKS_URL)) {
    problems.push(`${JWT_SECRET ? 'JWT_SECRET' : 'JWKS_URL'} has no effect without AUTH_MODE=jwt`);
  }
  if (AUTH_MODE === 'jwt') {
    if (!JWT_SECRET && !JWKS_URL) problems.push('AUTH_MODE=jwt needs JWT_SECRET or JWKS_URL');
    if (JWT_SECRET && JWKS_URL) problems.push('JWT_SECRET and JWKS_URL exclude each other');
    if (JWKS_URL && !values.JWT_ISSUER) problems.push('JWKS_URL needs JWT_ISSUER');
    if (JWKS_URL && !values.JWT_AUDIENCE) problems.push('JWKS_URL needs JWT_AUDIENCE');
  }
  if (values.DATABASE_URL && !values.ENCRYPTION_KEY) {
    problems.push('ENCRYPTION_KEY is required with DATABASE_URL (openssl rand -base64 32)');
  }
  if (values.REDIS_URL && !values.DATABASE_URL) {
    problems.push('REDIS_URL needs DATABASE_URL: several replicas cannot share the embedded database');
  }
  if (values.CALL_TIMEOUT_SECONDS > values.CALL_MAX_SECONDS) {
    problems.push('CALL_TIMEOUT_SECONDS must not be above CALL_MAX_SECONDS');
  }
  if (values.NOTIFICATION_DEBOUNCE_SECONDS > values.NOTIFICATION_MAX_WAIT_SECONDS) {
    problems.push('NOTIFICATION_DEBOUNCE_SECONDS must not be above NOTIFICATION_MAX_WAIT_SECONDS');
  }
  return [...problems, ...capRelations(values)];
}

/** A cap that another one always reaches first would be a promise that is never kept. */
function capRelations(values: Environment): string[] {
  const problems: string[] = [];
  const perKey = values.MCP_SESSION_POOL_MAX_PER_KEY;
  const perGateway = values.MCP_SESSION_POOL_MAX_PER_GATEWAY;
  const total = values.MCP_SESSION_POOL_MAX_TOTAL_SESSIONS;
  if (perKey > total) {
    problems.push('MCP_SESSION_POOL_MAX_PER_KEY must not be above MCP_SESSION_POOL_MAX_TOTAL_SESSIONS');
  }
  if (perKey > (perGateway ?? MAX_PER_GATEWAY)) {
    problems.push('MCP_SESSION_POOL_MAX_PER_KEY must not be above MCP_SESSION_POOL_MAX_PER_GATEWAY');
  }
  if (perGateway !== undefined && perGateway > total) {
    problems.push('MCP_SESSION_POOL_MAX_PER_GATEWAY must not be above MCP_SESSION_POOL_MAX_TOTAL_SESSIONS');
  }
  return problems;
}

function unknownNames(env: Readonly<Record<string, string | undefined>>): string[] {
  const known = Object.keys(EnvironmentSchema.shape);
  return Object.entries(env)
    .filter(([name, value]) => GUARDED_PREFIXES.some((prefix) => name.startsWith(prefix)) && !injected(name, value))
    .filter(([name]) => !known.includes(name))
    .map(([name]) => `${name} is not a setting; did you mean ${nearest(name, alike(name, known))}?`);
}

/** Names of the same family: a wrong word in one of ours is never meant for a name without its prefix. */
function alike(name: string, known: readonly string[]): readonly string[] {
  const prefix = GUARDED_PREFIXES.find((one) => name.startsWith(one)) ?? '';
  return known.filter((one) => one.startsWith(prefix));
}

/** Kubernetes puts such names into every container, derived from the names of services. */
function injected(name: string, value: string | undefined): boolean {
  return (
    name.endsWith('_SERVICE_HOST') ||
    /_SERVICE_PORT(_.*)?$/.test(name) ||
    (/_PORT(_.*)?$/.test(name) && /^(tcp|udp|sctp):\/\//.test(value ?? '')) ||
    /_PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?$/.test(name)
  );
}

/** `NAME=` in a compose file means "not set". */
function withoutEmpty(env: Readonly<Record<string, string | undefined>>): Record<string, string> {
  return Object.fromEntries(Object.entries(env).filter((entry): entry is [string, string] => !!entry[1]?.trim()));
}

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host);
}
