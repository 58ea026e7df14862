import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import 'reflect-metadata';
import { type ServerResponse } from 'node:http';
import { type AddressInfo } from 'node:net';
import {
  type ArgumentsHost,
  Catch,
  Controller,
  type ExceptionFilter,
  Get,
  type INestApplication,
  Module,
  Req,
} from '@nestjs/common';
import { APP_FILTER, NestFactory } from '@nestjs/core';
import { SignJWT } from 'jose';
import { CodedError } from '../common/errors.js';
import { type Caller, type Principal, sha256Hex } from '../common/principal.js';
import { SettingsModule } from '../config/config.module.js';
import { loadSettings } from '../config/settings.js';
import { type AdmittedRequest, CurrentCaller, CurrentPrincipal, Public, RequireScope } from './access.decorators.js';
import { AuthError, challenge } from './auth.errors.js';
import { AuthModule } from './auth.module.js';

const SECRET = 'a shared secret of more than 32 characters';

/** What a route behind the guard can still see. */
const seenBy = ({ headers, rawHeaders, headersDistinct }: AdmittedRequest) => ({
  headers,
  rawHeaders,
  headersDistinct,
});

@Controller()
class PlainController {
  @Get('plain')
  plain(
    @CurrentPrincipal() principal: Principal | undefined,
    @CurrentCaller() caller: Caller,
    @Req() request: AdmittedRequest,
  ) {
    return { principal, caller, ...seenBy(request) };
  }

  @Public()
  @Get('open')
  open(@CurrentPrincipal() principal: Principal | undefined, @Req() request: AdmittedRequest) {
    return { principal, ...seenBy(request) };
  }
}

@RequireScope('gateways:read')
@Controller('gateways')
class GatewaysController {
  @Get()
  list() {
    return { ok: true };
  }

  @RequireScope('gateways:write')
  @Get('change')
  change() {
    return { ok: true };
  }
}

@Public()
@Controller('public')
class PublicController {
  @Get()
  open() {
    return { ok: true };
  }

  @RequireScope('mcp:use')
  @Get('closed')
  closed() {
    return { ok: true };
  }
}

@Catch(CodedError)
class CodedErrorFilter implements ExceptionFilter<CodedError> {
  catch(error: CodedError, host: ArgumentsHost): void {
    const http = host.switchToHttp();
    const response = http.getResponse<ServerResponse>();
    if (error instanceof AuthError) response.setHeader('WWW-Authenticate', challenge(error));
    response.statusCode = error.row.http;
    const seen = seenBy(http.getRequest<AdmittedRequest>());
    response.end(JSON.stringify({ message: error.message, ...error.data, seen }));
  }
}

interface Body {
  readonly principal?: Principal;
  readonly caller: Caller;
  readonly code?: string;
}

const bodyOf = async (response: Response) => (await response.json()) as Body;

async function appWith(env: Record<string, string>): Promise<{ app: INestApplication; url: string }> {
  @Module({
    imports: [SettingsModule.forRoot(loadSettings(env)), AuthModule],
    controllers: [PlainController, GatewaysController, PublicController],
    providers: [{ provide: APP_FILTER, useClass: CodedErrorFilter }],
  })
  class SmallModule {}

  const app = await NestFactory.create(SmallModule, { logger: false });
  await app.listen(0, '127.0.0.1');
  const { port } = (app.getHttpServer() as { address(): AddressInfo }).address();
  return { app, url: `http://127.0.0.1:${port}` };
}

async function bearer(scope: string): Promise<string> {
  const token = new SignJWT({ sub: 'alice', scope, tenant_id: 't1' })
    .setProtectedHeader({ alg: 'HS256' })
    .setIssuer('https://idp')
    .setAudience('gateway')
    .setExpirationTime('1h');
  return `Bearer ${await token.sign(Buffer.from(SECRET))}`;
}

