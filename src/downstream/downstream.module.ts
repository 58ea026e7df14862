import { Inject, Module, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import { AuthModule } from '../auth/auth.module.js';
import { SETTINGS } from '../config/config.module.js';
import { type Settings } from '../config/settings.js';
import { ExecutionService } from '../execution/execution.service.js';
import { ExecutionModule } from '../execution/execution.module.js';
import { Metrics } from '../metrics/metrics.js';
import { CallRunner } from './edge/call-runner.js';
import { EdgeService } from './edge/edge.service.js';
import { McpEndpoint } from './edge/mcp.endpoint.js';
import { OriginPolicy } from './edge/origin-policy.js';
import { RpcEndpoint } from './edge/rpc.endpoint.js';
import { SessionRegistry } from './session-registry.js';

@Module({
  imports: [AuthModule, ExecutionModule],
  providers: [
    CallRunner,
    EdgeService,
    McpEndpoint,
    OriginPolicy,
    RpcEndpoint,
    {
      provide: SessionRegistry,
      inject: [SETTINGS, ExecutionService],
      useFactory: (settings: Settings, execution: ExecutionService) =>
        new SessionRegistry({
          onEnded: ({ hash }) => execution.endSession(hash),
          ttlMs: settings.SESSION_TTL_SECONDS,
          maxPerUser: settings.SESSION_MAX_PER_USER,
          maxTotal: settings.SESSION_MAX_TOTAL,
        }),
    },
  ],
  exports: [EdgeService],
})
export class DownstreamModule implements OnModuleInit, OnApplicationShutdown {
  constructor(
    @Inject(SessionRegistry) private readonly sessions: SessionRegistry,
    private readonly metrics: Metrics,
  ) {}

  onModuleInit(): void {
    this.metrics.observeGauge('mcpgateway_downstream_sessions', 'Sessions of clients', [], () => [
      { value: this.sessions.size },
    ]);
  }

  onApplicationShutdown(): void {
    this.sessions.close();
  }
}
