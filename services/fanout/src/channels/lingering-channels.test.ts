import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createFakeClock } from '@tailrace/testkit/fake-clock';
import { Channel } from './channels.ts';
import { LingeringChannels } from './lingering-channels.ts';

function createLingering() {
  const clock = createFakeClock();
  const closed: string[] = [];
  const close = ({ pattern }: Channel) => void closed.push(pattern);
  const lingering = new LingeringChannels(clock, close);
  const add = (pattern: string) => {
    const channel = new Channel(pattern, [0]);
    lingering.add(channel);
    return channel;
  };
  return { clock, closed, lingering, add };
}

test('a channel is closed after its linger time, unless it is subscribed to again', async () => {
  const { clock, closed, lingering, add } = createLingering();
  add('a.>');
  await clock.advance(4_000);
  const back = add('b.>');
  add('c.>');
  lingering.remove(back);
  await clock.advance(6_000);
  assert.deepEqual([closed, lingering.size], [['a.>'], 1]);
  await clock.advance(4_000);
  assert.deepEqual([closed, clock.pending()], [['a.>', 'c.>'], 0]);
});

test('beyond the limit the oldest channel is closed, and all when the node stops', () => {
  const { clock, closed, lingering, add } = createLingering();
  const patterns = Array.from({ length: LingeringChannels.countMax + 1 }, (_, i) => `p${i}.>`);
  for (const pattern of patterns) add(pattern);
  assert.deepEqual([closed, lingering.size], [['p0.>'], LingeringChannels.countMax]);
  lingering.stop();
  assert.deepEqual([closed, clock.pending()], [patterns, 0]);
});
