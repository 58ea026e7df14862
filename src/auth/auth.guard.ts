import { type IncomingMessage } from 'node:http';
import { type CanActivate, type ExecutionContext, Injectable } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { type AdmittedRequest, ROUTE_ACCESS, type RouteAccess } from './access.decorators.js';
import { AccessService } from './access.service.js';

/**
 * Stands before every route: a route that says nothing asks for `admin`. What lies behind sees the principal and the
 * caller, never a token, also where the request is refused (a filter or a log line could print it).
 */
@Injectable()
export class AuthGuard implements CanActivate {
  constructor(
    private readonly access: AccessService,
    private readonly reflector: Reflector,
  ) {}

  /** @throws AuthError or AuthUnavailableError */
  async canActivate(context: ExecutionContext): Promise<boolean> {
    const request = context.switchToHttp().getRequest<AdmittedRequest>();
    try {
      const needed = this.accessOf(context);
      if (needed === 'public') return true;
      request.principal = await this.access.admit(request.headers, needed);
      request.caller = this.access.callerOf(request.principal, request.headers);
      return true;
    } finally {
      dropCredentials(request);
    }
  }

  /** What stands at the method wins over what stands at the class. */
  private accessOf(context: ExecutionContext): RouteAccess {
    const targets = [context.getHandler(), context.getClass()];
    return this.reflector.getAllAndOverride<RouteAccess | undefined>(ROUTE_ACCESS, targets) ?? 'admin';
  }
}

const CREDENTIALS = ['authorization', 'cookie'];

/**
 * From the raw list too: `headersDistinct` is made of it when it is first asked for. There only the values go, because
 * Node remembers the length of that list.
 */
function dropCredentials({ headers, rawHeaders }: IncomingMessage): void {
  for (const name of CREDENTIALS) delete headers[name];
  for (let at = 0; at < rawHeaders.length; at += 2) {
    if (CREDENTIALS.includes(rawHeaders[at]?.toLowerCase() ?? '')) rawHeaders[at + 1] = '';
  }
}
