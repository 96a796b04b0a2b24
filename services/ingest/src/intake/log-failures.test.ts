import assert from 'node:assert/strict';
import { test } from 'node:test';
import { silentLogger } from '@tailrace/platform/logger';
import { TailraceError } from '@tailrace/protocol/error';
import { createFakeClock } from '@tailrace/testkit/fake-clock';
import { LogFailures } from './log-failures.ts';

function setUp() {
  const clock = createFakeClock();
  const lines: object[] = [];
  const line = (facts: object, message: string) => void lines.push({ ...facts, message });
  const failures = new LogFailures({ clock, logger: { ...silentLogger, info: line, error: line } });
  return { clock, lines, failures };
}

const unavailable = new TailraceError('unavailable', 'no answer from Kafka at 10.0.0.1:9092');

test('the sender gets storage_full and too_large, and unavailable for any other error, without its cause', () => {
  const { failures } = setUp();
  for (const [code, expected] of [
    ['storage_full', 'storage_full'],
    ['too_large', 'too_large'],
    ['unavailable', 'unavailable'],
    ['timeout', 'unavailable'],
    ['closed', 'unavailable'],
    ['not_found', 'unavailable'],
  ] as const) {
    const refusal = failures.failed(new TailraceError(code, 'at 10.0.0.1'));
    assert.equal(refusal.code, expected);
    if (code !== 'too_large') assert.doesNotMatch(refusal.message, /10\.0\.0\.1/);
  }
});

test('an outage is logged once a minute, and its end once, with the number of failed appends', async () => {
  const { clock, lines, failures } = setUp();
  failures.failed(unavailable);
  failures.failed(unavailable);
  await clock.advance(60_000);
  failures.failed(unavailable);
  assert.equal(failures.isFailing, true);
  await clock.advance(500);
  failures.succeeded();
  failures.succeeded();
  const message = 'the log accepts no reports; their senders are to send them again';
  assert.deepEqual(lines, [
    { error: unavailable, failedAppends: 1, message },
    { error: unavailable, failedAppends: 3, suppressed: 1, message },
    { failedAppends: 3, outageMs: 60_500, message: 'the log accepts reports again' },
  ]);
  assert.equal(failures.isFailing, false);
});

test('a record that is too large is no outage', () => {
  const { lines, failures } = setUp();
  failures.failed(new TailraceError('too_large', 'record'));
  assert.equal(failures.isFailing, false);
  assert.deepEqual(lines, []);
});

test('while appends fail and succeed by turns, as with one partition without a leader, there are two lines a minute', async () => {
  const { clock, lines, failures } = setUp();
  for (let second = 0; second < 120; second++) {
    failures.failed(unavailable);
    failures.succeeded();
    await clock.advance(1_000);
  }
  assert.deepEqual(
    lines.map((line) => ('outageMs' in line ? 'end' : 'start')),
    ['start', 'end', 'start', 'end'],
  );
});
