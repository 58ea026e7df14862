// Closed loops of calls, and the interleaving of them: what shares a machine with others can be compared only with what
// ran right before and after it, so every ratio is one of neighbours in time.
import { cpuUs, machine, pct, rssKb, sleep } from './util.mjs';

/** After a failed call a worker pauses, so that a broken target does not flood the report. */
const PAUSE_MS = 20;
const MAX_ERRORS = 5;

/**
 * `concurrency` workers, each with one call at a time, until `ms` have passed or `count` calls were started.
 *
 * @param own process ids of the measurement; whatever else the machine does is `foreignCores`
 */
export async function slice(target, { ms = Infinity, count = Infinity, concurrency, own = [] }) {
  await target.open();
  const latencies = [];
  const errors = new Map();
  const seen = { ok: 0, wrong: 0, failed: 0 };
  const ours = [process.pid, ...own];
  const cpuBefore = cpuUs(target.pid);
  const foreignBefore = machine().busy - cpuUs(ours);
  const began = performance.now();
  let started = 0;
  const worker = async (number) => {
    while (started < count && performance.now() - began < ms) {
      started += 1;
      const sent = performance.now();
      const outcome = await target.call(number).catch((error) => error.message || String(error));
      if (outcome === 'ok') {
        seen.ok += 1;
        latencies.push(performance.now() - sent);
      } else if (outcome === 'wrong') seen.wrong += 1;
      else {
        seen.failed += 1;
        if (errors.size < MAX_ERRORS || errors.has(outcome)) errors.set(outcome, (errors.get(outcome) ?? 0) + 1);
        await sleep(PAUSE_MS);
      }
    }
  };
  await Promise.all(Array.from({ length: concurrency }, (_, number) => worker(number)));
  const wall = performance.now() - began;
  latencies.sort((a, b) => a - b);
  return {
    ...seen,
    errors: Object.fromEntries(errors),
    rps: (seen.ok / wall) * 1000,
    p50: pct(latencies, 50),
    p99: pct(latencies, 99),
    cpuUs: (cpuUs(target.pid) - cpuBefore) / Math.max(1, seen.ok),
    rssKb: rssKb(target.pid),
    foreignCores: Math.max(0, (machine().busy - cpuUs(ours) - foreignBefore) / 1000 / wall),
  };
}

/**
 * Rounds of slices: A B C, C B A, …
 *
 * @param tries how often a slice is made in which others took more than `quiet` cores; the quietest counts
 * @returns for each target, in their order, its slices in the order of the rounds
 */
export async function interleaved(targets, { rounds, warmUp, quiet, tries, log, ...how }) {
  const slices = new Map(targets.map((target) => [target, []]));
  for (const target of targets) await slice(target, { ...how, ...warmUp });
  for (let round = 0; round < rounds; round += 1) {
    for (const target of round % 2 === 0 ? targets : targets.toReversed()) {
      const best = await quietest(target, how, quiet, tries);
      slices.get(target).push(best);
      log(`${round + 1}/${rounds} ${target.name}: ${told(best)}`);
    }
  }
  return targets.map((target) => slices.get(target));
}

async function quietest(target, how, quiet, tries) {
  const made = [];
  for (let i = 0; i < tries; i += 1) {
    if (i > 0) await sleep(400 * i);
    made.push(await slice(target, how));
    if (made.at(-1).foreignCores <= quiet) break;
  }
  // A slice that counts for nothing still had to give right answers.
  const sum = (name) => made.reduce((all, one) => all + one[name], 0);
  const best = made.reduce((a, b) => (b.foreignCores < a.foreignCores ? b : a));
  return {
    ...best,
    wrong: sum('wrong'),
    failed: sum('failed'),
    errors: Object.assign({}, ...made.map((m) => m.errors)),
  };
}

function told({ rps, p50, p99, cpuUs: cpu, wrong, failed, foreignCores, errors }) {
  const figures = `${Math.round(rps)}/s p50 ${p50?.toFixed(2)} p99 ${p99?.toFixed(2)} ms, ${cpu.toFixed(0)} µs CPU`;
  const faults = wrong + failed > 0 ? `, ${wrong} wrong, ${failed} failed ${JSON.stringify(errors)}` : '';
  return `${figures}, others ${foreignCores.toFixed(2)} cores${faults}`;
}
