// The result as a person reads it; tables are Markdown, to be put into docs/performance.md as they are.
const text = {
  count: (x) => Math.round(x).toLocaleString('en'),
  ms: (x) => x.toFixed(2),
  ratio: (x) => x.toFixed(2),
};

export function reportOf({ groups, memory, verdicts, calls, wrong, failed }) {
  return [
    absolutes(groups),
    ratios(groups),
    `Memory of the gateway: ${memory.rssMiB.toFixed(0)} MiB after ${text.count(memory.calls)} calls, ` +
      `${memory.endRssMiB.toFixed(0)} MiB after all ${text.count(memory.endCalls)} of it.`,
    asked(verdicts),
    `${text.count(calls)} calls, each answer checked: ${wrong} wrong, ${failed} failed.`,
  ].join('\n\n');
}

function absolutes(groups) {
  const rows = groups.flatMap(({ title, targets }) =>
    targets.map(({ name, rps, p50, p99, cpuUs, foreignCores }) => [
      title,
      name,
      text.count(rps.median),
      text.ms(p50.median),
      text.ms(p99.median),
      text.count(cpuUs.median),
      text.ratio(foreignCores.median),
    ]),
  );
  const head = ['measurement', 'target', 'calls/s', 'p50 ms', 'p99 ms', 'CPU µs/call', 'cores taken by others'];
  return table(head, rows);
}

function ratios(groups) {
  const range = ({ min, median, max }) => [min, median, max].map(text.ratio).join(' / ');
  const rows = groups.map(({ title, ratios: { throughput, p50, p99, cpu } }) => [
    title,
    ...[throughput, p50, p99, cpu].map(range),
  ]);
  return table(['ratio, min / median / max', 'throughput', 'p50', 'p99', 'CPU'], rows);
}

function asked(verdicts) {
  const limit = ({ atLeast, atMost }) =>
    atLeast === undefined ? `≤ ${text.ratio(atMost)}` : `≥ ${text.ratio(atLeast)}`;
  const rows = verdicts.map((one) => [
    one.what,
    Number.isFinite(one.value) ? text.ratio(one.value) : 'not measured',
    limit(one),
    one.met ? 'PASS' : 'MISS',
  ]);
  return table(['target', 'measured', 'asked for', ''], rows);
}

function table(head, rows) {
  const widths = head.map((cell, i) => Math.max(3, cell.length, ...rows.map((row) => row[i].length)));
  const line = (cells) => `| ${cells.map((cell, i) => cell.padEnd(widths[i])).join(' | ')} |`;
  return [line(head), line(widths.map((width) => '-'.repeat(width))), ...rows.map(line)].join('\n');
}
