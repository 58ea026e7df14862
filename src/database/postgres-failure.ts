import { maskUrl } from '../common/mask-url.js';
import { StartupError } from '../common/startup-error.js';
import { oneLine } from './one-line.js';

/** What Postgres (SQLSTATE) and the system (errno) say when a connection cannot be made. */
const REASONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens there (connection refused)',
  ECONNRESET: 'the connection was cut',
  ENOTFOUND: 'the host name is unknown',
  EAI_AGAIN: 'the host name could not be resolved for now',
  EHOSTUNREACH: 'the host cannot be reached',
  ENETUNREACH: 'the network cannot be reached',
  ETIMEDOUT: 'the host did not answer in time',
  '28P01': 'user name or password are wrong',
  '28000': 'the server does not let this user in',
  '3D000': 'the database does not exist; create it first',
  '42501': 'this user lacks a right that is needed there',
  '53300': 'the server has no connection left',
  '57P03': 'the server is starting or stopping; try again',
  '55P03': 'another process has held the lock for migrations for too long; is one stuck?',
};

/**
 * Why the database at `url` cannot be used, in one line that names DATABASE_URL and never shows its password.
 *
 * @param doing what failed, as in "cannot connect"
 * @param error whatever pg, TypeORM or the system threw
 */
export function postgresFailure(doing: string, url: string, error: unknown): StartupError {
  const reason = withoutPassword(reasonOf(error), url);
  return new StartupError(`${doing}: ${reason}; see to DATABASE_URL (${maskUrl(url)})`, { cause: error });
}

function reasonOf(error: unknown): string {
  const code = codeOf(error);
  const message = oneLine(error);
  if (/timeout/i.test(message) && /connect|expired/i.test(message)) return 'the server did not answer in time';
  const known = code === undefined ? undefined : REASONS[code];
  if (known === undefined) return message;
  // The server's own sentence has the names of the user and the database.
  return message === code ? known : `${known} (${message})`;
}

function codeOf(error: unknown): string | undefined {
  const { code, errors } = (error ?? {}) as { code?: unknown; errors?: unknown };
  if (typeof code === 'string') return code;
  return Array.isArray(errors) ? errors.map(codeOf).find((inner) => inner !== undefined) : undefined;
}

/** No message is known to have it; this is for the one that we do not know. */
function withoutPassword(text: string, url: string): string {
  const password = /^[^:]*:\/\/[^:@/]*:(.*)@/.exec(url)?.[1] ?? ''; // also out of what is no URL
  const forms = [password, decoded(password)].filter((form) => form.length > 2);
  return forms.reduce((result, form) => result.replaceAll(form, '***'), text);
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
