import { Controller, Get, Header, Inject, Res } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiServiceUnavailableResponse, ApiTags } from '@nestjs/swagger';
import { type Response as ExpressResponse } from 'express';
import { Public } from '../auth/access.decorators.js';
import { VERSION } from '../common/version.js';
import { SETTINGS } from '../config/config.module.js';
import { type Settings } from '../config/settings.js';
import { Metrics } from '../metrics/metrics.js';
import { type Readiness, ReadinessService } from './readiness.service.js';

@ApiTags('operation')
@Public()
@Controller()
export class HealthController {
  constructor(
    private readonly readiness: ReadinessService,
    private readonly metrics: Metrics,
    @Inject(SETTINGS) private readonly settings: Settings,
  ) {}

  @Get('health')
  @ApiOperation({ summary: 'The process lives; says nothing about its parts' })
  @ApiOkResponse({ description: 'alive' })
  health() {
    return {
      status: 'ok',
      version: VERSION,
      replica: this.settings.REPLICA_ID,
      uptimeSeconds: Math.round(process.uptime()),
    };
  }

  @Get('ready')
  @ApiOperation({ summary: 'Whether this replica should get requests, part by part' })
  @ApiOkResponse({ description: 'ready' })
  @ApiServiceUnavailableResponse({ description: 'unready, with the reason for each part' })
  async ready(@Res({ passthrough: true }) response: ExpressResponse): Promise<Readiness> {
    const readiness = await this.readiness.check();
    response.status(readiness.status === 'ready' ? 200 : 503);
    return readiness;
  }

  @Get('metrics')
  @Header('content-type', 'text/plain; version=0.0.4; charset=utf-8')
  @ApiOperation({ summary: 'Metrics in the text format of Prometheus' })
  async prometheus(): Promise<string> {
    return this.metrics.registry.metrics();
  }
}
