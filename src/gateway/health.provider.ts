import { Logger } from '@nestjs/common';
import { type CatalogueService } from '../catalogue/index.js';
import { type Settings } from '../config/settings.js';
import { type Metrics } from '../metrics/metrics.js';
import { type GatewayLeader } from '../redis/gateway-leader.js';
import { type GatewayHealth } from './gateway-health.js';
import { HealthLoop } from './health-loop.js';
import { stackOf } from './stack-of.js';

/** Builds the plain loop on the check and the catalogue; it runs while this replica leads. */
export function healthLoopFor(
  catalogue: CatalogueService,
  health: GatewayHealth,
  leader: GatewayLeader,
  metrics: Metrics,
  settings: Settings,
): HealthLoop {
  const logger = new Logger('GatewayHealth');
  const loop = new HealthLoop({
    intervalMs: settings.HEALTH_CHECK_INTERVAL,
    threshold: settings.UNHEALTHY_THRESHOLD,
    gateways: () => catalogue.healthStates(),
    check: (id, signal) => health.checkGateway(id, signal),
    note: (seen, finding) => catalogue.noteHealth(seen, finding),
    onChecked: (outcome) => metrics.healthChecks.inc({ outcome }),
    onChange: (name, finding) => {
      if (finding.reachable) logger.log(`gateway ${name} is reachable again`);
      else logger.warn(`gateway ${name} is unreachable (${finding.reason ?? 'unknown'}): ${finding.message}`);
    },
    onError: (what, error) => logger.error(what, stackOf(error)),
  });
  metrics.observeGauge('mcpgateway_gateways', 'Enabled gateways, on the replica that checks them', ['state'], () =>
    Object.entries(loop.counts ?? {}).map(([state, value]) => ({ labels: { state }, value })),
  );
  leader.onLead((signal) => loop.start(signal));
  return loop;
}
