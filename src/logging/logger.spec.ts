import { describe, expect, it } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { CodedError } from '../common/errors.js';
import { createLog, type Log, NestLog } from './logger.js';

type Line = Record<string, unknown> & { readonly err?: Record<string, unknown> };

function logWith(level: 'info' | 'trace' | 'silent' = 'trace'): { log: Log; lines: () => Line[]; text: () => string } {
  const written: string[] = [];
  const destination = { write: (line: string) => void written.push(line) };
  const log = createLog({ LOG_LEVEL: level, REPLICA_ID: 'host:1' }, destination);
  return {
    log,
    lines: () => written.map((line) => JSON.parse(line) as Line),
    text: () => written.join(''),
  };
}

const NAMES = ['authorization', 'cookie', 'password', 'token', 'secret', 'apiKey', 'x-api-key', 'set-cookie'];

describe('log lines', () => {
  it('are JSON with level, time and the replica, one a line', () => {
    const { log, lines, text } = logWith();
    log.info({ session: 'ab' }, 'line one\nline two');
    expect(text().match(/\n/g)).toHaveLength(1);
    expect(lines()).toEqual([
      {
        level: 'info',
        time: expect.stringMatching(/^\d{4}-.*Z$/),
        replica: 'host:1',
        session: 'ab',
        msg: 'line one\nline two',
      },
    ]);
  });

  it('come from the level on that is set', () => {
    const { log, lines } = logWith('info');
    log.debug('no');
    log.trace('no');
    log.info('yes');
    log.fatal('yes');
    expect(lines().map(({ msg, level }) => [msg, level])).toEqual([
      ['yes', 'info'],
      ['yes', 'fatal'],
    ]);
    const silent = logWith('silent');
    silent.log.fatal('no');
    expect(silent.lines()).toEqual([]);
  });
});

describe('redaction (S-4)', () => {
  it.each(NAMES)('%s is cut out at depth 1 to 4, in lists too', (name) => {
    const { log, text } = logWith();
    const held = { [name]: 's3cr3t' };
    log.info(held, 'one');
    log.info({ a: held }, 'two');
    log.info({ a: { b: held } }, 'three');
    log.info({ a: { b: { c: held } } }, 'four');
    log.info({ list: [held], req: { headers: held }, deep: [[held]] }, 'lists');
    expect(text()).not.toContain('s3cr3t');
    expect(text().match(/\*\*\*/g)).toHaveLength(7);
  });

  it('takes a whole object or list of secrets', () => {
    const { log, text } = logWith();
    log.info({ headers: { cookie: ['a=s3cr3t', 'b=s3cr3t'], authorization: { bearer: 's3cr3t' } } });
    expect(text()).not.toContain('s3cr3t');
  });

  it('reaches into an error and its details', () => {
    const { log, lines, text } = logWith();
    const error = new CodedError('CONFLICT', 'taken', { gateway: 'files', details: { token: 's3cr3t' } });
    log.error({ err: Object.assign(error, { headers: { authorization: 's3cr3t' } }) }, 'failed');
    expect(text()).not.toContain('s3cr3t');
    expect(lines()[0]?.err).toMatchObject({ message: 'taken', code: 'CONFLICT', options: { gateway: 'files' } });
  });

  it('leaves the logged object as it was, and harmless neighbours readable', () => {
    const { log, lines } = logWith();
    const headers = { authorization: 'Bearer x', accept: 'text/html' };
    log.info({ headers, tokens: 3 });
    expect(headers.authorization).toBe('Bearer x');
    expect(lines()[0]).toMatchObject({ headers: { authorization: '***', accept: 'text/html' }, tokens: 3 });
  });

  it('survives what cannot be written as JSON', () => {
    const { log, lines } = logWith();
    const ring: Record<string, unknown> = { name: 'ring' };
    ring.self = ring;
    log.info({ ring, big: 1n, none: undefined, at: Symbol('s') }, 'odd');
    expect(lines()[0]?.msg).toBe('odd');
  });
});

describe("Nest's lines", () => {
  const nest = () => {
    const { log, lines, text } = logWith();
    return { nest: new NestLog(log), lines, text };
  };

  it.each([
    ['log', 'info'],
    ['error', 'error'],
    ['warn', 'warn'],
    ['debug', 'debug'],
    ['verbose', 'trace'],
    ['fatal', 'fatal'],
  ] as const)('%s is %s, with the context', (method, level) => {
    const { nest: target, lines } = nest();
    target[method]('hello', 'Router');
    expect(lines()).toEqual([expect.objectContaining({ level, msg: 'hello', context: 'Router' })]);
  });

  it('an error text with its stack, as Nest hands it over', () => {
    const { nest: target, lines } = nest();
    target.error('broke', 'Error: broke\n    at x.ts:1', 'Handler');
    target.error('broke', undefined, 'Handler');
    expect(lines()[0]).toMatchObject({ msg: 'broke', stack: 'Error: broke\n    at x.ts:1', context: 'Handler' });
    expect(lines()[1]).not.toHaveProperty('stack');
  });

  it('an error itself, with type and stack, once', () => {
    const { nest: target, lines } = nest();
    target.error(new TypeError('broke'), undefined, 'Handler');
    target.error('could not', new TypeError('broke'), 'Handler');
    for (const line of lines()) {
      expect(line).toMatchObject({ context: 'Handler', err: { type: 'TypeError', message: 'broke' } });
      expect(line.err?.stack).toContain('TypeError: broke\n');
      expect(line).not.toHaveProperty('message');
    }
    expect(lines().map(({ msg }) => msg)).toEqual(['broke', 'could not']);
  });

  it.each([[{ a: 1 }], [[1, 2]], [7], [undefined], [null]])('what is no text: %j', (message) => {
    const { nest: target, lines } = nest();
    target.log(message, 'Ctx');
    expect(lines()).toHaveLength(1);
    expect(lines()[0]).toMatchObject({ context: 'Ctx', ...(message === undefined ? {} : { message }) });
  });

  it('S-4: is redacted like every other line', () => {
    const { nest: target, text } = nest();
    target.log({ headers: { authorization: 's3cr3t' } }, 'Ctx');
    target.error(Object.assign(new Error('m'), { config: { headers: { authorization: 's3cr3t' } } }));
    expect(text()).not.toContain('s3cr3t');
  });

  it("works behind Nest's Logger", () => {
    const { nest: target, lines } = nest();
    Logger.overrideLogger(target);
    try {
      new Logger('Mine').error(new Error('broke'));
      new Logger('Mine').log('hi');
    } finally {
      Logger.overrideLogger(false);
    }
    expect(lines().map(({ context, msg }) => [context, msg])).toEqual([
      ['Mine', 'broke'],
      ['Mine', 'hi'],
    ]);
  });
});
