import { applyDecorators, type CanActivate, Inject, Injectable, UseGuards } from '@nestjs/common';
import { ApiBearerAuth } from '@nestjs/swagger';
import { RequireScope } from '../auth/access.decorators.js';
import { CodedError } from '../common/errors.js';
import { SETTINGS } from '../config/config.module.js';
import { type Settings } from '../config/settings.js';

/** `MCPGATEWAY_ADMIN_API_ENABLED=false`: what changes something is not there (SPEC §9). */
@Injectable()
export class AdminApiGuard implements CanActivate {
  constructor(@Inject(SETTINGS) private readonly settings: Settings) {}

  canActivate(): boolean {
    if (this.settings.MCPGATEWAY_ADMIN_API_ENABLED) return true;
    throw new CodedError('NOT_FOUND', 'the administration API is switched off (MCPGATEWAY_ADMIN_API_ENABLED)');
  }
}

/** A route that reads gateways and capabilities. */
export const Reads = () => applyDecorators(RequireScope('gateways:read'), ApiBearerAuth());

/** A route that changes something. */
export const Changes = () => applyDecorators(RequireScope('gateways:write'), UseGuards(AdminApiGuard), ApiBearerAuth());
