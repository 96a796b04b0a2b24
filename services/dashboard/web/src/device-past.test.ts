import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createFakeClock } from '@tailrace/testkit/fakeclock';
import { DevicePast } from './device-past.ts';

function setUp() {
  const clock = createFakeClock();
  const asked: string[] = [];
  const open = new Map<string, () => void>();
  const past = new DevicePast({
    replay(path, fromMs, onEnd) {
      asked.push(`${path} ${clock.now() - fromMs}`);
      open.set(path, onEnd);
      return { unsubscribe: () => void open.delete(path) };
    },
    serverNow: () => clock.now(),
    after: (ms, call) => clock.after(ms, call),
  });
  return { clock, past, asked, open };
}

test('the past of a chosen device is asked for once, and again for a wider chart', async () => {
  const { clock, past, asked, open } = setUp();
  past.show('a', 60_000);
  await clock.advance(500);
  past.show('a', 60_000);
  open.get('a')!();
  assert.equal(open.size, 0, 'ended when all of it has come');
  past.show('a', 300_000);
  await clock.advance(500);
  past.show('a', 60_000);
  await clock.advance(500);
  assert.deepEqual(asked, ['a 60000', 'a 300000']);
});

test('who goes down the list asks for the past of the last device alone', async () => {
  const { clock, past, asked, open } = setUp();
  for (const path of ['a', 'b', 'c']) {
    past.show(path, 60_000);
    await clock.advance(50);
  }
  await clock.advance(500);
  assert.deepEqual(asked, ['c 60000']);
  past.show('d', 60_000);
  assert.equal(open.size, 0, 'what is not looked at any more is not waited for');
  past.show(undefined, 60_000);
  assert.equal(clock.pending(), 0);
});
