import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TailraceError } from '@tailrace/protocol/error';
import { type RetryOptions, retry } from './retry.ts';

const away = new TailraceError('unavailable', 'the broker: expected an answer, got none');

/** Returns a clock without real waits, and the waits. */
function setUp(options: Partial<RetryOptions> = {}) {
  const waits: number[] = [];
  let nowMs = 0;
  const clock = {
    monotonic: () => nowMs,
    sleep: async (ms: number) => {
      waits.push(ms);
      nowMs += ms;
    },
  };
  let attempts = 0;
  /** Rejects with the errors in turn, then resolves with the number of attempts. */
  const run = (...errors: unknown[]) =>
    retry({ clock, random: () => 0.5, baseMs: 100, capMs: 400, ...options }, async () => {
      attempts++;
      if (attempts <= errors.length) throw errors[attempts - 1];
      return attempts;
    });
  return { waits, run };
}

test('an attempt that resolves is the only one', async () => {
  const { waits, run } = setUp();
  assert.equal(await run(), 1);
  assert.deepEqual(waits, []);
});

test('waits double up to the cap, with full jitter', async () => {
  const retries: number[] = [];
  const { waits, run } = setUp({ onRetry: (_error, count) => void retries.push(count) });
  assert.equal(await run(away, away, away, away), 5);
  assert.deepEqual(waits, [50, 100, 200, 200]);
  assert.deepEqual(retries, [1, 2, 3, 4]);
});

test('an error that is not retryable, by itself or by the caller, is thrown at once', async () => {
  const invalid = new TailraceError('invalid_config', 'expected a, got b');
  await assert.rejects(setUp().run(invalid), invalid);
  const { waits, run } = setUp({ isRetryable: (error) => error !== away });
  await assert.rejects(run(new RangeError('again'), away), away);
  assert.equal(waits.length, 1);
});

test('no attempt starts after the deadline', async () => {
  const { waits, run } = setUp({ deadlineMs: 160 });
  await assert.rejects(run(away, away, away), away);
  assert.deepEqual(waits, [50, 100]);
});
