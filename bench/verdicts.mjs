// What is compared, and what is asked for.
import { mmm } from './util.mjs';

/** CPU of a call where that of the bare proxy is 67 µs. */
const CPU_RATIO = 110 / 67;
const MEMORY_MIB = 200;

/** One row for each: the measure is the median over the rounds of subject : reference. */
export const TARGETS = [
  ...['mcp', 'rpc'].flatMap((group) => [
    { group, measure: 'throughput', atLeast: 0.7 },
    { group, measure: 'p99', atMost: 2 },
    { group, measure: 'cpu', atMost: CPU_RATIO },
  ]),
  { group: 'pool', measure: 'throughput', atLeast: 2.2 },
  { group: 'pool10', measure: 'speed', atLeast: 8 },
  { group: 'pool10-alone', measure: 'speed', atLeast: 8 },
];

/** What a ratio is made of; `speed` is how many times shorter the median latency is. */
const RATIOS = {
  throughput: (subject, reference) => subject.rps / reference.rps,
  p50: (subject, reference) => subject.p50 / reference.p50,
  p99: (subject, reference) => subject.p99 / reference.p99,
  cpu: (subject, reference) => subject.cpuUs / reference.cpuUs,
  speed: (subject, reference) => reference.p50 / subject.p50,
};

/** @returns of each measure the least, median and greatest ratio of slices of one round */
export function ratiosOf(subject, reference) {
  const rounds = subject.map((_, round) => round);
  return Object.fromEntries(
    Object.entries(RATIOS).map(([name, ratio]) => [
      name,
      mmm(rounds.map((round) => ratio(subject[round], reference[round]))),
    ]),
  );
}

export function summaryOf(name, slices) {
  const of = (read) => mmm(slices.map(read));
  const sum = (read) => slices.reduce((all, one) => all + read(one), 0);
  return {
    name,
    rps: of((s) => s.rps),
    p50: of((s) => s.p50),
    p99: of((s) => s.p99),
    cpuUs: of((s) => s.cpuUs),
    foreignCores: of((s) => s.foreignCores),
    ok: sum((s) => s.ok),
    wrong: sum((s) => s.wrong),
    failed: sum((s) => s.failed),
    errors: Object.assign({}, ...slices.map((s) => s.errors)),
  };
}

export function verdictsOf(groups, memory) {
  const asked = TARGETS.map((target) => {
    const group = groups.find(({ name }) => name === target.group);
    const { median: value } = group.ratios[target.measure];
    return verdict(`${group.title}: ${target.measure}`, value, target);
  });
  return [...asked, verdict(`memory after ${memory.calls} calls, MiB`, memory.rssMiB, { atMost: MEMORY_MIB })];
}

/** A figure that could not be taken (nothing was measured) is a miss, too. */
function verdict(what, value, { atLeast, atMost }) {
  const met = atLeast === undefined ? value <= atMost : value >= atLeast;
  return { what, value, ...(atLeast === undefined ? { atMost } : { atLeast }), met };
}
