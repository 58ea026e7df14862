// Shared helpers: flag parsing, process-tree CPU and RSS from /proc, percentiles.
import fs from 'node:fs';

/** --name value | --name=value | --name (true) | --no-name (false); repeats make arrays when the default is an array. */
export function flags(def, argv = process.argv.slice(2)) {
  const o = { ...def, _: [] };
  for (let i = 0; i < argv.length; i++) {
    const a = argv[i];
    if (!a.startsWith('--')) {
      o._.push(a);
      continue;
    }
    let [k, v] = a.slice(2).split(/=(.*)/s);
    if (k.startsWith('no-') && k.slice(3) in def) {
      o[k.slice(3)] = false;
      continue;
    }
    const name = k.replace(/-(\w)/g, (_, c) => c.toUpperCase());
    if (!(name in def)) throw new Error('unknown option --' + k);
    if (v === undefined) v = typeof def[name] === 'boolean' ? true : argv[++i];
    if (Array.isArray(def[name])) o[name] = [...o[name], v];
    else o[name] = typeof def[name] === 'number' ? Number(v) : v;
  }
  return o;
}

const children = (pid) => {
  try {
    return fs.readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(/\s+/).filter(Boolean).map(Number);
  } catch {
    return [];
  }
};
/** pid and all its descendants (children forked by any thread). */
export function tree(pid) {
  const out = [pid];
  for (let i = 0; i < out.length; i++) {
    let kids = children(out[i]);
    try {
      for (const t of fs.readdirSync(`/proc/${out[i]}/task`))
        if (t !== String(out[i])) {
          try {
            kids = kids.concat(
              fs
                .readFileSync(`/proc/${out[i]}/task/${t}/children`, 'utf8')
                .trim()
                .split(/\s+/)
                .filter(Boolean)
                .map(Number),
            );
          } catch {
            // that process or thread has ended
          }
        }
    } catch {
      // that process or thread has ended
    }
    for (const k of kids) if (!out.includes(k)) out.push(k);
  }
  return out;
}
/** CPU microseconds (user+system, all threads) of process trees from /proc/PID/stat; ticks of 10 ms. */
export function cpuUs(pid) {
  let ticks = 0;
  for (const p of new Set([pid].flat().flatMap(tree))) {
    try {
      const f = fs.readFileSync(`/proc/${p}/stat`, 'utf8');
      const a = f.slice(f.lastIndexOf(')') + 2).split(' ');
      ticks += +a[11] + +a[12];
    } catch {
      // that process or thread has ended
    }
  }
  return ticks * 10000;
}
/** Resident KiB of a process tree. */
export function rssKb(pid) {
  let kb = 0;
  for (const p of tree(pid)) {
    try {
      kb += +(/VmRSS:\s+(\d+)/.exec(fs.readFileSync(`/proc/${p}/status`, 'utf8'))?.[1] ?? 0);
    } catch {
      // that process or thread has ended
    }
  }
  return kb;
}
/** Total busy and all jiffies of the machine, to see how much other work ran in a slice. */
export function machine() {
  const a = fs.readFileSync('/proc/stat', 'utf8').split('\n')[0].trim().split(/\s+/).slice(1).map(Number);
  const idle = a[3] + a[4];
  return { busy: (a.reduce((x, y) => x + y, 0) - idle) * 10000 };
}
export const pct = (sorted, p) =>
  sorted.length ? sorted[Math.min(sorted.length - 1, Math.ceil((p / 100) * sorted.length) - 1)] : NaN;
export const sleep = (ms) => new Promise((r) => setTimeout(r, ms));
export const mmm = (a) => {
  const s = [...a].sort((x, y) => x - y);
  const n = s.length;
  return { min: s[0], median: n % 2 ? s[(n - 1) / 2] : (s[n / 2 - 1] + s[n / 2]) / 2, max: s[n - 1] };
};
export const r1 = (x, d = 1) => (Number.isFinite(x) ? +x.toFixed(d) : null);
