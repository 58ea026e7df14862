import { Inject, Module, type OnModuleDestroy } from '@nestjs/common';
import { AuthModule } from '../auth/auth.module.js';
import { CatalogueModule } from '../catalogue/index.js';
import { SETTINGS } from '../config/config.module.js';
import { type Settings } from '../config/settings.js';
import { ExecutionModule } from '../execution/index.js';
import { CallRunner } from './edge/call-runner.js';
import { EdgeService } from './edge/edge.service.js';
import { McpEndpoint } from './edge/mcp.endpoint.js';
import { OriginPolicy } from './edge/origin-policy.js';
import { RpcEndpoint } from './edge/rpc.endpoint.js';
import { StreamOpener } from './edge/stream-opener.js';
import { ChangeStreams } from './events/change-streams.js';
import { EventsController } from './events/events.controller.js';
import { SessionServices } from './session/session-services.js';
import { Sessions } from './session/sessions.js';
import { SseController } from './sse/sse.controller.js';
import { SseSessions } from './sse/sse-sessions.js';
import { KeepAlive } from './stream/keep-alive.js';

/** The MCP endpoints: streamable HTTP and `/rpc` on the lean edge, HTTP+SSE as a controller (SPEC §5); changes at `/events`. */
@Module({
  imports: [AuthModule, CatalogueModule, ExecutionModule],
  controllers: [SseController, EventsController],
  providers: [
    ...[CallRunner, EdgeService, McpEndpoint, OriginPolicy, RpcEndpoint, SessionServices, Sessions, StreamOpener],
    ...[ChangeStreams, SseSessions],
    {
      provide: KeepAlive,
      inject: [SETTINGS],
      useFactory: (settings: Settings) => new KeepAlive(settings.SSE_KEEPALIVE_SECONDS),
    },
  ],
  exports: [EdgeService, Sessions],
})
export class DownstreamModule implements OnModuleDestroy {
  constructor(@Inject(KeepAlive) private readonly keepAlive: KeepAlive) {}

  onModuleDestroy(): void {
    this.keepAlive.stop();
  }
}
