import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { once } from 'node:events';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { openDatabase } from './open-database.js';
import { postgresFailure } from './postgres-failure.js';

const PASSWORD = 'hunter%402-s3cret';

let server: string;
beforeAll(() => {
  server = process.env['TEST_DATABASE_URL'] ?? '';
});

function withPassword(url: string, changes: { host?: string; database?: string; user?: string } = {}): string {
  const changed = new URL(url);
  changed.password = PASSWORD;
  if (changes.host) changed.host = changes.host;
  if (changes.database) changed.pathname = `/${changes.database}`;
  if (changes.user) changed.username = changes.user;
  return changed.toString();
}

async function failureOf(url: string, connectTimeoutMs = 3_000): Promise<Error> {
  const options = { url, dataDir: tmpdir(), poolSize: 1, connectTimeoutMs, entities: [], migrations: [] };
  const failure = await openDatabase(options).then(
    () => new Error('it came up'),
    (error: Error) => error,
  );
  expect(failure.name).toBe('StartupError');
  expect(failure.message).toMatch(/^cannot connect to Postgres: [^\n]+; see to DATABASE_URL \([^\n]+\)$/);
  expect(failure.message).not.toMatch(/hunter|s3cret/);
  return failure;
}

describe('a DATABASE_URL that does not work ends in one line without its password (shown by 4)', () => {
  const open: { server: Server; sockets: Socket[] }[] = [];
  afterAll(() => {
    for (const { server: listening, sockets } of open) {
      for (const socket of sockets) socket.destroy();
      listening.close();
    }
  });

  /** A server that is no Postgres. */
  async function impostor(onConnection: (socket: Socket) => void): Promise<string> {
    const sockets: Socket[] = [];
    const listening = createServer((socket) => {
      sockets.push(socket);
      socket.on('error', () => undefined);
      onConnection(socket);
    });
    open.push({ server: listening, sockets });
    listening.listen(0, '127.0.0.1');
    await once(listening, 'listening');
    return `127.0.0.1:${(listening.address() as AddressInfo).port}`;
  }

  it('refused', async () => {
    const failure = await failureOf(withPassword(server, { host: '127.0.0.1:1' }));
    expect(failure.message).toMatch(/nothing listens there .*:\*\*\*@127\.0\.0\.1:1/);
  });

  it('refused on every address of the name', async () => {
    expect((await failureOf(withPassword(server, { host: 'localhost:1' }))).message).toContain('nothing listens there');
  });

  it('unknown host', async () => {
    const failure = await failureOf(withPassword(server, { host: 'no-such-host.invalid:5432' }));
    expect(failure.message).toMatch(/host name (is unknown|could not be resolved)/);
  });

  it('a server that does not answer, within connectTimeoutMs', async () => {
    const host = await impostor(() => undefined);
    const began = performance.now();
    const failure = await failureOf(withPassword(server, { host }), 300);
    expect(performance.now() - began).toBeLessThan(2_000);
    expect(failure.message).toContain('did not answer in time');
  });

  it('a server that hangs up', async () => {
    const host = await impostor((socket) => socket.end());
    expect((await failureOf(withPassword(server, { host }))).message).toMatch(/terminated|cut/);
  });

  it('a server that speaks HTTP, within connectTimeoutMs', async () => {
    const host = await impostor((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'));
    await failureOf(withPassword(server, { host }), 500);
  });

  it('wrong password', async () => {
    const host = await impostor((socket) => socket.on('data', () => socket.end(errorResponse('28P01'))));
    expect((await failureOf(withPassword(server, { host }))).message).toContain('user name or password are wrong');
  });

  it('unknown user', async () => {
    const failure = await failureOf(withPassword(server, { user: 'nobody_at_all' }));
    expect(failure.message).toMatch(/does not let this user in|user name or password are wrong/);
  });

  it('missing database', async () => {
    const failure = await failureOf(withPassword(server, { database: 'no_such_database' }));
    expect(failure.message).toMatch(/the database does not exist; create it first .*"no_such_database"/);
  });

  it('TLS asked of a server without', async () => {
    const host = await impostor((socket) => socket.on('data', () => socket.write('N')));
    const failure = await failureOf(`${withPassword(server, { host })}?sslmode=verify-full`);
    expect(failure.message).toContain('does not support SSL');
  });

  it('a URL that names a certificate that is not there', async () => {
    const failure = await failureOf(`${withPassword(server)}?sslrootcert=/no/such/file`);
    expect(failure.message).toContain('/no/such/file');
  });

  it.each(['postgres://', 'postgres://user:hunter2-s3cret@/db', 'postgres://u:s3cret%ZZ@127.0.0.1:1/x', 'not a URL'])(
    '%s',
    async (url) => {
      await failureOf(url, 500);
    },
  );

  it.each(['db', 'db:no-port'])('cuts the password out of a message that nobody foresaw (%s)', (host) => {
    const url = `postgres://me:top%20secret@${host}/x`;
    const failure = postgresFailure('cannot connect', url, new Error('bad "top secret"\n or top%20secret'));
    expect(failure.message).toMatch(/^cannot connect: bad "\*\*\*" or \*\*\*; see to DATABASE_URL \(/);
    expect(failure.message).not.toContain('secret');
  });
});

/** An ErrorResponse of the wire protocol. */
function errorResponse(code: string): Buffer {
  const fields = Buffer.from(`SFATAL\0C${code}\0Mpassword authentication failed for user "x"\0\0`);
  const head = Buffer.alloc(5);
  head.write('E');
  head.writeInt32BE(4 + fields.length, 1);
  return Buffer.concat([head, fields]);
}
