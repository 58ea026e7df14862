// What the fixture answers to a request, as text: tools, initialize, ping.
const VERSIONS = ['2025-11-25', '2025-06-18', '2025-03-26', '2024-11-05'];
const schema = (p, req) => ({ type: 'object', properties: p, ...(req ? { required: req } : {}) });
const baseTools = [
  { name: 'echo', description: 'Returns the text', inputSchema: schema({ text: { type: 'string' } }, ['text']) },
  {
    name: 'slow',
    description: 'Waits ms milliseconds, then returns the text',
    inputSchema: schema({ ms: { type: 'number' }, text: { type: 'string' } }),
  },
  { name: 'whoami', description: 'Session id and per-session call counter', inputSchema: schema({}) },
];

const ok = (id, result) => '{"jsonrpc":"2.0","id":' + JSON.stringify(id) + ',"result":' + result + '}';
export const err = (id, code, message) => JSON.stringify({ jsonrpc: '2.0', id, error: { code, message } });
const text = (t) => '{"content":[{"type":"text","text":' + JSON.stringify(t) + '}]}';
const later = (ms, t) => new Promise((resolve) => setTimeout(resolve, ms, t));

/**
 * @param S counters of what was asked
 * @param initializeMs how long an initialize takes
 * @returns `answer(message, session)`: the text, or a promise of it where there is something to wait for
 */
export function answering(S, { initializeMs }) {
  let tools = baseTools;
  const setTools = (n) => {
    tools = [...baseTools, ...Array.from({ length: n }, (_, i) => ({ ...baseTools[0], name: 'extra_' + i }))];
  };
  const answer = (m, s) => {
    switch (m.method) {
      case 'tools/call':
        S.calls++;
        return call(m, s);
      case 'initialize': {
        S.initialize++;
        const result = ok(m.id, initializeResult(m.params?.protocolVersion));
        return initializeMs > 0 ? later(initializeMs, result) : result;
      }
      case 'tools/list':
        S.lists++;
        return ok(m.id, JSON.stringify({ tools }));
      case 'ping':
        S.pings++;
        return ok(m.id, '{}');
      default:
        return err(m.id, -32601, 'Method not found');
    }
  };
  return { answer, setTools };
}

function call({ id, params }, s) {
  const a = params?.arguments ?? {};
  const calls = s ? ++s.calls : 0;
  switch (params?.name) {
    case 'slow':
      return later(Math.min(+a.ms || 0, 60000), ok(id, text(a.text ?? 'slept ' + (+a.ms || 0))));
    case 'whoami':
      return ok(id, text(JSON.stringify({ session: s?.id ?? null, calls })));
    case 'echo':
      return ok(id, text(String(a.text ?? '')));
    default:
      if (params?.name?.startsWith('extra_')) return ok(id, text(String(a.text ?? '')));
      return err(id, -32602, 'Unknown tool: ' + params?.name);
  }
}

function initializeResult(v) {
  return JSON.stringify({
    protocolVersion: VERSIONS.includes(v) ? v : VERSIONS[0],
    capabilities: { tools: { listChanged: true } },
    serverInfo: { name: 'fixture', version: '1.0.0' },
  });
}
