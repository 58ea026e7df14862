import { types } from 'node:util';
import { type LoggerService } from '@nestjs/common';
import { type Logger, pino } from 'pino';
import { StartupError } from '../common/startup-error.js';
import { type Settings } from '../config/settings.js';

export type Log = Logger;

/** Injection token of the process's `Log`. */
export const LOG = Symbol('LOG');

/** Names of members that may hold a credential, in any case and at any depth. The last line of defence, not the first. */
const SECRET = /^(authorization|cookie|set-cookie|x-api-key|jwt)$|(password|secret|token|api_?key|encryption_key)$/i;
const MAX_DEPTH = 6;

/** JSON lines on standard output, with the replica's id, secrets cut out (not those given to `child()`: give none). */
export function createLog(
  settings: Pick<Settings, 'LOG_LEVEL' | 'REPLICA_ID'>,
  destination?: { write(line: string): void },
): Log {
  return pino(
    {
      level: settings.LOG_LEVEL,
      base: { replica: settings.REPLICA_ID },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: {
        level: (label) => ({ level: label }),
        log: (fields) => redact(fields, 0) as Record<string, unknown>,
      },
      serializers: { err: (error: unknown) => error }, // `redact` has taken it apart
    },
    destination ?? pino.destination({ fd: 1, sync: false }),
  );
}

/** Nest's own log lines, and those of its `Logger`, as lines of the same log. */
export class NestLog implements LoggerService {
  constructor(private readonly target: Log) {}

  log(message: unknown, ...rest: unknown[]): void {
    this.write('info', message, rest);
  }

  error(message: unknown, ...rest: unknown[]): void {
    this.write('error', message, rest);
  }

  warn(message: unknown, ...rest: unknown[]): void {
    this.write('warn', message, rest);
  }

  debug(message: unknown, ...rest: unknown[]): void {
    this.write('debug', message, rest);
  }

  verbose(message: unknown, ...rest: unknown[]): void {
    this.write('trace', message, rest);
  }

  fatal(message: unknown, ...rest: unknown[]): void {
    this.write('fatal', message, rest);
  }

  /** Nest puts the context last; `error` puts a stack before it. */
  private write(level: Level, message: unknown, rest: unknown[]): void {
    const fields: Record<string, unknown> = {};
    const others = [...rest];
    if (typeof others.at(-1) === 'string') fields.context = others.pop();
    if (level === 'error' && typeof others[0] === 'string') fields.stack = others.shift();
    const error = [message, ...others].find((one) => one instanceof Error);
    // The start prints its own one line for these; and what Nest tells of its wiring is for developers.
    if (error instanceof StartupError || WIRING.has(String(fields.context)))
      return this.target.debug(fields, String(message));
    if (error) fields.err = error;
    const data = others.filter((one) => one !== error);
    if (data.length > 0) fields.data = data;
    if (typeof message !== 'string' && message !== error) fields.message = message;
    this.target[level](fields, typeof message === 'string' ? message : error ? error.message : 'message');
  }
}

const WIRING = new Set(['NestFactory', 'InstanceLoader', 'RoutesResolver', 'RouterExplorer', 'NestApplication']);

type Level = 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace';

/** A copy with secrets cut out, of errors too; other instances stay what they are. */
function redact(value: unknown, depth: number): unknown {
  if (Array.isArray(value)) return depth < MAX_DEPTH ? value.map((one) => redact(one, depth + 1)) : '…';
  if (types.isNativeError(value)) return redact({ ...pino.stdSerializers.err(value) }, depth);
  if (!isPlain(value)) return value;
  if (depth >= MAX_DEPTH) return '…';
  return Object.fromEntries(
    Object.entries(value).map(([name, member]) => [
      name,
      SECRET.test(name) && member !== undefined && member !== null ? '***' : redact(member, depth + 1),
    ]),
  );
}

function isPlain(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || (prototype as { constructor?: { name?: string } }).constructor?.name === 'Object';
}
