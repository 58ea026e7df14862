import { afterEach, describe, expect, it } from '@jest/globals';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { createServer as createTlsServer, type TlsOptions } from 'node:tls';
import { Agent } from 'undici';
import { TEST_TLS } from '../../test/support/mcp-tls.js';
import { toUpstreamError } from './network-errors.js';
import { UpstreamError } from './upstream.errors.js';

/** Signed by nobody else, for 127.0.0.1, valid for 100 years; for tests only. */
const SELF_SIGNED = {
  cert: `-----BEGIN CERTIFICATE-----
MIIBkDCCATagAwIBAgIUKjfcm0U5cmuUaHOySUuTAYdYKxkwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJc2VsZi50ZXN0MCAXDTI2MTEyMTEwMzc1OVoYDzIxMjYxMDI4
MTAzNzU5WjAUMRIwEAYDVQQDDAlzZWxmLnRlc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAATVKyNcGVmZp+7FVrBMKDIfPKxHIto/ltPlJ3pl/kX6uW1pzCgaEftc
phjBp87pxblHLfx1MeZrGjVg26U+AiIEo2QwYjAdBgNVHQ4EFgQUddz3+l2zcd9t
UPzYE8qFjQodYF0wHwYDVR0jBBgwFoAUddz3+l2zcd9tUPzYE8qFjQodYF0wDwYD
VR0TAQH/BAUwAwEB/zAPBgNVHREECDAGhwR/AAABMAoGCCqGSM49BAMCA0gAMEUC
IQDDRBi0VTTbwJEGmXcVhMfVatSbHF4Y1UsYTgFm7ZSRygIgdQq0YJH04sQ8ULcc
OW3cYQNjJl7MjBhpFl0vb62QOKs=
-----END CERTIFICATE-----
`,
  key: `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgZ3V/GtbnHXCObjLS
v73pfigW09WiOM1IG/K+GGBGYhuhRANCAATVKyNcGVmZp+7FVrBMKDIfPKxHIto/
ltPlJ3pl/kX6uW1pzCgaEftcphjBp87pxblHLfx1MeZrGjVg26U+AiIE
-----END PRIVATE KEY-----
`,
};

const cleanUps: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

/** @returns the port */
async function listening(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  cleanUps.push(() => server.close());
  return (server.address() as AddressInfo).port;
}

const tlsServer = (options: TlsOptions): Promise<number> =>
  listening(
    createTlsServer(options, (socket) => socket.on('error', () => undefined).end()).on('tlsClientError', ignore),
  );
const ignore = (): void => undefined;

async function freePort(): Promise<number> {
  const server = createServer();
  const port = await listening(server);
  server.close();
  await once(server, 'close');
  return port;
}

/** A POST that fails, as the connectors send it. */
async function failureAt(url: string, connect: Record<string, unknown> = {}): Promise<unknown> {
  const agent = new Agent({ connect: { timeout: 5_000, ...connect } });
  cleanUps.push(() => agent.destroy());
  const { origin, pathname } = new URL(url);
  return agent.request({ origin, path: pathname, method: 'POST', body: '{}' }).then(
    () => new Error('there was an answer'),
    (error: unknown) => error,
  );
}

const asError = (error: unknown, execution: 'none' | 'unknown' = 'unknown', url = 'https://files.example/mcp') =>
  toUpstreamError(error, { gateway: 'files', url, execution });

