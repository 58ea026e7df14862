import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { describe, expect, it } from '@jest/globals';
import { ERROR_TABLE } from '../src/common/errors.js';
import { EnvironmentSchema } from '../src/config/schema.js';
import { loadSettings, type Settings } from '../src/config/settings.js';
import { codeBlocks, npmScripts, plain, relativeLinks, type Row, tableRows } from './support/markdown.js';

const ROOT = new URL('../', import.meta.url);
const read = (path: string): string => readFileSync(new URL(path, ROOT), 'utf8');
const PACKAGE = JSON.parse(read('package.json')) as {
  scripts: Record<string, string>;
  dependencies: Record<string, string>;
};

const PAGES = ['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md', ...markdownUnder('docs/')];

function markdownUnder(folder: string): string[] {
  const names = readdirSync(new URL(folder, ROOT), { recursive: true, encoding: 'utf8' });
  return names.filter((name) => name.endsWith('.md')).map((name) => folder + name.replaceAll('\\', '/'));
}

type Name = keyof typeof EnvironmentSchema.shape;
const NAMES = Object.keys(EnvironmentSchema.shape) as Name[];

/** What is wrong with rows of settings: names that are none, defaults and ranges that the schema does not have. */
function settingProblems(rows: readonly Row[]): string[] {
  return rows.flatMap((row) => {
    const name = plain(row['Setting']) as Name;
    if (!NAMES.includes(name)) return [`${name} is not a setting`];
    return [...defaultProblems(name, row['Default'] ?? ''), ...rangeProblems(name, row['Range'] ?? '')];
  });
}

/** A default is written as it would stand in the environment: given explicitly, it must change nothing. */
function defaultProblems(name: Name, cell: string): string[] {
  const [, development, production = development] = /^`([^`]+)`(?:.*, else `([^`]+)`)?/.exec(cell) ?? [];
  if (development === undefined && cell !== 'unset' && cell !== 'empty') return [`${name}: no default in "${cell}"`];
  const same =
    is(name, defaults({})[name], development, {}) &&
    is(name, defaults({ NODE_ENV: 'production' })[name], production, { NODE_ENV: 'production' });
  return same ? [] : [`${name}: the default is not ${cell}`];
}

function is(name: Name, real: unknown, told: string | undefined, env: Record<string, string>): boolean {
  if (name === 'NODE_ENV') return told === undefined; // it is what makes production
  if (told === undefined) return real === undefined || (Array.isArray(real) && real.length === 0);
  const written = told === 'hostname:pid' ? `${hostname()}:${process.pid}` : told;
  return real !== undefined && JSON.stringify(real) === JSON.stringify(defaults({ ...env, [name]: written })[name]);
}

/** The settings of an environment, none of them if it is refused. */
function defaults(env: Record<string, string>): Partial<Settings> {
  try {
    return loadSettings(env);
  } catch {
    return {};
  }
}

const NUMBER = String.raw`\d+(?:\.\d+)?`;
/** Of a time for which the page gives none: what a timer of Node can hold. */
const MAX_SECONDS = 2_147_483;

/** Every number needs a range, and the schema takes its ends and nothing just beyond. */
function rangeProblems(name: Name, cell: string): string[] {
  if (typeof loadSettings({})[name] !== 'number') return cell === '' ? [`${name}: no range`] : [];
  const takes = (value: number): boolean => EnvironmentSchema.shape[name].safeParse(String(value)).success;
  const [, floor, given] = new RegExp(`^(?:≥ )?(${NUMBER})(?: to (${NUMBER}))?$`).exec(cell) ?? [];
  if (floor === undefined) return [`${name}: "${cell}" is no range`];
  const low = Number(floor);
  const below = low === 0 || low >= 1 ? low - 1 : low * 0.9;
  const high =
    given ?? (/_(SECONDS|TIMEOUT|TTL|RESET|INTERVAL|EVICTION|WARNING)$/.test(name) ? MAX_SECONDS : undefined);
  return [
    ...(takes(low) && !takes(below) ? [] : [`${name}: the floor is not ${floor}`]),
    ...(high === undefined || (takes(Number(high)) && !takes(Number(high) + 1))
      ? []
      : [`${name}: the ceiling is not ${high}`]),
  ];
}

