// Where the gateway's time goes under load: by function and by package, of what --cpu-prof has seen during the load.
//   npm run bench:profile [-- --kind mcp|rpc --seconds 10 --top 25]
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { readProfile } from './cpu-profile.mjs';
import { slice } from './slices.mjs';
import { Target } from './target.mjs';
import { flags } from './util.mjs';
import { FREE, World } from './world.mjs';

const o = flags({ kind: 'mcp', seconds: 10, warmup: 3, top: 25, concurrency: 16, keep: '' });
const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'bench-profile-'));
const world = await World.start();
try {
  const gateway = await world.gateway({}, ['--cpu-prof', '--cpu-prof-dir', dir, '--cpu-prof-interval', '500']);
  await world.register(gateway);
  const { url, pid } = gateway;
  const { headers } = world;
  const target = new Target({
    name: 'gateway',
    url: `${url}/${o.kind}`,
    kind: o.kind,
    tool: `${FREE}-echo`,
    pid,
    headers,
  });
  await slice(target, { ms: o.warmup * 1000, concurrency: o.concurrency });
  const from = monotonicUs();
  const { ok, wrong, failed, rps, cpuUs } = await slice(target, { ms: o.seconds * 1000, concurrency: o.concurrency });
  const until = monotonicUs();
  await target.close();
  await gateway.end(); // writes the profile
  const file = path.join(dir, fs.readdirSync(dir)[0]);
  if (o.keep) fs.copyFileSync(file, o.keep);
  console.log(`POST /${o.kind}, ${o.concurrency} in flight: ${ok} calls (${wrong} wrong, ${failed} failed), `);
  console.log(`${Math.round(rps)}/s, ${Math.round(cpuUs)} µs CPU per call with the profiler on\n`);
  print(readProfile(JSON.parse(fs.readFileSync(file, 'utf8')), { from, until }));
} finally {
  await world.end();
  fs.rmSync(dir, { recursive: true, force: true });
}

/** The clock of the profile, which all processes of the machine share. */
function monotonicUs() {
  return Number(process.hrtime.bigint() / 1000n);
}

function print({ byFunction, byPackage }) {
  const percent = (share) => `${(share * 100).toFixed(1)} %`;
  console.log('| self time | function | where |\n| --- | --- | --- |');
  for (const { share, name, where } of byFunction.slice(0, o.top)) {
    console.log(`| ${percent(share)} | \`${name}\` | ${where} |`);
  }
  console.log('\n| self time | part |\n| --- | --- |');
  for (const { share, name } of byPackage.slice(0, o.top)) console.log(`| ${percent(share)} | ${name} |`);
}
