import { StartupError } from '../common/startup-error.js';
import { expandEnv } from './expand-env.js';

type Members = Readonly<Record<string, unknown>>;

/** What `POST /gateways` is to be sent; what the file does not say is left out. */
export interface ImportedGateway {
  readonly name: string;
  readonly url: string;
  readonly transport?: 'streamablehttp' | 'sse';
  readonly enabled?: boolean;
  readonly auth?:
    | { readonly type: 'bearer'; readonly token: string }
    | { readonly type: 'headers'; readonly headers: Readonly<Record<string, string>> };
}

/** One entry of the file. */
export type FileEntry =
  | {
      readonly kind: 'gateway';
      readonly name: string;
      readonly gateway: ImportedGateway;
      readonly ignored: readonly string[];
    }
  | { readonly kind: 'skipped'; readonly name: string; readonly why: string }
  | { readonly kind: 'invalid'; readonly name: string; readonly problems: readonly string[] };

const BRIDGE =
  'it is a local command (stdio), and a gateway starts no programs; put a stdio-to-HTTP bridge in front of it ' +
  '(such as supergateway or mcp-proxy) and import its url';
const TRANSPORTS: Readonly<Record<string, 'streamablehttp' | 'sse'>> = {
  http: 'streamablehttp',
  'streamable-http': 'streamablehttp',
  streamable_http: 'streamablehttp',
  streamablehttp: 'streamablehttp',
  sse: 'sse',
};
/** Members with a meaning here; `serverUrl` and `httpUrl` are what two clients call the URL. */
const KNOWN = ['url', 'serverUrl', 'httpUrl', 'type', 'transport', 'headers', 'disabled', 'enabled'];

/**
 * The entries of an `mcpServers` file (SPEC G-11), in its order.
 *
 * @param env what `${NAME}` is taken from
 * @throws StartupError when it is no such file at all
 */
export function readMcpServers(text: string, env: Readonly<Record<string, string | undefined>>): FileEntry[] {
  let file: unknown;
  try {
    file = JSON.parse(text);
  } catch (error) {
    throw new StartupError(`the file is not JSON: ${(error as Error).message}`);
  }
  const servers = isMembers(file) ? (file['mcpServers'] ?? file['servers']) : undefined;
  if (!isMembers(servers)) throw new StartupError('the file has no object "mcpServers"');
  return Object.entries(servers).map(([name, entry]) => readEntry(name, entry, env));
}

function readEntry(name: string, entry: unknown, env: Readonly<Record<string, string | undefined>>): FileEntry {
  if (!isMembers(entry)) return { kind: 'invalid', name, problems: ['must be an object'] };
  const given = entry['url'] ?? entry['serverUrl'] ?? entry['httpUrl'];
  if (given === undefined && (entry['command'] !== undefined || entry['type'] === 'stdio')) {
    return { kind: 'skipped', name, why: BRIDGE };
  }
  const problems: string[] = [];
  const url = typeof given === 'string' ? expandEnv(given, env, problems) : '';
  if (typeof given !== 'string') problems.push('url is missing');
  const gateway: ImportedGateway = {
    ...{ name, url },
    ...transportOf(entry, problems),
    ...enabledOf(entry),
    ...authOf(entry['headers'], env, problems),
  };
  if (problems.length > 0) return { kind: 'invalid', name, problems: [...new Set(problems)] };
  return { kind: 'gateway', name, gateway, ignored: Object.keys(entry).filter((member) => !KNOWN.includes(member)) };
}

function transportOf(entry: Members, problems: string[]): Pick<ImportedGateway, 'transport'> {
  const given = entry['type'] ?? entry['transport'] ?? (entry['httpUrl'] === undefined ? undefined : 'http');
  if (given === undefined) return {};
  const transport = typeof given === 'string' ? TRANSPORTS[given.toLowerCase()] : undefined;
  if (transport) return { transport };
  problems.push(`type ${JSON.stringify(given)} is none of http, streamable-http, sse`);
  return {};
}

function enabledOf({ disabled, enabled }: Members): Pick<ImportedGateway, 'enabled'> {
  if (typeof disabled === 'boolean') return { enabled: !disabled };
  return typeof enabled === 'boolean' ? { enabled } : {};
}

function authOf(
  given: unknown,
  env: Readonly<Record<string, string | undefined>>,
  problems: string[],
): Pick<ImportedGateway, 'auth'> {
  if (given === undefined) return {};
  if (!isMembers(given)) {
    problems.push('headers must be an object');
    return {};
  }
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(given)) {
    if (typeof value === 'string') headers[name] = expandEnv(value, env, problems);
    else problems.push(`headers.${name} must be text`);
  }
  const entries = Object.entries(headers);
  const [[name, value] = ['', ''], second] = entries;
  const token = /^Bearer +(\S+)$/i.exec(value)?.[1];
  if (!second && name.toLowerCase() === 'authorization' && token !== undefined) {
    return { auth: { type: 'bearer', token } };
  }
  return entries.length === 0 ? {} : { auth: { type: 'headers', headers } };
}

function isMembers(value: unknown): value is Members {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
