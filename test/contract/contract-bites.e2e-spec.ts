import { setTimeout as pause } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import { UpstreamError } from '../../src/upstream/upstream.errors.js';
import { type HeaderMap, type UpstreamSession } from '../../src/upstream/upstream.port.js';
import { Bench, type ClosableConnector, type ContractCase, type Subject } from './bench.js';
import { CONTRACT } from './connector.contract.js';
import { SSE } from './subjects.js';

/** How long a case may take against a double that never answers before it counts as failed. */
const PATIENCE_MS = 1_000;

type Overrides = (session: UpstreamSession) => Partial<UpstreamSession>;

/** A double: the real session with some of its members replaced by broken ones. */
function broken(overrides: Overrides): Subject {
  return withConnector((connector) => ({
    connect: async (target, options) => {
      const session = await connector.connect(target, options);
      return over(session, overrides(session));
    },
    close: () => connector.close(),
  }));
}

function withConnector(wrap: (connector: ClosableConnector) => ClosableConnector): Subject {
  return { ...SSE, make: (options) => wrap(SSE.make(options)) };
}

function over(session: UpstreamSession, overrides: Partial<UpstreamSession>): UpstreamSession {
  return new Proxy(session, {
    get: (real, name) => {
      if (name in overrides) return Reflect.get(overrides, name) as unknown;
      const value = Reflect.get(real, name) as unknown;
      return typeof value === 'function' ? (value.bind(real) as unknown) : value;
    },
  });
}

const pinned = withConnector((connector) => ({
  connect: async (target, options) => {
    const headers: HeaderMap = await target.credentials.headers('call');
    return connector.connect({ ...target, credentials: { headers: () => headers } }, options);
  },
  close: () => connector.close(),
}));

const reconnecting = withConnector((connector) => ({
  connect: async (target, options) => {
    const session = await connector.connect(target, options);
    const request: UpstreamSession['request'] = (...args) =>
      session.request(...args).catch(async () => (await connector.connect(target, options)).request(...args));
    return over(session, { request });
  },
  close: () => connector.close(),
}));

const DOUBLES: readonly { readonly fault: string; readonly bites: string; readonly subject: Subject }[] = [
  {
    fault: 'gives every caller the first answer',
    bites: '50 concurrent requests',
    subject: broken((session) => {
      let first: ReturnType<UpstreamSession['request']> | undefined;
      return {
        request: async (...args) => {
          const own = session.request(...args);
          first ??= own;
          await own;
          return first;
        },
      };
    }),
  },
  {
    fault: 'throws JSON-RPC errors',
    bites: 'a JSON-RPC error of the server is a reply',
    subject: broken((session) => ({
      request: async (...args) => {
        const reply = await session.request(...args);
        if (reply.kind === 'error') throw new Error(reply.raw.toString());
        return reply;
      },
    })),
  },
  {
    fault: 'parses and rebuilds arguments',
    bites: 'arguments reach the server as the bytes',
    subject: broken((session) => ({
      request: (method, raw, options) =>
        session.request(method, raw && Buffer.from(JSON.stringify(JSON.parse(raw.toString()))), options),
    })),
  },
  {
    fault: 'parses and rebuilds results',
    bites: 'results come back as the bytes',
    subject: broken((session) => ({
      request: async (...args) => {
        const { kind, raw } = await session.request(...args);
        return { kind, raw: Buffer.from(JSON.stringify(JSON.parse(raw.toString()))) };
      },
    })),
  },
  { fault: 'pins the credentials of the connect', bites: 'rotated credentials', subject: pinned },
  {
    fault: 'does not hear the server',
    bites: 'a request of the server reaches the listener',
    subject: broken(() => ({ onMessage: () => undefined })),
  },
  {
    fault: 'cancels here only',
    bites: 'a cancelled call rejects at once',
    subject: broken((session) => ({
      request: (method, raw, { signal, onId } = {}) =>
        Promise.race([
          session.request(method, raw, onId ? { onId } : {}),
          new Promise<never>((_, reject) => {
            const cancelled = new UpstreamError('CANCELLED', 'cancelled', { execution: 'unknown' });
            signal?.addEventListener('abort', () => reject(cancelled));
          }),
        ]),
    })),
  },
  {
    fault: 'sends what is cancelled already',
    bites: 'with a signal that is aborted already',
    subject: broken((session) => ({
      request: async (method, raw, options) => {
        await session.request(method, raw);
        return session.request(method, raw, options);
      },
    })),
  },
  { fault: 'opens a new session behind the caller', bites: 'a session that the server forgot', subject: reconnecting },
  {
    fault: 'does not say that it is lost',
    bites: 'a session that the server forgot',
    subject: broken(() => ({ lost: undefined })),
  },
  {
    fault: 'closes twice',
    bites: 'terminate ends the session at the server',
    subject: broken((session) => ({ close: async (ending) => session.close(ending) })),
  },
  {
    fault: 'leaves the session open',
    bites: 'close rejects what is in flight',
    subject: broken(() => ({ close: async () => 'terminated' as const })),
  },
];

function caseOf(title: string): ContractCase {
  const found = Object.values(CONTRACT)
    .flat()
    .find((one) => one.title.startsWith(title));
  if (!found) throw new Error(`no case ${title}`);
  return found;
}

async function verdict(one: ContractCase, subject: Subject, patienceMs = PATIENCE_MS): Promise<'passes' | 'fails'> {
  const bench = await Bench.open(subject);
  const done = new AbortController();
  const patience = pause(patienceMs, 'fails' as const, { signal: done.signal }).catch(() => 'fails' as const);
  const run = one.run(bench).then(
    () => 'passes' as const,
    () => 'fails' as const,
  );
  try {
    return await Promise.race([run, patience]);
  } finally {
    done.abort();
    await bench.close();
    await run;
  }
}

describe('the contract of connectors bites (STYLE rule 18)', () => {
  it.each(DOUBLES)('a connector that $fault fails "$bites"', async ({ bites, subject }) => {
    const one = caseOf(bites);

    // What is sound may take its time on a busy machine; only the broken one is given up on soon.
    expect(await verdict(one, SSE, 20_000)).toBe('passes');
    expect(await verdict(one, subject)).toBe('fails');
  });
});
