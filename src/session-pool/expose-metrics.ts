import { type Metrics } from '../metrics/metrics.js';
import { type PoolMetrics } from './pool-metrics.js';
import { type SessionPoolService } from './session-pool.service.js';

type CounterName = {
  [Name in keyof PoolMetrics]: PoolMetrics[Name] extends number ? Name : never;
}[keyof PoolMetrics];

const COUNTERS: Readonly<Partial<Record<CounterName, readonly [name: string, help: string]>>> = {
  hits: ['hits', 'Calls on an upstream session that was there'],
  misses: ['misses', 'Calls for which an upstream session was opened'],
  evictions: ['evictions', 'Upstream sessions ended before their time'],
  healthCheckFailures: ['health_check_failures', 'Idle sessions that did not pass their check'],
  circuitBreakerTrips: ['circuit_trips', 'Times that a circuit opened'],
  poolKeysEvicted: ['keys_evicted', 'Identities whose sessions ended for being unused'],
  sessionsReaped: ['sessions_reaped', 'Upstream sessions ended for their age or idleness'],
  anonymousIdentityCount: ['anonymous_identities', 'Calls of nobody in particular'],
  repeats: ['repeats', 'Calls that ran again after their session was found dead'],
  boundReopened: ['bound_reopened', 'Bound sessions that had to be opened anew'],
  stateLost: ['state_lost', 'Bound sessions whose state at the server was lost'],
  created: ['sessions_created', 'Upstream sessions opened by the pool'],
  terminated: ['sessions_terminated', 'Upstream sessions ended by the pool'],
  orphaned: ['sessions_orphaned', 'Upstream sessions that could not be ended at their server'],
  detached: ['sessions_detached', 'Upstream sessions left at their server for another replica'],
  journalLate: ['journal_late', 'Upstream sessions used before Redis had their journal entry'],
};

/** The pool's numbers for Prometheus, read when it asks. */
export function exposePoolMetrics(pool: SessionPoolService, metrics: Metrics): void {
  for (const [member, [name, help]] of Object.entries(COUNTERS)) {
    metrics.observeCounter(`mcpgateway_pool_${name}_total`, help, () => pool.getMetrics()[member as CounterName]);
  }
  metrics.observeGauge('mcpgateway_pool_sessions', 'Upstream sessions by state', ['state'], () => {
    const { idle, leased, opening, closing } = pool.numbers;
    return Object.entries({ idle, leased, opening, closing }).map(([state, value]) => ({ labels: { state }, value }));
  });
  metrics.observeGauge('mcpgateway_pool_waiting', 'Calls that wait for a session', [], () => [
    { value: pool.numbers.waiting },
  ]);
  metrics.observeGauge('mcpgateway_pool_keys', 'Identities with upstream sessions', [], () => [
    { value: pool.numbers.keys },
  ]);
  metrics.observeGauge('mcpgateway_circuit_open', 'Circuits that are not closed', ['gateway'], () =>
    pool.circuits.snapshot().map(({ gateway, state }) => ({ labels: { gateway }, value: state === 'closed' ? 0 : 1 })),
  );
}
