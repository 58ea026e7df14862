import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from '@jest/globals';
import {
  type Arrows,
  architectureProblems,
  focusProblems,
  MAX_LINES,
  type SourceFile,
} from './support/architecture.js';

/** Importable by every room. */
const LEAVES = ['config', 'metrics', 'redis', 'logging', 'common'];

/** What each room may import besides itself (CONTRIBUTING.md draws it); the one place where this is decided. */
const ROOMS = withLeaves({
  upstream: [],
  'session-pool': ['upstream'],
  database: ['migrations'],
  catalogue: ['session-pool', 'database'],
  execution: ['session-pool', 'catalogue'],
  affinity: ['execution', 'session-pool'],
  notification: ['session-pool', 'catalogue'],
  auth: [],
  gateway: ['notification', 'execution', 'session-pool', 'catalogue', 'auth'],
  downstream: ['affinity', 'execution', 'notification', 'catalogue', 'auth'],
  admin: ['downstream', 'affinity', 'session-pool', 'auth'],
  health: ['affinity', 'notification', 'session-pool', 'database', 'auth'],
});

/** Composition roots put the rooms together and are imported by no room. */
const ROOTS = ['app', 'cli', 'main'];

const ARROWS: Arrows = {
  common: [],
  config: ['common'],
  logging: ['common', 'config'],
  metrics: ['common', 'config'],
  redis: ['common', 'config', 'metrics', 'logging'],
  ...ROOMS,
  ...Object.fromEntries(ROOTS.map((root) => [root, [...Object.keys(ROOMS), ...LEAVES, ...ROOTS, 'migrations']])),
};

function withLeaves(rooms: Record<string, readonly string[]>): Record<string, readonly string[]> {
  return Object.fromEntries(Object.entries(rooms).map(([room, allowed]) => [room, [...allowed, ...LEAVES]]));
}

function filesUnder(folder: string): SourceFile[] {
  const root = fileURLToPath(new URL(`../${folder}/`, import.meta.url));
  return readdirSync(root, { recursive: true, encoding: 'utf8' })
    .map((path) => path.replaceAll('\\', '/'))
    .filter((path) => path.endsWith('.ts'))
    .map((path) => ({ path, text: readFileSync(root + path, 'utf8') }));
}

const isTest = ({ path }: SourceFile): boolean => /\.(e2e-)?spec\.ts$/.test(path);

describe('this source', () => {
  it('keeps the order of the rooms, has no cycle, no forwardRef and no file that is too long', () => {
    const sources = filesUnder('src').filter((file) => !isTest(file));
    expect(sources.length).toBeGreaterThan(0);
    expect(architectureProblems(sources, ARROWS)).toEqual([]);
  });

  it('leaves out no test', () => {
    const tests = [...filesUnder('src'), ...filesUnder('test')].filter(isTest);
    expect(tests.length).toBeGreaterThan(0);
    expect(tests.flatMap(focusProblems)).toEqual([]);
  });
});

describe('the table of arrows', () => {
  it('has itself no cycle, so that a room can only import what is below it', () => {
    const below = (room: string, trail: readonly string[]): void => {
      expect(trail).not.toContain(room);
      for (const next of ARROWS[room] ?? []) below(next, [...trail, room]);
    };
    for (const room of Object.keys(ARROWS).filter((name) => !ROOTS.includes(name))) below(room, []);
  });
});

