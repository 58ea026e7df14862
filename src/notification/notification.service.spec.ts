import { afterEach, describe, expect, it } from '@jest/globals';
import { until } from '../../test/support/until.js';
import { CAPABILITY_KINDS, type GatewayEntry, type RefreshKind, type RefreshReport } from '../catalogue/index.js';
import { ChangeFeed } from '../catalogue/change-feed.js';
import { CodedError } from '../common/errors.js';
import { createLog } from '../logging/logger.js';
import { type ServerNotification } from '../session-pool/index.js';
import { GatewayRoster } from './gateway-roster.js';
import { NotificationService } from './notification.service.js';

const QUIET_MS = 20;
const changed = (kind: RefreshKind): string => `notifications/${kind}/list_changed`;
const cleanUps: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

function report(how: Partial<RefreshReport> = {}): RefreshReport {
  const none = { added: 0, updated: 0, removed: 0, visible: false };
  const changes = Object.fromEntries(CAPABILITY_KINDS.map((kind) => [kind, none])) as RefreshReport['changes'];
  return { success: true, covered: false, changes, failedLists: [], validationErrors: [], durationMs: 1, ...how };
}

/** The service over a catalogue that answers as the test says; the servers' own part is in test/e2e. */
async function serviceOver(declared: Record<string, readonly RefreshKind[]>, answers: (() => RefreshReport)[] = []) {
  const known = new Map(
    Object.entries(declared).map(([id, kinds]) => [
      id,
      {
        id,
        name: `name of ${id}`,
        enabled: true,
        deleted: false,
        listChanged: new Set(kinds),
      } as unknown as GatewayEntry,
    ]),
  );
  const lines: { level: string; msg: string; gateway?: string }[] = [];
  const write = (line: string): void => void lines.push(JSON.parse(line) as (typeof lines)[number]);
  const log = createLog({ LOG_LEVEL: 'debug', REPLICA_ID: 'r' }, { write });
  const feed = new ChangeFeed();
  const catalogue = {
    changes: feed,
    enabledGatewayIds: async () => [...known.keys()],
    findGateway: (id: string) => known.get(id),
  };
  const roster = new GatewayRoster({ catalogue, log, syncMs: 60_000 });
  let tell: (notification: ServerNotification) => void = () => undefined;
  const refreshes: { id: string; kinds: string[]; createdVia: string; whenBusy: string }[] = [];
  const delays: number[] = [];
  const service = new NotificationService({
    ...{ roster, log, debounceMs: QUIET_MS, maxWaitMs: 10 * QUIET_MS, parallel: 2, slowMs: 1_000 },
    catalogue: {
      refresh: async (id, { kinds, createdVia, whenBusy }) => {
        refreshes.push({ id, kinds: [...kinds].sort(), createdVia, whenBusy });
        return (answers.shift() ?? report)();
      },
    },
    sessions: {
      onNotification: (listener) => {
        tell = listener;
        return () => (tell = () => undefined);
      },
    },
    retry: { firstMs: 10, maxMs: 20 },
    observeDelay: (seconds) => void delays.push(seconds),
  });
  service.start();
  roster.start();
  cleanUps.push(
    () => roster.stop(),
    () => service.stop(),
  );
  await until(() => [...roster.all()].length === known.size, { what: 'the roster' });
  const hear = (gatewayId: string, method: string): void => tell({ gatewayId, method });
  const quiet = (): Promise<unknown> => until(() => service.getMetrics().pendingRefreshes === 0, { what: 'quiet' });
  return { service, hear, quiet, refreshes, delays, lines, known, feed };
}

const ALL: readonly RefreshKind[] = ['tools', 'resources', 'prompts'];

