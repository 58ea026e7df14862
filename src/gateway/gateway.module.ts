import { Inject, Module, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import { APP_FILTER } from '@nestjs/core';
import { AuthModule } from '../auth/auth.module.js';
import { CatalogueModule, CatalogueService, UpstreamAccess } from '../catalogue/index.js';
import { SETTINGS } from '../config/config.module.js';
import { type Settings } from '../config/settings.js';
import { ExecutionModule } from '../execution/index.js';
import { Metrics } from '../metrics/metrics.js';
import { GatewayLeader } from '../redis/gateway-leader.js';
import { SessionPoolModule, SessionPoolService } from '../session-pool/index.js';
import { Background } from './background.js';
import { CAPABILITY_CONTROLLERS } from './capabilities.controller.js';
import { ChangeGateway } from './change-gateway.js';
import { DeferredGateways } from './deferred-gateways.js';
import { deferredFor } from './deferred.provider.js';
import { GatewayHealth } from './gateway-health.js';
import { HealthLoop } from './health-loop.js';
import { healthLoopFor } from './health.provider.js';
import { GatewaysController } from './gateways.controller.js';
import { ProblemFilter } from './problem.filter.js';
import { RegisterGateway } from './register-gateway.js';
import { ServerReader } from './server-reader.js';
import { ServersController } from './servers.controller.js';
import { ToolCallController } from './tool-call.controller.js';

/** REST of gateways, capabilities and virtual servers, the use cases behind it, and the form of every REST error. */
@Module({
  imports: [AuthModule, CatalogueModule, ExecutionModule, SessionPoolModule],
  controllers: [GatewaysController, ...CAPABILITY_CONTROLLERS, ServersController, ToolCallController],
  providers: [
    { provide: APP_FILTER, useClass: ProblemFilter },
    {
      provide: ServerReader,
      inject: [UpstreamAccess, SETTINGS],
      useFactory: (upstream: UpstreamAccess, settings: Settings) =>
        new ServerReader(upstream, {
          pageTimeoutMs: settings.MCP_SESSION_POOL_TRANSPORT_TIMEOUT,
          totalTimeoutMs: settings.CALL_TIMEOUT_SECONDS,
        }),
    },
    { provide: DeferredGateways, inject: [CatalogueService, ServerReader], useFactory: deferredFor },
    {
      provide: RegisterGateway,
      inject: [CatalogueService, ServerReader, DeferredGateways],
      useFactory: (...parts: ConstructorParameters<typeof RegisterGateway>) => new RegisterGateway(...parts),
    },
    {
      provide: ChangeGateway,
      inject: [CatalogueService, ServerReader],
      useFactory: (...parts: ConstructorParameters<typeof ChangeGateway>) => new ChangeGateway(...parts),
    },
    {
      provide: GatewayHealth,
      inject: [CatalogueService, SessionPoolService, SETTINGS],
      useFactory: (catalogue: CatalogueService, sessions: SessionPoolService, settings: Settings) =>
        new GatewayHealth(catalogue, sessions, {
          timeoutMs: settings.HEALTH_CHECK_TIMEOUT,
          explicitRpc: settings.MCP_SESSION_POOL_EXPLICIT_HEALTH_RPC,
        }),
    },
    {
      provide: HealthLoop,
      inject: [CatalogueService, GatewayHealth, GatewayLeader, Metrics, SETTINGS],
      useFactory: healthLoopFor,
    },
    Background,
  ],
  exports: [GatewayHealth],
})
export class GatewayModule implements OnApplicationBootstrap, OnModuleDestroy {
  constructor(
    @Inject(DeferredGateways) private readonly deferred: DeferredGateways,
    private readonly catalogue: CatalogueService,
    private readonly background: Background,
    @Inject(HealthLoop) private readonly healthLoop: HealthLoop,
  ) {}

  /** What waited when the service went down goes on waiting. */
  async onApplicationBootstrap(): Promise<void> {
    for (const id of await this.catalogue.neverRead()) this.deferred.add(id);
  }

  async onModuleDestroy(): Promise<void> {
    this.background.stop();
    await Promise.all([this.deferred.stop(), this.healthLoop.stop()]);
  }
}
