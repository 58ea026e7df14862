import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from '@jest/globals';
import ts from 'typescript';
import { plain, type Row, tableRows } from './support/markdown.js';

/** What the two seed files hold: 34 + 12 tests. */
const TESTS = 46;
const STANDS = 'stands';
const COMES = /^comes with issue [3-6]$/;

const ROOT = new URL('../', import.meta.url);
const SEEDS = new URL('test/e2e/seeds/', ROOT);

/** Everything in which the list and the tests differ, one line each. @param tests titles of the tests by file name */
function seedProblems(rows: readonly Row[], tests: Readonly<Record<string, readonly string[]>>): string[] {
  const titles = rows.map((row) => plain(row['Test']));
  return [
    ...(rows.length === TESTS ? [] : [`${rows.length} rows, not ${TESTS}`]),
    ...titles.filter((title, at) => titles.indexOf(title) !== at).map((title) => `${title} is there twice`),
    ...rows.flatMap((row) => rowProblems(row, tests)),
    ...Object.entries(tests).flatMap(([file, found]) => testProblems(file, found, rows)),
  ];
}

function rowProblems(row: Row, tests: Readonly<Record<string, readonly string[]>>): string[] {
  const [title, file, state = ''] = [plain(row['Test']), plain(row['File']), row['State']];
  const count = (tests[file] ?? []).filter((found) => found === title).length;
  if (!/^test_\w+$/.test(title) || !/^Test\w+$/.test(plain(row['Class']))) return [`row ${row['#']} names no test`];
  if (!/^[a-z-]+\.e2e-spec\.ts$/.test(file)) return [`${title}: ${file} is no e2e test file`];
  if (state === STANDS) return count === 1 ? [] : [`${title} stands, and ${file} has ${count} tests of this title`];
  return COMES.test(state) ? [] : [`${title}: "${state}" is no state`];
}

function testProblems(file: string, found: readonly string[], rows: readonly Row[]): string[] {
  return found.flatMap((title) => {
    const row = rows.find((one) => plain(one['Test']) === title);
    // A title in the manner of the seeds that is in no row is a misspelt one.
    if (!row) return title.startsWith('test_') ? [`${file}: ${title} is not in the list`] : [];
    return plain(row['File']) === file && row['State'] === STANDS
      ? []
      : [`${file} has ${title}, and the list says "${row['State']}" in ${plain(row['File'])}`];
  });
}

/** The titles of all `it` and `test` calls of a file; comments and skipped ones do not count. */
function titlesOf(text: string): string[] {
  const titles: string[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isCallExpression(node) && ts.isIdentifier(node.expression) && /^(it|test)$/.test(node.expression.text)) {
      const [title] = node.arguments;
      if (title && ts.isStringLiteralLike(title)) titles.push(title.text);
    }
    ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile('seeds.ts', text, ts.ScriptTarget.Latest));
  return titles;
}

function seedTests(): Record<string, string[]> {
  const folder = fileURLToPath(SEEDS);
  const files = existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith('.e2e-spec.ts')) : [];
  return Object.fromEntries(files.map((name) => [name, titlesOf(readFileSync(folder + name, 'utf8'))]));
}

const LIST = readFileSync(new URL('docs/seeds.md', ROOT), 'utf8');
const ROWS = tableRows(LIST, '#');

describe('docs/seeds.md', () => {
  it('lists all tests of the seeds, and says of each where it truly stands', () => {
    expect(seedProblems(ROWS, seedTests())).toEqual([]);
  });

  it('has 34 and 12 of them, numbered as in their files', () => {
    const numbers = ROWS.map((row) => Number(row['#']));
    expect(numbers).toEqual([...count(34), ...count(12)]);
  });
});

describe('the check', () => {
  const [first = {}, second = {}, ...others] = ROWS;
  const file = plain(first['File']);
  const title = plain(first['Test']);
  const pending = ROWS.map((row) => ({ ...row, State: 'comes with issue 3' }));
  const standing: Row[] = [{ ...first, State: STANDS }, ...pending.slice(1)];

  it('accepts a list that tells the truth', () => {
    expect(seedProblems(pending, {})).toEqual([]);
    expect(seedProblems(standing, { [file]: [title, 'something of its own'] })).toEqual([]);
  });

  it.each([
    ['a row is missing', [first, ...others], {}, '45 rows, not 46'],
    ['a row is there twice', [first, first, ...others], {}, `${title} is there twice`],
    ['a row says "stands" and no test does', standing, {}, `${title} stands, and ${file} has 0 tests`],
    ['the test has nearly this title', standing, { [file]: [`${title} `] }, `${title} stands, and ${file} has 0`],
    ['the test is in another file', standing, { 'x.e2e-spec.ts': [title] }, `x.e2e-spec.ts has ${title}`],
    ['two tests have the title', standing, { [file]: [title, title] }, `${title} stands, and ${file} has 2 tests`],
    ['a test stands and the row does not say so', pending, { [file]: [title] }, `${file} has ${title}, and the list`],
    [
      'a title of a test is misspelt',
      pending,
      { [file]: ['test_nothing'] },
      `${file}: test_nothing is not in the list`,
    ],
    ['the state is made up', [first, { ...second, State: 'soon' }, ...others], {}, '"soon" is no state'],
    ['the file is none', [first, { ...second, File: '`x.ts`' }, ...others], {}, 'x.ts is no e2e test file'],
  ])('complains when %s', (_, rows, tests: Record<string, string[]>, complaint) => {
    expect(seedProblems(rows, tests).join('\n')).toContain(complaint);
  });

  it('reads titles from the syntax, so that a comment or a skipped test is none', () => {
    const text = [
      `describe('x', () => {`,
      `  it('test_a', async () => {});`,
      '  test(`test_b`, () => {});',
      `  // it('test_c', () => {});`,
      `  it.skip('test_d', () => {});`,
      `});`,
    ];
    expect(titlesOf(text.join('\n'))).toEqual(['test_a', 'test_b']);
  });
});

function count(to: number): number[] {
  return Array.from({ length: to }, (_, index) => index + 1);
}