describe('NotificationService', () => {
  it.each<[RefreshKind, string[]]>([
    ['tools', ['prompts', 'resources', 'tools']],
    ['resources', ['resources', 'tools']],
    ['prompts', ['prompts', 'tools']],
  ])('N-3: %s reads %j', async (kind, kinds) => {
    const { hear, quiet, refreshes } = await serviceOver({ a: ALL });
    hear('a', changed(kind));
    await quiet();
    expect(refreshes).toEqual([{ id: 'a', kinds, createdVia: 'notification_service', whenBusy: 'wait' }]);
  });

  it('N-2: only lists that were declared; everything else is counted and read by nobody', async () => {
    const { hear, quiet, refreshes, service } = await serviceOver({ a: ['tools'], b: [] });
    hear('a', changed('prompts'));
    hear('b', changed('tools'));
    hear('a', 'notifications/message');
    hear('a', 'notifications/resources/updated');
    expect(service.getMetrics()).toMatchObject({ pendingRefreshes: 0, registeredGateways: 1 });
    hear('a', changed('tools'));
    await quiet();
    expect(refreshes.map(({ id }) => id)).toEqual(['a']);
    expect(service.getMetrics()).toMatchObject({
      ...{ notificationsReceived: 5, notificationsIgnored: 2, notificationsOther: 2, notificationsDebounced: 0 },
      ...{ refreshesTriggered: 1, refreshesFailed: 0, debounceSeconds: QUIET_MS / 1000 },
    });
  });

  it('N-5: a gateway that another replica has registered since a moment is believed', async () => {
    const { hear, quiet, refreshes, known } = await serviceOver({ a: ALL });
    known.set('new', { ...(known.get('a') as GatewayEntry), id: 'new' });
    hear('new', changed('tools'));
    await quiet();
    expect(refreshes.map(({ id }) => id)).toEqual(['new']);
  });

  it('N-5: a refresh that fails, as a whole or for one list, comes again; one line when it begins, one at its end', async () => {
    const away = (): never => {
      throw new Error('the database is away');
    };
    const partly = (): RefreshReport => report({ success: false, error: 'page 2 of prompts/list' });
    const { hear, quiet, refreshes, lines, service } = await serviceOver({ a: ALL }, [away, away, partly, partly]);
    hear('a', changed('resources'));
    await quiet();
    expect(refreshes.map(({ kinds }) => kinds)).toEqual(Array(5).fill(['resources', 'tools']));
    expect(service.counters).toMatchObject({ refreshesTriggered: 5, refreshesFailed: 4 });
    const told = lines.filter(({ level }) => level !== 'debug').map(({ level, gateway }) => [level, gateway]);
    expect(told).toEqual([
      ['warn', 'name of a'],
      ['info', 'name of a'],
    ]);
  });

  it('a gateway that is gone is not tried again', async () => {
    const gone = (): never => {
      throw new CodedError('NOT_FOUND', 'there is no gateway a');
    };
    const { hear, quiet, refreshes, lines } = await serviceOver({ a: ALL }, [gone]);
    hear('a', changed('tools'));
    await quiet();
    expect([refreshes.length, lines.filter(({ level }) => level === 'warn')]).toEqual([1, []]);
  });

  it('one that is removed or disabled loses what it waits for', async () => {
    const { hear, refreshes, known, feed, service } = await serviceOver({ a: ALL });
    hear('a', changed('tools'));
    known.delete('a');
    feed.publish({ gatewayId: 'a', kinds: CAPABILITY_KINDS });
    await until(() => service.getMetrics().registeredGateways === 0, { what: 'the roster' });
    expect([service.getMetrics().pendingRefreshes, refreshes]).toEqual([0, []]);
  });

  it('N-8: the delay is that of refreshes that changed something, from the first announcement, failures included', async () => {
    const some = { added: 1, updated: 0, removed: 0, visible: true };
    const full = (): RefreshReport => report({ changes: { ...report().changes, tool: some } });
    const away = (): never => {
      throw new Error('away');
    };
    const { hear, quiet, delays } = await serviceOver({ a: ALL }, [report, away, full]);
    hear('a', changed('tools'));
    await quiet();
    expect(delays).toEqual([]);
    hear('a', changed('tools'));
    await quiet();
    expect(delays).toHaveLength(1);
    expect(delays[0]).toBeGreaterThan((QUIET_MS + 4) / 1000);
  });

  it('after stop() it hears nothing more', async () => {
    const { hear, refreshes, service } = await serviceOver({ a: ALL });
    hear('a', changed('tools'));
    await service.stop();
    hear('a', changed('tools'));
    service.refreshAll('a');
    expect([service.getMetrics().pendingRefreshes, refreshes]).toEqual([0, []]);
  });
});
