/** One row of a table: cell text by the heading of its column. */
export type Row = Readonly<Record<string, string>>;

/** The rows of every table whose first column has this heading, in order. */
export function tableRows(markdown: string, firstColumn: string): Row[] {
  const rows: Row[] = [];
  let headings: string[] | undefined;
  for (const line of markdown.split('\n')) {
    if (!line.startsWith('|')) headings = undefined;
    else if (headings === undefined) headings = cellsOf(line);
    else if (headings[0] === firstColumn && !/^\|[\s|:-]+\|$/.test(line)) rows.push(rowOf(headings, cellsOf(line)));
  }
  return rows;
}

/** The text without the backticks around it. */
export function plain(cell: string | undefined): string {
  return (cell ?? '').replace(/^`(.*)`$/, '$1');
}

/** Targets of links to files of this repository, without their anchors. */
export function relativeLinks(markdown: string): string[] {
  const targets = [...withoutCode(markdown).matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = '']) => target);
  return targets.filter((target) => !/^([a-z]+:|#)/i.test(target)).map((target) => target.replace(/#.*$/, ''));
}

/** Names of the npm scripts that a text tells to run; `npm test` and `npm start` are scripts too. */
export function npmScripts(markdown: string): string[] {
  const named = [...markdown.matchAll(/\bnpm run ([a-z][\w:-]*)/g)].map(([, name = '']) => name);
  const short = [...markdown.matchAll(/\bnpm (test|start)\b/g)].map(([, name = '']) => name);
  return [...new Set([...named, ...short])];
}

/** The code blocks of one language. */
export function codeBlocks(markdown: string, language: string): string[] {
  return [...markdown.matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)]
    .filter(([, tag]) => tag === language)
    .map(([, , code = '']) => code);
}

function withoutCode(markdown: string): string {
  return markdown.replace(/^```[\s\S]*?^```$/gm, '').replace(/`[^`\n]*`/g, '');
}

function cellsOf(line: string): string[] {
  return line
    .replace(/^\||\|\s*$/g, '')
    .split('|')
    .map((cell) => cell.trim());
}

function rowOf(headings: readonly string[], cells: readonly string[]): Row {
  return Object.fromEntries(headings.map((heading, at) => [heading, cells[at] ?? '']));
}
