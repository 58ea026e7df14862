import { describe, expect, it } from '@jest/globals';
import { hostname } from 'node:os';
import { IDENTITY_HEADERS } from './schema.js';
import { isLoopback, loadSettings, maskSettings, SettingsError } from './settings.js';

const KEY = Buffer.alloc(32, 7).toString('base64');
const SECRET = 'a shared secret of more than 32 characters';
const JWKS = { AUTH_MODE: 'jwt', JWKS_URL: 'https://idp/keys', JWT_ISSUER: 'i', JWT_AUDIENCE: 'a' };

type Env = Record<string, string | undefined>;

function problemsOf(env: Env): readonly string[] {
  try {
    loadSettings(env);
  } catch (error) {
    if (error instanceof SettingsError) return error.problems;
    throw error;
  }
  return [];
}

describe('settings (SPEC §9)', () => {
  it('has the defaults of §9 with nothing set, durations in milliseconds', () => {
    expect(loadSettings({})).toEqual({
      HOST: '127.0.0.1',
      PORT: 4444,
      LOG_LEVEL: 'info',
      REPLICA_ID: `${hostname()}:${process.pid}`,
      DATABASE_POOL_SIZE: 10,
      DATABASE_CONNECT_TIMEOUT_SECONDS: 10_000,
      DATA_DIR: './data',
      REDIS_KEY_PREFIX: 'mcpgw:',
      AUTH_MODE: 'none',
      AUTH_ALLOW_ANONYMOUS: false,
      ALLOWED_ORIGINS: [],
      ALLOWED_HOSTS: [],
      MCPGATEWAY_ADMIN_API_ENABLED: true,
      GATEWAY_TOOL_NAME_SEPARATOR: '-',
      GATEWAY_WATCH_ENABLED: true,
      GATEWAY_REFRESH_INTERVAL_SECONDS: 300_000,
      GATEWAY_REFRESH_PARALLEL: 4,
      NOTIFICATION_DEBOUNCE_SECONDS: 1_000,
      NOTIFICATION_MAX_WAIT_SECONDS: 5_000,
      MCP_SESSION_POOL_ENABLED: true,
      MCP_SESSION_POOL_MAX_PER_KEY: 10,
      MCP_SESSION_POOL_MAX_TOTAL_SESSIONS: 10_000,
      MCP_SESSION_POOL_MAX_TOTAL_KEYS: 0,
      MCP_SESSION_POOL_MAX_PER_GATEWAY: 1_000,
      MCP_SESSION_POOL_MAX_LEASES_PER_SESSION: 1,
      MCP_SESSION_POOL_MAX_CALLS_PER_GATEWAY: 1_000,
      MCP_SESSION_POOL_MAX_QUEUED_PER_GATEWAY: 1_000,
      MCP_SESSION_POOL_TTL: 300_000,
      MCP_SESSION_POOL_IDLE_EVICTION: 600_000,
      MCP_SESSION_POOL_HEALTH_CHECK_INTERVAL: 60_000,
      MCP_SESSION_POOL_HEALTH_CHECK_METHODS: ['ping', 'skip'],
      MCP_SESSION_POOL_HEALTH_CHECK_TIMEOUT: 5_000,
      MCP_SESSION_POOL_EXPLICIT_HEALTH_RPC: false,
      MCP_SESSION_POOL_CIRCUIT_BREAKER_THRESHOLD: 5,
      MCP_SESSION_POOL_CIRCUIT_BREAKER_RESET: 60_000,
      MCP_SESSION_POOL_LEASE_WARNING: 60_000,
      MCP_SESSION_POOL_ACQUIRE_TIMEOUT: 30_000,
      MCP_SESSION_POOL_CREATE_TIMEOUT: 30_000,
      MCP_SESSION_POOL_TRANSPORT_TIMEOUT: 30_000,
      MCP_SESSION_POOL_CLEANUP_TIMEOUT: 5_000,
      MCP_SESSION_POOL_IDENTITY_HEADERS: [...IDENTITY_HEADERS],
      HEALTH_CHECK_INTERVAL: 60_000,
      HEALTH_CHECK_TIMEOUT: 5_000,
      UNHEALTHY_THRESHOLD: 3,
      MCPGATEWAY_SESSION_AFFINITY_ENABLED: false,
      MCPGATEWAY_SESSION_AFFINITY_TTL: 300_000,
      CALL_TIMEOUT_SECONDS: 300_000,
      CALL_MAX_SECONDS: 3_600_000,
      SESSION_TTL_SECONDS: 3_600_000,
      SESSION_MAX_PER_USER: 100,
      SESSION_MAX_TOTAL: 20_000,
      SSE_AFTER_MS: 1_000,
      SSE_KEEPALIVE_SECONDS: 15_000,
      SSE_RESUME_SECONDS: 60_000,
      EVENT_LOG_MAX_EVENTS: 1_000,
      EVENT_LOG_MAX_BYTES: 4_194_304,
      EVENT_LOG_MAX_TOTAL_BYTES: 268_435_456,
      EVENT_LOG_MAX_AGE_SECONDS: 300_000,
      STREAM_MAX_BUFFERED_BYTES: 67_108_864,
      MAX_BODY_BYTES: 4_194_304,
      MAX_UPSTREAM_RESPONSE_BYTES: 16_777_216,
      SHUTDOWN_DELAY_SECONDS: 0,
      SHUTDOWN_DEADLINE_SECONDS: 25_000,
      development: true,
    });
  });

  it('the identity headers are the six of P-2', () => {
    const six = ['authorization', 'x-tenant-id', 'x-user-id', 'x-api-key', 'cookie', 'x-mcp-session-id'];
    expect(loadSettings({}).MCP_SESSION_POOL_IDENTITY_HEADERS).toEqual(six);
  });

  it('is frozen, and a list of one replica is not the list of another', () => {
    const first = loadSettings({});
    expect(Object.isFrozen(first)).toBe(true);
    first.MCP_SESSION_POOL_IDENTITY_HEADERS.push('x-mine');
    first.ALLOWED_ORIGINS.push('https://mine');
    expect(loadSettings({}).MCP_SESSION_POOL_IDENTITY_HEADERS).toHaveLength(6);
    expect(loadSettings({}).ALLOWED_ORIGINS).toEqual([]);
  });

  it.each([
    ['0.25', 250],
    ['0.0125', 13],
    ['  2 ', 2_000],
    ['90.5', 90_500],
  ])('reads %j seconds as %d ms', (text, ms) => {
    expect(loadSettings({ MCP_SESSION_POOL_TTL: text, SHUTDOWN_DELAY_SECONDS: text })).toMatchObject({
      MCP_SESSION_POOL_TTL: ms,
      SHUTDOWN_DELAY_SECONDS: ms,
    });
  });

  it('takes an empty value as unset, of unknown names too', () => {
    const blank = { PORT: '', DATABASE_URL: ' ', REDIS_URL: '\t', JWT_SECRET: ' '.repeat(40), MCPGATEWAY_LATER: '' };
    expect(loadSettings({ ...blank, MCP_SESSION_POOL_LATER: undefined })).toEqual(loadSettings({}));
    expect(problemsOf({ ...blank, AUTH_MODE: 'jwt' })).toEqual(['AUTH_MODE=jwt needs JWT_SECRET or JWKS_URL']);
  });

  it.each([
    ['true', true],
    [' TRUE ', true],
    ['1', true],
    ['on', true],
    ['false', false],
    ['0', false],
    ['Off', false],
  ])('reads the flag %j', (text, value) => {
    expect(loadSettings({ MCP_SESSION_POOL_ENABLED: text }).MCP_SESSION_POOL_ENABLED).toBe(value);
  });

  it('reads a list with blanks and empty items', () => {
    expect(loadSettings({ ALLOWED_HOSTS: ' a.example , ,b.example,' }).ALLOWED_HOSTS).toEqual([
      'a.example',
      'b.example',
    ]);
  });

  it.each<[string, string]>([
    ['PORT', '65536'],
    ['PORT', '-1'],
    ['PORT', '80.5'],
    ['PORT', '0x50'],
    ['PORT', '1e3'],
    ['PORT', 'NaN'],
    ['PORT', '9'.repeat(400)],
    ['MCP_SESSION_POOL_MAX_PER_KEY', '0'],
    ['MCP_SESSION_POOL_TTL', '0'],
    ['MCP_SESSION_POOL_TTL', 'Infinity'],
    ['MCP_SESSION_POOL_TTL', '5m'],
    ['SHUTDOWN_DELAY_SECONDS', '-1'],
    ['SHUTDOWN_DELAY_SECONDS', '9'.repeat(400)],
    ['MCP_SESSION_POOL_MAX_PER_GATEWAY', '0'],
    ['MCP_SESSION_POOL_MAX_PER_GATEWAY', '20.5'],
    ['MCP_SESSION_POOL_MAX_QUEUED_PER_GATEWAY', '-1'],
    ['MCP_SESSION_POOL_CIRCUIT_BREAKER_THRESHOLD', '0'],
    ['MCP_SESSION_POOL_CIRCUIT_BREAKER_RESET', '0'],
    ['MCP_SESSION_POOL_HEALTH_CHECK_INTERVAL', '-1'],
    ['MCP_SESSION_POOL_HEALTH_CHECK_METHODS', 'ping,pong'],
    ['MCP_SESSION_POOL_HEALTH_CHECK_METHODS', '["ping"]'],
    ['MCP_SESSION_POOL_HEALTH_CHECK_METHODS', ' , '],
    ['MCPGATEWAY_SESSION_AFFINITY_ENABLED', 'auto'],
    ['MCPGATEWAY_SESSION_AFFINITY_TTL', '0.9'],
    ['MCP_SESSION_POOL_ENABLED', 'yes'],
    ['LOG_LEVEL', 'loud'],
    ['AUTH_MODE', 'basic'],
    ['DATABASE_URL', 'mysql://localhost/db'],
    ['REDIS_URL', 'localhost:6379'],
    ['JWKS_URL', 'file:///etc/passwd'],
    ['JWT_SECRET', 'short'],
    ['ENCRYPTION_KEY', Buffer.alloc(31).toString('base64')],
    ['ENCRYPTION_KEY', `${'!'.repeat(43)}=`],
    ['REPLICA_ID', 'a b'],
    ['REDIS_KEY_PREFIX', '*'],
    ['GATEWAY_TOOL_NAME_SEPARATOR', '.'],
  ])('refuses %s=%s with its name in the message', (name, value) => {
    const problems = problemsOf({ [name]: value });
    expect(problems.map((problem) => problem.split(' ')[0])).toEqual([name]);
    if (value.length > 4) expect(problems[0]).not.toContain(value); // it may be a secret
  });

  // A timer of Node holds 2^31-1 ms; a longer one fires at once, so "a year" would be a time-out of 1 ms.
  it.each(['CALL_TIMEOUT_SECONDS', 'MCP_SESSION_POOL_CREATE_TIMEOUT', 'SHUTDOWN_DELAY_SECONDS'])(
    'refuses a %s that no timer can hold',
    (name) => {
      const env = { CALL_MAX_SECONDS: '2147483' };
      expect(problemsOf({ ...env, [name]: '2147484' })).toHaveLength(1);
      expect(problemsOf({ ...env, [name]: '2147483' })).toEqual([]);
    },
  );

  it.each<[string, Env, Env, string]>([
    ['S-1', { HOST: '0.0.0.0' }, { AUTH_MODE: 'jwt', JWT_SECRET: SECRET }, 'AUTH_MODE must be set'],
    ['S-1', { HOST: '::', AUTH_ALLOW_ANONYMOUS: 'true' }, { AUTH_MODE: 'none' }, 'AUTH_MODE must be set'],
    ['S-1', { HOST: '10.0.0.1', AUTH_MODE: 'none' }, { AUTH_ALLOW_ANONYMOUS: 'true' }, 'AUTH_MODE=none needs'],
    ['S-1', { AUTH_MODE: 'jwt' }, { JWT_SECRET: SECRET }, 'needs JWT_SECRET or JWKS_URL'],
    ['S-1', { ...JWKS, JWT_SECRET: SECRET }, { JWT_SECRET: '' }, 'exclude each other'],
    ['S-1', { ...JWKS, JWT_ISSUER: '' }, { JWT_ISSUER: 'i' }, 'needs JWT_ISSUER'],
    ['S-1', { ...JWKS, JWT_AUDIENCE: '' }, { JWT_AUDIENCE: 'a' }, 'needs JWT_AUDIENCE'],
    ['S-4', { DATABASE_URL: 'postgres://h/db' }, { ENCRYPTION_KEY: KEY }, 'ENCRYPTION_KEY is required'],
    [
      '§9',
      { REDIS_URL: 'redis://h', ENCRYPTION_KEY: KEY },
      { DATABASE_URL: 'postgresql://h/db' },
      'REDIS_URL needs DATABASE_URL',
    ],
    ['A-5', { CALL_TIMEOUT_SECONDS: '3600.1' }, { CALL_MAX_SECONDS: '3600.1' }, 'CALL_TIMEOUT_SECONDS must not'],
    [
      'P-7',
      { MCP_SESSION_POOL_MAX_PER_KEY: '3', MCP_SESSION_POOL_MAX_TOTAL_SESSIONS: '2' },
      { MCP_SESSION_POOL_MAX_PER_KEY: '2' },
      'MAX_PER_KEY must not',
    ],
    [
      'P-7',
      { MCP_SESSION_POOL_MAX_PER_KEY: '3', MCP_SESSION_POOL_MAX_PER_GATEWAY: '2' },
      { MCP_SESSION_POOL_MAX_PER_KEY: '2' },
      'MAX_PER_KEY must not be above MCP_SESSION_POOL_MAX_PER_GATEWAY',
    ],
    [
      'P-7',
      { MCP_SESSION_POOL_MAX_PER_KEY: '1001' },
      { MCP_SESSION_POOL_MAX_PER_GATEWAY: '1001' },
      'MAX_PER_KEY must not be above MCP_SESSION_POOL_MAX_PER_GATEWAY',
    ],
    [
      'P-7',
      { MCP_SESSION_POOL_MAX_PER_GATEWAY: '51', MCP_SESSION_POOL_MAX_TOTAL_SESSIONS: '50' },
      { MCP_SESSION_POOL_MAX_PER_GATEWAY: '' },
      'MAX_PER_GATEWAY must not be above MCP_SESSION_POOL_MAX_TOTAL_SESSIONS',
    ],
  ])('%s: refuses %j until %j', (_id, env, cure, problem) => {
    expect(problemsOf(env)).toEqual([expect.stringContaining(problem)]);
    expect(problemsOf({ ...env, ...cure })).toEqual([]);
  });

  it('P-7: the cap of a gateway follows the total down, unless it is given', () => {
    const total = { MCP_SESSION_POOL_MAX_TOTAL_SESSIONS: '50' };
    expect(loadSettings(total).MCP_SESSION_POOL_MAX_PER_GATEWAY).toBe(50);
    const given = { ...total, MCP_SESSION_POOL_MAX_PER_GATEWAY: '20' };
    expect(loadSettings(given).MCP_SESSION_POOL_MAX_PER_GATEWAY).toBe(20);
  });

  it('P-10: reads the health methods in their order, and lists them for one that is none', () => {
    const given = { MCP_SESSION_POOL_HEALTH_CHECK_METHODS: ' list_tools , ping,list_prompts,list_resources,skip,' };
    const read = ['list_tools', 'ping', 'list_prompts', 'list_resources', 'skip'];
    expect(loadSettings(given).MCP_SESSION_POOL_HEALTH_CHECK_METHODS).toEqual(read);
    expect(problemsOf({ MCP_SESSION_POOL_HEALTH_CHECK_METHODS: 'pin' })).toEqual([
      'MCP_SESSION_POOL_HEALTH_CHECK_METHODS must be one or more of ping, list_tools, list_prompts, list_resources, ' +
        'skip, comma between',
    ]);
  });

  it('§9: affinity is on with Redis, unless it is said otherwise', () => {
    const redis = { REDIS_URL: 'redis://h', DATABASE_URL: 'postgres://h/db', ENCRYPTION_KEY: KEY };
    const affinity = (env: Env): boolean => loadSettings(env).MCPGATEWAY_SESSION_AFFINITY_ENABLED;
    expect(affinity(redis)).toBe(true);
    expect(affinity({ ...redis, MCPGATEWAY_SESSION_AFFINITY_ENABLED: 'false' })).toBe(false);
    expect(affinity({ MCPGATEWAY_SESSION_AFFINITY_ENABLED: 'on' })).toBe(true);
  });

  it.each([
    ['MCP_SESSION_POOL_MAX_PERKEY', 'MCP_SESSION_POOL_MAX_PER_KEY'],
    ['MCP_SESSION_POOL_ACQUIRE_TIMEOUT_MS', 'MCP_SESSION_POOL_ACQUIRE_TIMEOUT'],
    ['MCP_SESSION_POOL_Ttl', 'MCP_SESSION_POOL_TTL'],
    ['MCPGATEWAY_ADMIN_ENABLED', 'MCPGATEWAY_ADMIN_API_ENABLED'],
  ])('refuses the unknown %s and names %s', (name, meant) => {
    expect(problemsOf({ [name]: '1' })).toEqual([`${name} is not a setting; did you mean ${meant}?`]);
  });

  it('leaves names alone that are not ours', () => {
    expect(problemsOf({ MCP_OTHER: '1', MCPGATEWAYS: '1', PATH: '/bin', mcp_session_pool_x: '1' })).toEqual([]);
  });

  it('ignores what Kubernetes injects for a service called mcpgateway, and nothing that looks nearly like it', () => {
    expect(
      problemsOf({
        MCPGATEWAY_SERVICE_HOST: '10.0.0.1',
        MCPGATEWAY_SERVICE_PORT: '4444',
        MCPGATEWAY_SERVICE_PORT_HTTP: '4444',
        MCPGATEWAY_PORT: 'tcp://10.0.0.1:4444',
        MCPGATEWAY_PORT_4444_TCP: 'tcp://10.0.0.1:4444',
        MCPGATEWAY_PORT_4444_TCP_PROTO: 'tcp',
        MCPGATEWAY_PORT_4444_TCP_PORT: '4444',
        MCPGATEWAY_PORT_4444_TCP_ADDR: '10.0.0.1',
        MCPGATEWAY_REDIS_SERVICE_HOST: '10.0.0.2',
      }),
    ).toEqual([]);
    expect(problemsOf({ MCPGATEWAY_PORT: '4444', MCPGATEWAY_PORT_TCP: '1' })).toHaveLength(2);
  });

  it('tells all problems in one message, one a line', () => {
    const values = { PORT: 'x', LOG_LEVEL: 'loud', MCPGATEWAY_PROT: '1', MCP_SESSION_POOL_SIZE: '2' };
    expect(problemsOf(values)).toHaveLength(4);
    const relations = { CALL_TIMEOUT_SECONDS: '9999', HOST: '0.0.0.0', MCPGATEWAY_PROT: '1' };
    expect(problemsOf(relations)).toHaveLength(3);
    expect(() => loadSettings(relations)).toThrow(/^settings are not usable:(\n {2}- .+){3}$/);
  });

  it('development needs a loopback HOST and no production; the drain delay follows it', () => {
    const jwt = { AUTH_MODE: 'jwt', JWT_SECRET: SECRET };
    for (const env of [{ HOST: '0.0.0.0', ...jwt }, { NODE_ENV: 'production' }, { NODE_ENV: ' production\n' }]) {
      expect(loadSettings(env)).toMatchObject({ development: false, SHUTDOWN_DELAY_SECONDS: 5_000 });
    }
    expect(loadSettings({ NODE_ENV: 'production', SHUTDOWN_DELAY_SECONDS: '0' }).SHUTDOWN_DELAY_SECONDS).toBe(0);
  });

  it('S-1: only these hosts are loopback', () => {
    for (const host of ['127.0.0.1', '127.8.9.10', '::1', 'localhost']) expect(isLoopback(host)).toBe(true);
    for (const host of ['0.0.0.0', '::', '', '127.0.0.1.evil.example', 'localhost.evil.example', '1127.0.0.1'])
      expect(isLoopback(host)).toBe(false);
  });

  it('S-4: prints no secret, and says where it connects', () => {
    const settings = loadSettings({
      AUTH_MODE: 'jwt',
      JWT_SECRET: SECRET,
      ENCRYPTION_KEY: KEY,
      DATABASE_URL: 'postgres://me:pg%40pass@db:5432/gw?password=querypass',
      REDIS_URL: 'rediss://:redispass@cache:6380/1',
    });
    const text = JSON.stringify(maskSettings(settings));
    for (const secret of [SECRET, KEY, 'pg%40pass', 'querypass', 'redispass']) expect(text).not.toContain(secret);
    for (const known of ['me:***@db:5432/gw', '***@cache:6380/1']) expect(text).toContain(known);
    expect(settings.JWT_SECRET).toBe(SECRET);
    expect(maskSettings(loadSettings({}))).not.toHaveProperty('JWT_SECRET');
  });
});
