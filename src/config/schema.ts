import { hostname } from 'node:os';
import { z } from 'zod';
import {
  choices,
  commaList,
  flag,
  integer,
  optionalFlag,
  optionalInteger,
  optionalSeconds,
  seconds,
  url,
} from './fields.js';

/** SPEC P-2: the identity parts of a request that no extractor knows. */
export const IDENTITY_HEADERS = [
  'authorization',
  'x-tenant-id',
  'x-user-id',
  'x-api-key',
  'cookie',
  'x-mcp-session-id',
] as const;

/** SPEC P-10: what a session may be asked to see whether it works; `skip` asks nothing. */
export const HEALTH_METHODS = ['ping', 'list_tools', 'list_prompts', 'list_resources', 'skip'] as const;
export type HealthMethod = (typeof HEALTH_METHODS)[number];

/** Every setting by its name in the environment: default, floor, ceiling (SPEC §9). docs/settings.md explains them. */
export const EnvironmentSchema = z.object({
  PUBLIC_URL: url('http', 'https').optional(),
  NODE_ENV: z.string().trim().optional(),
  HOST: z.string().trim().min(1).default('127.0.0.1'),
  PORT: integer(4444, 0, 65_535),
  LOG_LEVEL: z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']).default('info'),
  REPLICA_ID: z
    .string()
    .regex(/^[A-Za-z0-9_.:-]{1,128}$/, 'must be 1 to 128 of A-Z a-z 0-9 _ . : -')
    .default(() => `${hostname()}:${process.pid}`),

  DATABASE_URL: url('postgres', 'postgresql').optional(),
  DATABASE_POOL_SIZE: integer(10, 1, 1000),
  DATABASE_CONNECT_TIMEOUT_SECONDS: seconds(10, 0.1, 300),
  DATA_DIR: z.string().trim().min(1).default('./data'),
  REDIS_URL: url('redis', 'rediss').optional(),
  REDIS_KEY_PREFIX: z
    .string()
    .regex(/^[A-Za-z0-9:_.-]{1,64}$/, 'must be 1 to 64 of A-Z a-z 0-9 : _ . -')
    .default('mcpgw:'),

  AUTH_MODE: z.enum(['none', 'jwt']).optional(),
  AUTH_ALLOW_ANONYMOUS: flag(false),
  JWT_SECRET: z.string().min(32, 'must have at least 32 characters (openssl rand -base64 48)').optional(),
  JWKS_URL: url('http', 'https').optional(),
  JWT_ISSUER: z.string().min(1).optional(),
  JWT_AUDIENCE: z.string().min(1).optional(),
  ENCRYPTION_KEY: z
    .string()
    .trim()
    .refine(
      (value) => /^[A-Za-z0-9+/]+={0,2}$/.test(value) && Buffer.from(value, 'base64').length === 32,
      'must be 32 bytes in base64 (openssl rand -base64 32)',
    )
    .optional(),

  ALLOWED_ORIGINS: commaList([]),
  ALLOWED_HOSTS: commaList([]),

  MCPGATEWAY_ADMIN_API_ENABLED: flag(true),
  GATEWAY_TOOL_NAME_SEPARATOR: z
    .string()
    .regex(/^[A-Za-z0-9_-]{1,8}$/, 'must be 1 to 8 of A-Z a-z 0-9 _ -')
    .default('-'),

  GATEWAY_WATCH_ENABLED: flag(true),
  GATEWAY_REFRESH_INTERVAL_SECONDS: seconds(300, 0.1),
  GATEWAY_REFRESH_PARALLEL: integer(4, 1),
  NOTIFICATION_DEBOUNCE_SECONDS: seconds(1, 0),
  NOTIFICATION_MAX_WAIT_SECONDS: seconds(5, 0),

  MCP_SESSION_POOL_ENABLED: flag(true),
  MCP_SESSION_POOL_MAX_PER_KEY: integer(10, 1),
  MCP_SESSION_POOL_MAX_TOTAL_SESSIONS: integer(10_000, 1),
  MCP_SESSION_POOL_MAX_TOTAL_KEYS: integer(0, 0),
  MCP_SESSION_POOL_MAX_PER_GATEWAY: optionalInteger(1),
  MCP_SESSION_POOL_MAX_LEASES_PER_SESSION: integer(1, 1),
  MCP_SESSION_POOL_MAX_CALLS_PER_GATEWAY: integer(1_000, 1),
  MCP_SESSION_POOL_MAX_QUEUED_PER_GATEWAY: integer(1_000, 0),
  MCP_SESSION_POOL_TTL: seconds(300, 0.01),
  MCP_SESSION_POOL_IDLE_EVICTION: seconds(600, 0.01),
  MCP_SESSION_POOL_HEALTH_CHECK_INTERVAL: seconds(60, 0),
  MCP_SESSION_POOL_HEALTH_CHECK_METHODS: choices(HEALTH_METHODS, ['ping', 'skip']),
  MCP_SESSION_POOL_HEALTH_CHECK_TIMEOUT: seconds(5, 0.01),
  MCP_SESSION_POOL_EXPLICIT_HEALTH_RPC: flag(false),
  MCP_SESSION_POOL_CIRCUIT_BREAKER_THRESHOLD: integer(5, 1),
  MCP_SESSION_POOL_CIRCUIT_BREAKER_RESET: seconds(60, 0.01),
  MCP_SESSION_POOL_LEASE_WARNING: seconds(60, 0.01),
  MCP_SESSION_POOL_ACQUIRE_TIMEOUT: seconds(30, 0.01),
  MCP_SESSION_POOL_CREATE_TIMEOUT: seconds(30, 0.01),
  MCP_SESSION_POOL_TRANSPORT_TIMEOUT: seconds(30, 0.01),
  MCP_SESSION_POOL_CLEANUP_TIMEOUT: seconds(5, 0.01),
  MCP_SESSION_POOL_IDENTITY_HEADERS: commaList(IDENTITY_HEADERS),

  HEALTH_CHECK_INTERVAL: seconds(60, 0.01),
  HEALTH_CHECK_TIMEOUT: seconds(5, 0.01),
  UNHEALTHY_THRESHOLD: integer(3, 1),

  MCPGATEWAY_SESSION_AFFINITY_ENABLED: optionalFlag(),
  MCPGATEWAY_SESSION_AFFINITY_TTL: seconds(300, 1),

  CALL_TIMEOUT_SECONDS: seconds(300, 0.01),
  CALL_MAX_SECONDS: seconds(3600, 0.01),
  SESSION_TTL_SECONDS: seconds(3600, 0.1),
  SESSION_MAX_PER_USER: integer(100, 1),
  SESSION_MAX_TOTAL: integer(20_000, 1),
  SSE_AFTER_MS: integer(1_000, 0, 60_000),
  SSE_KEEPALIVE_SECONDS: seconds(15, 0.01),
  SSE_RESUME_SECONDS: seconds(60, 0),
  EVENT_LOG_MAX_EVENTS: integer(1_000, 0),
  EVENT_LOG_MAX_BYTES: integer(4 * 1024 * 1024, 0),
  EVENT_LOG_MAX_TOTAL_BYTES: integer(256 * 1024 * 1024, 0),
  EVENT_LOG_MAX_AGE_SECONDS: seconds(300, 0.01),
  STREAM_MAX_BUFFERED_BYTES: integer(64 * 1024 * 1024, 64 * 1024),
  MAX_UPSTREAM_RESPONSE_BYTES: integer(16 * 1024 * 1024, 1024, 1024 * 1024 * 1024),
  MAX_BODY_BYTES: integer(4 * 1024 * 1024, 1024, 1024 * 1024 * 1024),

  SHUTDOWN_DELAY_SECONDS: optionalSeconds(0),
  SHUTDOWN_DEADLINE_SECONDS: seconds(25, 0.1),
});

export type Environment = z.output<typeof EnvironmentSchema>;
