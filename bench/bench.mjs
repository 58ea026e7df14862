// What a call through the gateway costs, beside a bare proxy and beside a session for each call.
//   npm run bench [-- --rounds 8 --slice 2 --quick --strict --out result.json]
// See README.md. Exit code 1 for a wrong or failed answer, and with --strict for a missed target.
import fs from 'node:fs';
import { interleaved, slice } from './slices.mjs';
import { reportOf } from './report.mjs';
import { Target } from './target.mjs';
import { flags, rssKb } from './util.mjs';
import { ratiosOf, summaryOf, verdictsOf } from './verdicts.mjs';
import { FREE, SLOW_START, World } from './world.mjs';

const o = flags({
  rounds: 8,
  slice: 2, // seconds
  calls: 0, // of a slice, instead of its time
  memoryCalls: 20_000,
  concurrency: 16,
  quiet: 0.35, // cores that others may take during a slice
  tries: 3, // to find such a quiet time
  quick: false,
  strict: false,
  json: false,
  out: '',
});
if (o.quick) Object.assign(o, { rounds: 3, slice: 0.5, memoryCalls: 5_000, tries: 1 });
const log = (line) => void process.stderr.write(`${line}\n`);

const world = await World.start();
let interrupted = false;
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => {
    interrupted = true;
    void world.end().finally(() => process.exit(1));
  });
}
try {
  process.exitCode = (await main()) ? 0 : 1;
} catch (error) {
  if (!interrupted) throw error; // else it is only that the processes have gone
} finally {
  await world.end();
}

async function main() {
  const [proxy, gateway, unpooled] = await Promise.all([
    world.proxy(),
    world.gateway(),
    world.gateway({ MCP_SESSION_POOL_ENABLED: 'false' }),
  ]);
  await world.register(gateway);

  const { headers } = world;
  const bare = (kind) =>
    new Target({ name: 'bare proxy', url: `${proxy.url}/${kind}`, kind, tool: 'echo', pid: proxy.pid });
  const through = (name, { url, pid }, kind, server) =>
    new Target({ name, url: `${url}/${kind}`, kind, tool: `${server}-echo`, pid, headers });

  const memory = await memoryOf(through('gateway', gateway, 'mcp', FREE), gateway.pid);
  const pooled = (server) => [
    through('pool hit', gateway, 'rpc', server),
    through('a session per call', unpooled, 'rpc', server),
  ];
  const groups = [];
  const compare = async (name, title, pair, concurrency = o.concurrency) => {
    log(`${title}:`);
    groups.push({ name, title, ...(await comparison(pair, concurrency)) });
  };
  for (const kind of ['mcp', 'rpc']) {
    await compare(kind, `/${kind} : bare proxy`, [through('gateway', gateway, kind, FREE), bare(kind)]);
  }
  await compare('pool', 'pool : no pool, initialize free', pooled(FREE));
  await compare('pool10', 'pool : no pool, initialize 10 ms', pooled(SLOW_START));
  // In a closed loop many in flight mostly wait for each other; one alone shows what a caller gains.
  await compare('pool10-alone', 'pool : no pool, initialize 10 ms, 1 in flight', pooled(SLOW_START), 1);

  memory.endRssMiB = rssKb(gateway.pid) / 1024;
  memory.endCalls = memory.calls + groups.reduce((sum, { targets: [subject] }) => sum + subject.ok, 0);
  return conclude(groups, memory);
}

/** Resident memory after so many calls of a gateway that has just started. */
async function memoryOf(target, pid) {
  const made = await slice(target, { count: o.memoryCalls, concurrency: o.concurrency });
  await target.close();
  return { calls: made.ok, wrong: made.wrong, failed: made.failed, rssMiB: rssKb(pid) / 1024 };
}

/** @param pair the subject, and the reference that its figures are divided by */
async function comparison(pair, concurrency) {
  const { rounds, quiet, tries, calls } = o;
  const length = calls > 0 ? { count: calls } : { ms: o.slice * 1000 };
  const warmUp = calls > 0 ? { count: Math.ceil(calls / 4) } : { ms: Math.min(1000, o.slice * 1000) };
  const how = { ...length, warmUp, rounds, concurrency, quiet, tries, log, own: world.pids };
  const slices = await interleaved(pair, how);
  await Promise.all(pair.map((target) => target.close()));
  const targets = pair.map((target, i) => summaryOf(target.name, slices[i]));
  return { targets, ratios: ratiosOf(...slices) };
}

function conclude(groups, memory) {
  const targets = groups.flatMap((group) => group.targets);
  const sum = (read) => targets.reduce((all, one) => all + read(one), read({ ...memory, ok: memory.calls }));
  const result = {
    node: process.version,
    options: { rounds: o.rounds, sliceSeconds: o.slice, sliceCalls: o.calls, concurrency: o.concurrency },
    groups,
    memory,
    verdicts: verdictsOf(groups, memory),
    calls: sum((one) => one.ok + one.wrong + one.failed),
    wrong: sum((one) => one.wrong),
    failed: sum((one) => one.failed),
  };
  if (o.out) fs.writeFileSync(o.out, `${JSON.stringify(result, null, 1)}\n`);
  console.log(o.json ? JSON.stringify(result) : reportOf(result));
  const right = result.wrong + result.failed === 0;
  return right && (!o.strict || result.verdicts.every(({ met }) => met));
}
