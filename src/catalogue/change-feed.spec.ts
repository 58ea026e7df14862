import { expect, it } from '@jest/globals';
import { ChangeFeed } from './change-feed.js';

it('tells every listener of every change in order, until it has unsubscribed', () => {
  const feed = new ChangeFeed();
  const heard: string[] = [];
  const first = feed.subscribe(({ gatewayId }) => void heard.push(`1${gatewayId}`));
  const second = feed.subscribe(({ gatewayId, kinds }) => {
    heard.push(`2${gatewayId}${kinds.join()}`);
    if (gatewayId === 'b') second();
  });
  for (const gatewayId of ['a', 'b', 'c']) feed.publish({ gatewayId, kinds: ['tool', 'prompt'] });
  first();
  first();
  feed.publish({ gatewayId: 'd', kinds: [] });
  expect(heard).toEqual(['1a', '2atool,prompt', '1b', '2btool,prompt', '1c']);
});