describe('the guard in mode jwt (S-1, S-2)', () => {
  let app: INestApplication;
  let url: string;
  const get = async (path: string, headers: Record<string, string> = {}) => {
    const response = await fetch(url + path, { headers });
    return {
      status: response.status,
      challenge: response.headers.get('www-authenticate'),
      body: await bodyOf(response),
    };
  };

  beforeAll(async () => {
    ({ app, url } = await appWith({
      AUTH_MODE: 'jwt',
      JWT_SECRET: SECRET,
      JWT_ISSUER: 'https://idp',
      JWT_AUDIENCE: 'gateway',
    }));
  });

  afterAll(() => app.close());

  it('puts principal and caller on the request', async () => {
    const { status, body } = await get('/plain', { authorization: await bearer('admin') });
    expect(status).toBe(200);
    expect(body.principal).toEqual({ subject: 'alice', tenant: 't1', issuer: 'https://idp', scopes: ['admin'] });
    expect(body.caller).toMatchObject({ userIdentity: sha256Hex('alice'), passthrough: {} });
  });

  it('nothing behind it sees a token or a cookie, admitted, refused or public', async () => {
    const good = await bearer('mcp:use admin');
    const weak = await bearer('mcp:use');
    const bad = `${weak}x`;
    for (const [path, authorization, status] of [
      ['/plain', good, 200],
      ['/plain', weak, 403],
      ['/plain', bad, 401],
      ['/open', weak, 200],
    ] as const) {
      const answer = await get(path, { authorization, cookie: 'sid=crumbs', 'x-other': 'stays' });
      expect(answer.status).toBe(status);
      const text = JSON.stringify(answer.body);
      for (const part of [...authorization.split('.'), 'crumbs']) expect(text).not.toContain(part);
      expect(text).toContain('stays');
    }
  });

  it('a route that says nothing asks for admin', async () => {
    for (const scope of ['', 'mcp:use', 'gateways:write']) {
      const refused = await get('/plain', { authorization: await bearer(scope) });
      expect(refused).toMatchObject({ status: 403, challenge: 'Bearer error="insufficient_scope", scope="admin"' });
    }
  });

  it('what stands at the method wins over what stands at the class', async () => {
    const [read, write, use] = await Promise.all(['gateways:read', 'gateways:write', 'mcp:use'].map(bearer));
    const table: [string, string | undefined, number][] = [
      ['/gateways', read, 200],
      ['/gateways', write, 200],
      ['/gateways', use, 403],
      ['/gateways/change', read, 403],
      ['/gateways/change', write, 200],
      ['/public', undefined, 200],
      ['/public/closed', undefined, 401],
      ['/public/closed', read, 403],
      ['/public/closed', use, 200],
    ];
    for (const [path, authorization, status] of table) {
      const answer = await get(path, authorization ? { authorization } : {});
      expect([path, answer.status]).toEqual([path, status]);
    }
  });

  it('says how to come in, and what is wrong with a token', async () => {
    const without = await get('/plain');
    expect(without).toMatchObject({ status: 401, challenge: 'Bearer', body: { code: 'UNAUTHORIZED' } });
    const bad = await get('/plain', { authorization: 'Bearer rubbish' });
    expect(bad.status).toBe(401);
    expect(bad.challenge).toMatch(/^Bearer error="invalid_token", error_description="the token is malformed/);
    expect((await get('/plain', { authorization: 'Basic dTpw' })).challenge).toBe('Bearer');
  });

  it('looks at no token on a public route', async () => {
    expect(await get('/open', { authorization: 'Bearer rubbish' })).toMatchObject({ status: 200 });
    expect((await get('/open', { authorization: await bearer('admin') })).body.principal).toBeUndefined();
  });
});

describe('the guard in mode none (S-1)', () => {
  it('opens every route; the caller still has the identity of its headers', async () => {
    const { app, url } = await appWith({ AUTH_MODE: 'none' });
    try {
      const body = async (headers: Record<string, string>) => bodyOf(await fetch(`${url}/plain`, { headers }));
      expect((await body({})).caller).toMatchObject({ userIdentity: 'anonymous', identityHash: 'anonymous' });
      const named = await body({ authorization: 'Bearer whatever' });
      expect(named.principal).toBeUndefined();
      expect(named.caller.identityHash).toBe(sha256Hex('["authorization:Bearer whatever"]'));
      expect(JSON.stringify(named)).not.toContain('whatever');
    } finally {
      await app.close();
    }
  });
});
