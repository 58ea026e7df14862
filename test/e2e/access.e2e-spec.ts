import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type McpTestServer, startMcpServer } from '../support/mcp-server.js';
import { type Replica, startReplica } from '../support/replica.js';
import { initialize, post, register, request, type RpcAnswer, send } from '../support/rpc.js';
import { createDatabase, type TestDatabase } from '../support/services.js';
import { bearer, TEST_JWT_SECRET } from '../support/tokens.js';

let database: TestDatabase;
let server: McpTestServer;
let replica: Replica;
let mcp: string;
let rpc: string;

beforeAll(async () => {
  database = await createDatabase();
  server = await startMcpServer();
  replica = await startReplica({ DATABASE_URL: database.url, AUTH_MODE: 'jwt', JWT_SECRET: TEST_JWT_SECRET });
  mcp = `${replica.url}/mcp`;
  rpc = `${replica.url}/rpc`;
  const admin = await bearer('root', { scope: 'admin' });
  const auth = { type: 'bearer', token: 'the-servers-own-token' };
  await register(replica.url, { name: 'Demo', url: server.mcpUrl, auth }, admin);
});

afterAll(async () => {
  await replica.close();
  await server.close();
  await database.drop();
});

async function whoami(headers: Record<string, string>): Promise<{ session: string; authorization: string }> {
  const answer = await post(rpc, request('tools/call', { name: 'demo-whoami', arguments: {} }), headers);
  const { text } = (answer.json.result as { content: [{ text: string }] }).content[0];
  const seen = JSON.parse(text) as { sessionId?: string; session?: string; authorization: string };
  return { session: String(seen.sessionId ?? seen.session), authorization: seen.authorization };
}

function refusal(answer: RpcAnswer): unknown[] {
  return [answer.status, answer.json.error?.data?.['code'], answer.headers.get('www-authenticate')?.slice(0, 6)];
}

describe('who calls (S-1)', () => {
  it('T1, T9: without a token every method is 401 with a challenge', async () => {
    const own = await initialize(replica.url, await bearer('ann'));
    const { authorization: _, ...withoutToken } = own;
    const answers = [
      await post(mcp, request('initialize', { protocolVersion: '2025-11-25' })),
      await post(mcp, request('ping'), withoutToken),
      await send('DELETE', mcp, withoutToken),
      await post(rpc, request('tools/list')),
    ];
    for (const answer of answers) expect(refusal(answer)).toEqual([401, 'UNAUTHORIZED', 'Bearer']);
  });

  it('T10: garbage and a foreign signature are 401 invalid_token', async () => {
    const [head, body] = (await bearer('ann')).authorization.split('.');
    for (const authorization of ['Bearer x.y.z', `${head}.${body}.AAAA`]) {
      const answer = await post(rpc, request('ping'), { authorization });
      expect(answer.status).toBe(401);
      expect(answer.headers.get('www-authenticate')).toContain('error="invalid_token"');
    }
  });

  it('T16: a token without the scope is 403 insufficient_scope', async () => {
    const answer = await post(rpc, request('ping'), await bearer('ann', { scope: 'gateways:read' }));
    expect(answer.status).toBe(403);
    expect(answer.headers.get('www-authenticate')).toContain('insufficient_scope');
  });

  it('REST asks for its own scopes', async () => {
    const [user, reader] = [await bearer('ann'), await bearer('bob', { scope: 'gateways:read' })];
    expect((await send('GET', `${replica.url}/gateways`)).status).toBe(401);
    expect((await send('GET', `${replica.url}/gateways`, user)).status).toBe(403);
    expect((await send('GET', `${replica.url}/gateways`, reader)).status).toBe(200);
    expect((await post(`${replica.url}/gateways`, {}, reader)).status).toBe(403);
  });
});

describe('whose session (S-3, P-1 to P-3)', () => {
  it("T15: another user's session does not exist; neither does one of another tenant or issuer", async () => {
    const own = await initialize(replica.url, await bearer('ann', { tenant: 'a', issuer: 'i' }));
    for (const claims of [
      { sub: 'bob', tenant: 'a', issuer: 'i' },
      { sub: 'ann', tenant: 'b', issuer: 'i' },
      { sub: 'ann', tenant: 'a', issuer: 'j' },
    ]) {
      const foreign = { ...own, ...(await bearer(claims.sub, claims)) };
      expect((await post(mcp, request('ping'), foreign)).status).toBe(404);
      expect((await send('DELETE', mcp, foreign)).status).toBe(404);
    }
    const rotated = { ...own, ...(await bearer('ann', { tenant: 'a', issuer: 'i' })) };
    expect((await post(mcp, request('ping'), rotated)).status).toBe(200);
  });

  it('two tokens of one user share a pooled upstream session, another user never does', async () => {
    const first = await whoami(await bearer('carl'));
    expect((await whoami(await bearer('carl'))).session).toBe(first.session);
    expect((await whoami(await bearer('dora'))).session).not.toBe(first.session);
    expect((await whoami(await bearer('carl', { tenant: 'other' }))).session).not.toBe(first.session);
  });
});

describe('where credentials end (P-16, taste 3)', () => {
  it("the server sees its own credential, never the client's", async () => {
    expect((await whoami(await bearer('ann'))).authorization).toBe('Bearer the-servers-own-token');
  });

  it('no log line holds a token or a credential', async () => {
    const { authorization } = await bearer('eve');
    await post(rpc, request('ping'), { authorization });
    await post(rpc, request('ping'), { authorization: `${authorization}x` });
    await send('GET', `${replica.url}/gateways`, { authorization, cookie: 'sid=cookie-secret' });
    const log = JSON.stringify(replica.logLines);
    expect(log.length).toBeGreaterThan(100);
    for (const secret of [authorization.slice(7), 'the-servers-own-token', TEST_JWT_SECRET, 'cookie-secret']) {
      expect(log).not.toContain(secret);
    }
  });
});
