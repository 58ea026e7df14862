// Reads what `node --cpu-prof` writes: self time by function and by package, as shares of the time that was not idle.
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { ROOT } from './processes.mjs';

/** Time in which nothing of the process ran. */
const IDLE = new Set(['(idle)', '(root)']);

/** @param window on the profile's own clock, microseconds: what came before and after is not counted */
export function readProfile(profile, { from = 0, until = Infinity } = {}) {
  const nodes = new Map(profile.nodes.map((node) => [node.id, node.callFrame]));
  const functions = new Map();
  const packages = new Map();
  let busy = 0;
  let at = profile.startTime;
  profile.samples.forEach((id, i) => {
    at += profile.timeDeltas[i];
    const frame = nodes.get(id);
    if (at < from || at > until || IDLE.has(frame.functionName)) return;
    // A sample stands for the time until the next one.
    const spent = profile.timeDeltas[i + 1] ?? 0;
    busy += spent;
    const { name, where, part } = placeOf(frame);
    add(functions, `${name}\n${where}`, spent);
    add(packages, part, spent);
  });
  const ranked = (sums) =>
    [...sums].map(([key, spent]) => ({ key, share: spent / busy })).sort((a, b) => b.share - a.share);
  return {
    byFunction: ranked(functions).map(({ key, share }) => {
      const [name, where] = key.split('\n');
      return { name, where, share };
    }),
    byPackage: ranked(packages).map(({ key, share }) => ({ name: key, share })),
  };
}

function add(sums, key, spent) {
  sums.set(key, (sums.get(key) ?? 0) + spent);
}

/** Where a frame is: paths as seen from the root of the project, without anything of the machine. */
function placeOf({ functionName, url, lineNumber }) {
  const name = functionName || '(anonymous)';
  if (url === '') return { name, where: 'runtime', part: name.startsWith('(') ? name : '(builtins of V8 and Node)' };
  if (url.startsWith('wasm:')) return { name, where: url, part: 'WebAssembly (the HTTP parser of undici)' };
  if (url.startsWith('node:')) return { name, where: url, part: url.replace(/^(node:(?:internal\/)?[^/]+).*/, '$1') };
  const file = path.relative(ROOT, url.startsWith('file:') ? fileURLToPath(url) : url).replaceAll('\\', '/');
  const where = `${file}:${lineNumber + 1}`;
  const [, dependency] = /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(file) ?? [];
  if (dependency) return { name, where: where.replace(/^.*node_modules\//, ''), part: dependency };
  return { name, where, part: `ours: ${path.dirname(file.replace(/^dist\//, ''))}` };
}
