import { Injectable } from '@nestjs/common';
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import { AffinityCounters } from './affinity-counters.js';

/** One number of a live object, read when Prometheus asks. */
export interface Reading {
  readonly value: number;
  readonly labels?: Readonly<Record<string, string>>;
}

const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60, 300];

/**
 * All metrics and their names, in a registry of this instance, so that two replicas can live in one process. Live
 * numbers are read on demand: nothing on the hot path keeps a gauge up to date.
 */
@Injectable()
export class Metrics {
  readonly registry = new Registry();
  readonly affinity = new AffinityCounters();

  /** Requests on the MCP endpoints, by endpoint, method and outcome (`ok`, `error`, or the code of an error). */
  readonly mcpRequests = new Counter({
    name: 'mcpgateway_mcp_requests_total',
    help: 'JSON-RPC requests on the MCP endpoints',
    labelNames: ['endpoint', 'method', 'outcome'] as const,
    registers: [this.registry],
  });

  /** From the request's last byte to the answer's first, of calls that went to a server. */
  readonly upstreamCalls = new Histogram({
    name: 'mcpgateway_upstream_call_duration_seconds',
    help: 'Calls to MCP servers, waiting for a session included',
    labelNames: ['gateway', 'outcome'] as const,
    buckets: SECONDS,
    registers: [this.registry],
  });

  /** SPEC N-8: from the first announcement of a change to its being served. */
  readonly changeDelay = new Histogram({
    name: 'mcpgateway_change_delay_seconds',
    help: 'From the first announcement of a change to its being served',
    buckets: SECONDS,
    registers: [this.registry],
  });

  readonly httpRequests = new Histogram({
    name: 'mcpgateway_http_request_duration_seconds',
    help: 'REST requests',
    labelNames: ['method', 'route', 'status'] as const,
    buckets: SECONDS,
    registers: [this.registry],
  });

  /** Sessions that serve no call, or no pool (it is off): by purpose, apart from hits and misses (SPEC P-17). */
  readonly unpooledSessions = new Counter({
    name: 'mcpgateway_unpooled_sessions_total',
    help: 'Upstream sessions opened for something else than pooled calls',
    labelNames: ['purpose'] as const,
    registers: [this.registry],
  });

  /** Of those, the ones that could not be ended at their server. */
  readonly unpooledOrphans = new Counter({
    name: 'mcpgateway_unpooled_sessions_orphaned_total',
    help: 'Sessions outside of the pool that could not be ended at their server',
    labelNames: ['purpose'] as const,
    registers: [this.registry],
  });

  /** Of gateways (SPEC G-7), by outcome: `healthy`, `unhealthy`, or `unknown`, which says nothing about the server. */
  readonly healthChecks = new Counter({
    name: 'mcpgateway_gateway_health_checks_total',
    help: 'Health checks of gateways',
    labelNames: ['outcome'] as const,
    registers: [this.registry],
  });

  constructor() {
    collectDefaultMetrics({ register: this.registry });
  }

  /** A number that only grows, kept by somebody else. */
  observeCounter(name: string, help: string, read: () => number): void {
    new Counter({
      name,
      help,
      registers: [this.registry],
      collect() {
        this.reset();
        this.inc(read());
      },
    });
  }

  /** A number that goes up and down, kept by somebody else. */
  observeGauge(name: string, help: string, labelNames: readonly string[], read: () => Iterable<Reading>): void {
    new Gauge({
      name,
      help,
      labelNames,
      registers: [this.registry],
      collect() {
        this.reset();
        for (const { labels, value } of read()) this.set(labels ?? {}, value);
      },
    });
  }
}
