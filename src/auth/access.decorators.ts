import { type IncomingMessage } from 'node:http';
import { createParamDecorator, type ExecutionContext, SetMetadata } from '@nestjs/common';
import { type Caller, type Principal } from '../common/principal.js';
import { type Scope } from './scopes.js';

/** What a route asks for. */
export type RouteAccess = Scope | 'public';

export const ROUTE_ACCESS = Symbol('ROUTE_ACCESS');

/** The scope that a route, or every route of a controller, asks for; without it a route asks for `admin`. */
export const RequireScope = (scope: Scope) => SetMetadata(ROUTE_ACCESS, scope satisfies RouteAccess);

/** Opens a route to everybody. No token is looked at. */
export const Public = () => SetMetadata(ROUTE_ACCESS, 'public' satisfies RouteAccess);

/** A request that has passed the guard; both are undefined on a public route. */
export interface AdmittedRequest extends IncomingMessage {
  principal?: Principal;
  caller?: Caller;
}

/** The `Principal | undefined` of the request; undefined in mode `none`. */
export const CurrentPrincipal = createParamDecorator((_: unknown, context: ExecutionContext) => {
  return context.switchToHttp().getRequest<AdmittedRequest>().principal;
});

/** The `Caller` of the request, worked out before its credentials were removed. */
export const CurrentCaller = createParamDecorator((_: unknown, context: ExecutionContext) => {
  return context.switchToHttp().getRequest<AdmittedRequest>().caller;
});
