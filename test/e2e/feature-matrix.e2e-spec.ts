import { afterAll, beforeAll, describe, it } from '@jest/globals';
import { FeatureClient } from './feature-client.support.js';
import { FEATURES } from './features.support.js';
import { Targets, WAYS } from './targets.support.js';

/**
 * The SDK's own client and server, feature by feature, over both transports on both sides (SPEC D-1, D-3, D-6, D-7,
 * D-8; PROTOCOL §5.1, §5.2). The direct ways show that a cell can be green at all.
 */
describe('every feature on every way (D-6, D-8)', () => {
  let targets: Targets;
  const table = new Map(FEATURES.map(({ name }) => [name, new Map<string, string>()]));

  beforeAll(async () => {
    targets = await Targets.start();
  }, 60_000);

  afterAll(async () => {
    process.stdout.write(`${markdown(table)}\n`);
    await targets.close();
  });

  describe.each(WAYS)('$name', (way) => {
    it.each(FEATURES)('$name', async ({ name, run }) => {
      table.get(name)?.set(way.name, 'failed');
      const client = await FeatureClient.connect(targets.at(way.name));
      try {
        await run(client);
      } finally {
        await client.close();
      }
      table.get(name)?.set(way.name, 'ok');
    });
  });
});

function markdown(table: ReadonlyMap<string, ReadonlyMap<string, string>>): string {
  const names = WAYS.map(({ name }) => name);
  const row = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  const rows = [...table].map(([feature, cells]) => row([feature, ...names.map((name) => cells.get(name) ?? '')]));
  return [row(['feature', ...names]), row(['---', ...names.map(() => '---')]), ...rows].join('\n');
}