describe('docs/settings.md', () => {
  const rows = tableRows(read('docs/settings.md'), 'Setting');

  it('has every setting of the schema, once, and no other (SPEC §9)', () => {
    expect(rows.map((row) => plain(row['Setting'])).sort()).toEqual([...NAMES].sort());
  });

  it("tells the schema's real defaults, floors and ceilings", () => {
    expect(settingProblems(rows)).toEqual([]);
  });

  it('names no setting in its text that is none', () => {
    const words = [...read('docs/settings.md').matchAll(/`([A-Z]+_[A-Z0-9_]+)`/g)].map(([, word = '']) => word);
    const known: string[] = [...NAMES, ...Object.keys(ERROR_TABLE)];
    expect(words.filter((word) => !known.includes(word) && !word.endsWith('_'))).toEqual([]);
  });

  it.each([
    ['PORT', { Setting: '`PROT`' }, 'PROT is not a setting'],
    ['PORT', { Default: '`4445`' }, 'PORT: the default is not `4445`'],
    ['PORT', { Default: '4444' }, 'PORT: no default in "4444"'],
    ['REDIS_URL', { Default: '`redis://x`' }, 'REDIS_URL: the default is not `redis://x`'],
    ['AUTH_MODE', { Default: 'unset' }, 'AUTH_MODE: the default is not unset'],
    ['SHUTDOWN_DELAY_SECONDS', { Default: '`0`' }, 'SHUTDOWN_DELAY_SECONDS: the default is not `0`'],
    ['PORT', { Range: '1 to 65535' }, 'PORT: the floor is not 1'],
    ['PORT', { Range: '0 to 65534' }, 'PORT: the ceiling is not 65534'],
    ['PORT', { Range: 'any' }, 'PORT: "any" is no range'],
    ['HOST', { Range: '' }, 'HOST: no range'],
  ])('the check bites on %s: %j', (name, wrong, complaint) => {
    const row = rows.find((one) => plain(one['Setting']) === name) ?? {};
    expect(settingProblems([row])).toEqual([]);
    expect(settingProblems([{ ...row, ...wrong }])).toContain(complaint);
  });
});

describe('docs/errors.md', () => {
  it('is the table of the code', () => {
    const yes = { yes: true, no: false };
    const told = tableRows(read('docs/errors.md'), 'Code').map((row) => [
      plain(row['Code']),
      { http: Number(row['HTTP']), rpc: Number(row['JSON-RPC']), retryable: yes[row['Retryable'] as 'yes' | 'no'] },
    ]);
    expect(told).toEqual(Object.entries(ERROR_TABLE));
  });

  it('says of each code what it means and what to do', () => {
    const rows = tableRows(read('docs/errors.md'), 'Code');
    const silent = rows.filter((row) => row['It means'] === '' || row['What to do'] === '');
    expect(silent).toEqual([]);
  });
});

describe('README.md', () => {
  const readme = read('README.md');

  it('tells real defaults of real settings', () => {
    const rows = tableRows(readme, 'Setting');
    expect(rows.length).toBeGreaterThan(0);
    const full = tableRows(read('docs/settings.md'), 'Setting');
    const ranges = rows.map((row) => full.find((one) => one['Setting'] === row['Setting'])?.['Range'] ?? '');
    expect(settingProblems(rows.map((row, at) => ({ ...row, Range: ranges[at] ?? '' })))).toEqual([]);
  });

  it('has JSON that is JSON', () => {
    const blocks = codeBlocks(readme, 'json');
    expect(blocks.length).toBeGreaterThan(0);
    for (const block of blocks) expect(() => JSON.parse(block) as unknown).not.toThrow();
    for (const [, body = ''] of readme.matchAll(/-d '(\{[^']*\})'/g))
      expect(() => JSON.parse(body) as unknown).not.toThrow();
  });
});

describe('docs/decisions', () => {
  const decisions = PAGES.filter((page) => page.startsWith('docs/decisions/'));

  it('are numbered without a gap, and each has its status and its parts', () => {
    const numbers = decisions.map((page) => Number(page.slice('docs/decisions/'.length).slice(0, 4)));
    expect(numbers.sort((a, b) => a - b)).toEqual(numbers.map((_, index) => index + 1));
    for (const page of decisions) {
      const headings = [...read(page).matchAll(/^## (.*)$/gm)].map(([, heading]) => heading);
      expect({ page, headings }).toEqual({ page, headings: ['Context', 'Decision', 'Consequences'] });
      expect(read(page)).toMatch(/^Status: (accepted|superseded by \d{4})/m);
    }
  });

  it('name the reason of every dependency', () => {
    const text = read('docs/decisions/0006-libraries.md');
    expect(Object.keys(PACKAGE.dependencies).filter((name) => !text.includes(`\`${name}\``))).toEqual([]);
  });
});

describe('every page', () => {
  it.each(PAGES)('%s: its links lead to files of this repository', (page) => {
    const missing = relativeLinks(read(page)).filter((target) => !existsSync(new URL(target, new URL(page, ROOT))));
    expect(missing).toEqual([]);
  });

  it.each(PAGES)('%s: every npm script that it names is one', (page) => {
    expect(npmScripts(read(page)).filter((name) => !(name in PACKAGE.scripts))).toEqual([]);
  });

  it.each(PAGES)('%s: no path of somebody’s machine, no address of a registry', (page) => {
    expect(read(page)).not.toMatch(
      /(^|[\s`"'(=])\/(work|home|root|Users)\/|https?:\/\/[^\s/]*registry|registry\.npmjs/m,
    );
  });

  it('the readers of pages find what is there', () => {
    const page =
      'see [a](x/y.md#z), [b](https://x.org), [c](#d), `[e](f)`\n```sh\n[g](h)\nnpm run build && npm test\n```\n';
    expect(relativeLinks(page)).toEqual(['x/y.md']);
    expect(npmScripts(page)).toEqual(['build', 'test']);
    expect(codeBlocks(page, 'sh')).toEqual(['[g](h)\nnpm run build && npm test\n']);
    expect(tableRows('| A | B |\n| --- | :-: |\n| `x` | 1 |\n\n| C |\n| - |\n| y |\n', 'A')).toEqual([
      { A: '`x`', B: '1' },
    ]);
  });
});
