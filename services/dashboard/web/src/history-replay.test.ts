import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TailraceError } from '@tailrace/client';
import type { SubscriptionState } from '@tailrace/client/state';
import { createFakeClock } from '@tailrace/testkit/fake-clock';
import { HistoryReplay } from './history-replay.ts';

function setUp() {
  const clock = createFakeClock();
  const requested: string[] = [];
  const open = new Map<string, (state: SubscriptionState) => void>();
  const history = new HistoryReplay({
    replay(path, fromMs, onState) {
      requested.push(`${path} ${clock.now() - fromMs}`);
      open.set(path, onState);
      return { unsubscribe: () => void open.delete(path) };
    },
    after: (ms, call) => clock.after(ms, call),
  });
  const window = (ms: number) => () => clock.now() - ms;
  return { clock, history, requested, open, window };
}

test('the history of a selected device is requested once, and again for a wider chart', async () => {
  const { clock, history, requested, open, window } = setUp();
  history.show('a', window(60_000));
  await clock.advance(500);
  history.show('a', window(60_000));
  open.get('a')!({ name: 'live', devices: 0 });
  assert.equal(open.size, 0, 'unsubscribed when it is complete');
  history.show('a', window(300_000));
  await clock.advance(500);
  history.show('a', window(60_000));
  await clock.advance(500);
  assert.deepEqual(requested, ['a 60000', 'a 300000']);
});

test('a replay continues after a retryable error, and stops at any other', async () => {
  const { clock, history, requested, open, window } = setUp();
  history.show('a', window(60_000));
  await clock.advance(500);
  const onState = open.get('a')!;
  onState({ name: 'failed', error: new TailraceError('rate_limited', 'too much at once', { retryable: true }) });
  assert.equal(open.size, 1, 'its stream requests it again');
  onState({ name: 'failed', error: new TailraceError('forbidden', 'not covered') });
  assert.equal(open.size, 0);
  history.show('b', window(60_000));
  await clock.advance(500);
  onState({ name: 'live', devices: 0 });
  assert.deepEqual(
    [[...open.keys()], requested],
    [['b'], ['a 60000', 'b 60000']],
    'a late state stops no other replay',
  );
});

test('while the user goes down the list, only the history of the last device is requested', async () => {
  const { clock, history, requested, open, window } = setUp();
  for (const path of ['a', 'b', 'c']) {
    history.show(path, window(60_000));
    await clock.advance(50);
  }
  await clock.advance(500);
  assert.deepEqual(requested, ['c 60000']);
  history.show('d', window(60_000));
  assert.equal(open.size, 0, 'the replay of the device before is stopped');
  history.show(undefined, window(60_000));
  assert.equal(clock.pending(), 0);
});

test('the history of a device selected while the charts are paused is requested from where they start, and once', async () => {
  const { clock, history, requested, window } = setUp();
  history.show('a', window(60_000));
  await clock.advance(500);
  const pausedFromMs = clock.now() - 60_000;
  const paused = () => pausedFromMs;
  await clock.advance(57_000);
  history.show('b', paused);
  await clock.advance(500);
  assert.deepEqual(requested, ['a 60000', 'b 117200']);
  history.show('b', paused);
  await clock.advance(500);
  assert.equal(requested.length, 2, 'the window has not moved');
  history.show('b', () => pausedFromMs - 30_000);
  await clock.advance(500);
  assert.equal(requested.length, 3, 'the window was moved back');
});