describe('the check', () => {
  const problems = (files: Record<string, string>): string[] =>
    architectureProblems(
      Object.entries(files).map(([path, text]) => ({ path, text })),
      ARROWS,
    );

  it('accepts arrows that point down, in the same room, and to packages', () => {
    expect(
      problems({
        'catalogue/lookup.ts': `import { Pool } from '../session-pool/pool.js';\nimport { x } from './entities/x.js';`,
        'catalogue/entities/x.ts': `import { Entity } from 'typeorm';`,
        'session-pool/pool.ts': `export { type Target } from '../upstream/upstream.port.js';`,
        'upstream/upstream.port.ts': `import '../common/errors.js'; // forwardRef is not used`,
        'database/data-source.ts': `import { initial } from '../../migrations/1-initial.js';`,
        'main.ts': `import { App } from './app/app.module.js';`,
      }),
    ).toEqual([]);
  });

  it.each([
    ['an import', `import { Pool } from '../session-pool/pool.js';`],
    ['a type-only import', `import type { Pool } from '../session-pool/pool.js';`],
    ['an export', `export * from '../session-pool/pool.js';`],
    ['an import in a function', `export const load = () => import('../session-pool/pool.js');`],
    ['a type', `export type Pool = import('../session-pool/pool.js').Pool;`],
  ])('refuses %s that points up', (_, statement) => {
    expect(problems({ 'redis/locks.ts': `\n${statement}`, 'session-pool/pool.ts': '' })).toEqual([
      'redis/locks.ts:2 imports session-pool/pool.ts: redis may import common, config, metrics, logging',
    ]);
  });

  it('refuses any import of ours in common, and that of a room over two floors', () => {
    expect(
      problems({
        'common/a.ts': `import '../config/schema.js';`,
        'catalogue/b.ts': `import '../upstream/upstream.port.js';`,
        'gateway/c.ts': `import '../app/app.module.js';`,
        'auth/d.ts': `import '../../test/support/until.js';`,
      }),
    ).toEqual([
      'common/a.ts:1 imports config/schema.ts: common may import nothing of ours',
      expect.stringContaining('catalogue/b.ts:1 imports upstream/upstream.port.ts: catalogue may import session-pool,'),
      expect.stringContaining('gateway/c.ts:1 imports app/app.module.ts'),
      expect.stringContaining('auth/d.ts:1 imports ../test/support/until.ts'),
    ]);
  });

  it('refuses a folder that is no room', () => {
    expect(problems({ 'utils/x.ts': '', 'bootstrap.ts': '' })).toEqual([
      'utils/x.ts: utils is no room',
      'bootstrap.ts: bootstrap is no room',
    ]);
  });

  it('refuses a cycle between files and shows its way', () => {
    expect(
      problems({
        'auth/entry.ts': `import './a.js';`,
        'auth/a.ts': `import './b.js';`,
        'auth/b.ts': `import { type C } from './deep/c.js';`,
        'auth/deep/c.ts': `import '../a.js';`,
      }),
    ).toEqual(['import cycle: auth/a.ts -> auth/b.ts -> auth/deep/c.ts -> auth/a.ts']);
  });

  it('refuses a file that is too long', () => {
    expect(
      problems({ 'auth/fits.ts': '//\n'.repeat(MAX_LINES), 'auth/long.ts': '//\n'.repeat(MAX_LINES + 1) }),
    ).toEqual(['auth/long.ts: 401 lines, at most 400']);
  });

  it('refuses forwardRef under whatever import', () => {
    expect(problems({ 'auth/x.ts': `import * as nest from '@nestjs/common';\nnest.forwardRef(() => X);` })).toEqual([
      'auth/x.ts:2: forwardRef',
    ]);
  });

  it('refuses tests that are focused or left out', () => {
    const text = [
      `it.only('a', () => {});`,
      `describe.skip('b', () => {});`,
      `test.todo('c');`,
      `it.only.each([1])('d', () => {});`,
      `xit('e', () => {});`,
      `(ready ? it : it.skip)('f', () => {});`,
      `list.skip(1); it('has test.skip in its title', () => list.only());`,
    ].join('\n');
    expect(focusProblems({ path: 'x.spec.ts', text })).toEqual([
      'x.spec.ts:1: it.only',
      'x.spec.ts:2: describe.skip',
      'x.spec.ts:3: test.todo',
      'x.spec.ts:4: it.only',
      'x.spec.ts:5: xit',
      'x.spec.ts:6: it.skip',
    ]);
  });
});
