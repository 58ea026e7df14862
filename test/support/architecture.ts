import { posix } from 'node:path';
import ts from 'typescript';

/** A source file by its path from `src`, with forward slashes. */
export interface SourceFile {
  readonly path: string;
  readonly text: string;
}

/** What each room may import besides itself. */
export type Arrows = Readonly<Record<string, readonly string[]>>;

export const MAX_LINES = 400;

interface Import {
  readonly from: string;
  /** Path from `src` of the imported file, as `.ts`; starts with `../` outside of it. */
  readonly to: string;
  readonly line: number;
}

/** Everything that breaks the order of the house, one line each; packages are not looked at. */
export function architectureProblems(files: readonly SourceFile[], arrows: Arrows): string[] {
  const imports = files.flatMap(importsOf);
  return [
    ...files.filter(({ path }) => !(roomOf(path) in arrows)).map(({ path }) => `${path}: ${roomOf(path)} is no room`),
    ...imports.flatMap((one) => wrongArrow(one, arrows)),
    ...cyclesOf(imports).map((cycle) => `import cycle: ${cycle.join(' -> ')}`),
    ...files.filter(({ text }) => linesOf(text) > MAX_LINES).map(tooLong),
    ...files.flatMap(forwardRefs),
  ];
}

/** Uses of `.only`, `.skip`, `.todo` and their short forms (`fit`, `xdescribe` …) in a test file. */
export function focusProblems(file: SourceFile): string[] {
  const problems: string[] = [];
  visit(file, (node, line) => {
    const shortForm = ts.isIdentifier(node) && /^([fx](it|describe)|xtest)$/.test(node.text);
    const longForm =
      ts.isPropertyAccessExpression(node) &&
      /^(only|skip|todo)$/.test(node.name.text) &&
      /^(it|test|describe)\b/.test(node.expression.getText());
    if (shortForm || longForm) problems.push(`${file.path}:${line}: ${node.getText()}`);
  });
  return problems;
}

/** First folder, or the name of a file that stands in none (`main` for main.ts). */
function roomOf(path: string): string {
  const inner = path.replace(/^(\.\.\/)+/, '');
  const [first = ''] = inner.split('/');
  return first.replace(/\.ts$/, '');
}

/** Type-only imports too: they are arrows between rooms, and in this style they stay as imports in the output. */
function importsOf(file: SourceFile): Import[] {
  const { importedFiles } = ts.preProcessFile(file.text, true, true);
  return importedFiles
    .filter(({ fileName }) => fileName.startsWith('.'))
    .map(({ fileName, pos }) => ({
      from: file.path,
      to: posix.join(posix.dirname(file.path), fileName).replace(/\.js$/, '.ts'),
      line: linesOf(file.text.slice(0, pos)),
    }));
}

function wrongArrow({ from, to, line }: Import, arrows: Arrows): string[] {
  const [room, target] = [roomOf(from), roomOf(to)];
  const allowed = arrows[room] ?? [];
  if (room === target || allowed.includes(target)) return [];
  return [`${from}:${line} imports ${to}: ${room} may import ${allowed.join(', ') || 'nothing of ours'}`];
}

/** One cycle for each group of files that import each other in a circle (depth first, each file once). */
function cyclesOf(imports: readonly Import[]): string[][] {
  const next = new Map<string, string[]>();
  for (const { from, to } of imports) next.set(from, [...(next.get(from) ?? []), to]);
  const done = new Set<string>();
  const cycles: string[][] = [];
  const walk = (file: string, trail: readonly string[]): void => {
    const start = trail.indexOf(file);
    if (start >= 0) cycles.push([...trail.slice(start), file]);
    if (start >= 0 || done.has(file)) return;
    for (const target of next.get(file) ?? []) walk(target, [...trail, file]);
    done.add(file);
  };
  for (const file of next.keys()) walk(file, []);
  return cycles;
}

function tooLong({ path, text }: SourceFile): string {
  return `${path}: ${linesOf(text)} lines, at most ${MAX_LINES}`;
}

function forwardRefs(file: SourceFile): string[] {
  const problems: string[] = [];
  visit(file, (node, line) => {
    if (ts.isIdentifier(node) && node.text === 'forwardRef') problems.push(`${file.path}:${line}: forwardRef`);
  });
  return problems;
}

/** Walks the syntax tree, so that comments and strings do not count. */
function visit({ path, text }: SourceFile, look: (node: ts.Node, line: number) => void): void {
  const source = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true);
  const step = (node: ts.Node): void => {
    look(node, source.getLineAndCharacterOfPosition(node.getStart()).line + 1);
    ts.forEachChild(node, step);
  };
  step(source);
}

function linesOf(text: string): number {
  return text.replace(/\n$/, '').split('\n').length;
}
