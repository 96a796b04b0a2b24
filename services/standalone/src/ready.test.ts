import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createFakeClock } from '@tailrace/testkit/fake-clock';
import { untilReady } from './ready.ts';

function setUp() {
  const clock = createFakeClock();
  const state = { why: 'reading back 4 partitions' as string | undefined, isReadingBack: true, isStopping: false };
  const warnings: unknown[] = [];
  const services = { notReady: () => state.why, isReadingBack: () => state.isReadingBack };
  const logger = { warn: (facts: object) => void warnings.push(facts) };
  const result = untilReady({ services, clock, logger, isStopping: () => state.isStopping }).then(
    () => 'ready',
    (error: { code: string }) => error.code,
  );
  return { clock, state, warnings, result };
}

test('a start waits as long as the log is read back, and warns of it', async () => {
  const { clock, state, warnings, result } = setUp();
  await clock.advance(90_000);
  assert.equal(warnings.length, 4);
  state.why = undefined;
  await clock.advance(10);
  assert.equal(await result, 'ready');
});

test('a start that waits for anything but the log fails after 20 s', async () => {
  const { clock, state, result } = setUp();
  state.isReadingBack = false;
  await clock.advance(20_010);
  assert.equal(await result, 'timeout');
});

test('a start that is stopped while the log is read back resolves', async () => {
  const { clock, state, result } = setUp();
  state.isStopping = true;
  await clock.advance(10);
  assert.equal(await result, 'ready');
  assert.equal(clock.pending(), 0);
});
