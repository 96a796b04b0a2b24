import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createFakeClock } from '@tailrace/testkit/fakeclock';
import { HistoryReplay } from './history-replay.ts';

function setUp() {
  const clock = createFakeClock();
  const requested: string[] = [];
  const open = new Map<string, () => void>();
  const history = new HistoryReplay({
    replay(path, fromMs, onEnd) {
      requested.push(`${path} ${clock.now() - fromMs}`);
      open.set(path, onEnd);
      return { unsubscribe: () => void open.delete(path) };
    },
    serverNow: () => clock.now(),
    after: (ms, call) => clock.after(ms, call),
  });
  return { clock, history, requested, open };
}

test('the history of a selected device is requested once, and again for a wider chart', async () => {
  const { clock, history, requested, open } = setUp();
  history.show('a', 60_000);
  await clock.advance(500);
  history.show('a', 60_000);
  open.get('a')!();
  assert.equal(open.size, 0, 'ended when it is complete');
  history.show('a', 300_000);
  await clock.advance(500);
  history.show('a', 60_000);
  await clock.advance(500);
  assert.deepEqual(requested, ['a 60000', 'a 300000']);
});

test('while the user goes down the list, only the history of the last device is requested', async () => {
  const { clock, history, requested, open } = setUp();
  for (const path of ['a', 'b', 'c']) {
    history.show(path, 60_000);
    await clock.advance(50);
  }
  await clock.advance(500);
  assert.deepEqual(requested, ['c 60000']);
  history.show('d', 60_000);
  assert.equal(open.size, 0, 'the replay of the device before is ended');
  history.show(undefined, 60_000);
  assert.equal(clock.pending(), 0);
});
