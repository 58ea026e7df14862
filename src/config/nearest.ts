/** The candidate with the smallest edit distance (Levenshtein) to `name`. */
export function nearest(name: string, candidates: readonly string[]): string {
  let best = '';
  let distance = Infinity;
  for (const candidate of candidates) {
    const now = editDistance(name, candidate);
    if (now < distance) [best, distance] = [candidate, now];
  }
  return best;
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const swap = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(swap, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
