import { expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { CLIENT_INFO, VERSION } from './version.js';

it('the version that we tell (D-6, P-4) is that of package.json', () => {
  const path = new URL('../../package.json', import.meta.url);
  const { name, version } = JSON.parse(readFileSync(path, 'utf8')) as { name: string; version: string };
  expect(VERSION).toBe(version);
  expect(CLIENT_INFO).toEqual({ name, version });
});