describe('what goes wrong on real sockets (G-2)', () => {
  it('a port where nobody listens: refused, surely not executed, whatever the caller believed', async () => {
    const error = asError(await failureAt(`http://127.0.0.1:${await freePort()}/mcp`));
    expect(error).toMatchObject({ code: 'UPSTREAM_UNAVAILABLE', reason: 'refused', execution: 'none' });
    expect(error.data).toMatchObject({ reason: 'refused', retryable: true, gateway: 'files' });
    expect(error.message).toMatch(/^files: https:\/\/files\.example\/mcp refuses connections; .*\(ECONNREFUSED\)$/);
  });

  it('both addresses of a name refuse (happy eyeballs): refused', async () => {
    const url = `http://localhost:${await freePort()}/mcp`;
    expect(asError(await failureAt(url, { autoSelectFamily: true }))).toMatchObject({ reason: 'refused' });
  });

  it('a name that cannot be resolved: dns', async () => {
    const error = asError(await failureAt('http://no-such-host.invalid/mcp'));
    expect(error).toMatchObject({ code: 'UPSTREAM_UNAVAILABLE', reason: 'dns', execution: 'none' });
  });

  it.each<[string, TlsOptions, Record<string, unknown>, string]>([
    ['a self-signed certificate', SELF_SIGNED, {}, 'DEPTH_ZERO_SELF_SIGNED_CERT'],
    ['an unknown authority', TEST_TLS, { servername: 'mcp.test' }, 'SELF_SIGNED_CERT_IN_CHAIN'],
    ['a certificate for another name', TEST_TLS, { ca: TEST_TLS.ca }, 'ERR_TLS_CERT_ALTNAME_INVALID'],
    ['a server without certificate', {}, {}, 'ERR_SSL_'],
  ])('S-4: %s: tls, surely not executed', async (_what, options, connect, code) => {
    const error = asError(await failureAt(`https://127.0.0.1:${await tlsServer(options)}/mcp`, connect));
    expect(error).toMatchObject({ code: 'UPSTREAM_UNAVAILABLE', reason: 'tls', execution: 'none' });
    expect(error.message).toContain(code);
    expect(error.message).toContain("see the gateway's tls.ca");
  });

  it('S-4: https to a server that speaks plain HTTP: tls', async () => {
    const plain = createServer((socket) => socket.on('error', ignore).end('HTTP/1.1 400 Bad Request\r\n\r\n'));
    const error = asError(await failureAt(`https://127.0.0.1:${await listening(plain)}/mcp`), 'none');
    expect(error).toMatchObject({ reason: 'tls', execution: 'none' });
  });

  it('a server that never finishes the TLS handshake: timeout, surely not executed', async () => {
    const silent = createServer((socket) => void socket.on('error', ignore).resume());
    const port = await listening(silent);
    const error = asError(await failureAt(`https://127.0.0.1:${port}/mcp`, { timeout: 50 }));
    expect(error).toMatchObject({ code: 'UPSTREAM_TIMEOUT', reason: 'timeout', execution: 'none' });
  });

  it('a server that speaks no HTTP: not-mcp', async () => {
    const ssh = createServer((socket) => socket.on('error', ignore).write('SSH-2.0-OpenSSH_9.2\r\n'));
    const error = asError(await failureAt(`http://127.0.0.1:${await listening(ssh)}/mcp`));
    expect(error).toMatchObject({ code: 'UPSTREAM_NOT_MCP', reason: 'not-mcp' });
    expect(error.message).toContain('does not speak HTTP');
  });

  it.each<[string, 'destroy' | 'resetAndDestroy']>([
    ['ends', 'destroy'],
    ['resets', 'resetAndDestroy'],
  ])('P-9: a server that %s the connection after it has read the request may have executed it', async (_how, end) => {
    const dying = createServer((socket) => void socket.on('error', ignore).once('data', () => socket[end]()));
    const failure = await failureAt(`http://127.0.0.1:${await listening(dying)}/mcp`);
    const error = asError(failure);
    expect(error).toMatchObject({ code: 'UPSTREAM_INTERRUPTED', reason: 'network', execution: 'unknown' });
    expect(error.data.retryable).toBe(false);
    expect(asError(failure, 'none')).toMatchObject({ code: 'UPSTREAM_UNAVAILABLE', execution: 'none' });
  });
});

describe('toUpstreamError', () => {
  const coded = (code: string, message = code): Error => Object.assign(new Error(message), { code });

  it('passes its own kind on', () => {
    const error = new UpstreamError('UPSTREAM_TIMEOUT', 'm', { execution: 'none' });
    expect(asError(error)).toBe(error);
  });

  it('looks for the innermost code, through causes and groups, and not for ever', () => {
    const inner = new AggregateError([coded('ENOTFOUND'), coded('ECONNREFUSED')]);
    expect(asError(new TypeError('fetch failed', { cause: new Error('x', { cause: inner }) })).reason).toBe('dns');
    const ring: Error & { cause?: unknown } = new Error('ring');
    ring.cause = ring;
    expect(asError(ring)).toMatchObject({ reason: 'network', cause: ring });
  });

  // Linux gives a dead peer of a living connection as EHOSTUNREACH on read, long after the request was written.
  it.each(['read EHOSTUNREACH', 'read ENETUNREACH', 'write EHOSTUNREACH'])(
    'P-9: "%s" on an open connection: may have been executed',
    (message) => {
      const error = asError(coded(message.split(' ')[1] as string, message), 'unknown');
      expect(error).toMatchObject({ execution: 'unknown', code: 'UPSTREAM_INTERRUPTED' });
    },
  );

  it.each([
    ['CERT_HAS_EXPIRED', 'tls'],
    ['SELF_SIGNED_CERT_IN_CHAIN', 'tls'],
    ['ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED', 'tls'],
    ['EAI_AGAIN', 'dns'],
    ['ETIMEDOUT', 'timeout'],
    ['UND_ERR_CONNECT_TIMEOUT', 'timeout'],
    ['HPE_HEADER_OVERFLOW', 'not-mcp'],
    ['EPIPE', 'network'],
  ])('%s is %s', (code, reason) => {
    expect(asError(coded(code)).reason).toBe(reason);
  });

  it.each([undefined, null, 'text', 7, {}, new DOMException('late', 'TimeoutError')])(
    'makes a network error of %p',
    (thrown) => {
      expect(asError(thrown)).toMatchObject({ reason: 'network', code: 'UPSTREAM_INTERRUPTED' });
    },
  );

  it('S-4: tells neither password nor query', () => {
    const error = asError(coded('ECONNRESET'), 'none', 'https://me:pass@files.example/mcp?api_key=abc');
    expect(error.message).toBe('files: the connection to https://me:***@files.example/mcp?*** broke (ECONNRESET)');
    expect(asError(coded('ECONNRESET'), 'none', 'no url, key=abc').message).not.toContain('abc');
  });
});
