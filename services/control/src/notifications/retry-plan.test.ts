import assert from 'node:assert/strict';
import { test } from 'node:test';
import { outcomeOf, retryWaitMs } from './retry-plan.ts';

const nowMs = Date.parse('2026-01-15T12:00:00Z');
const kindOf = (status: number) => outcomeOf(status, '', '', nowMs).kind;

test('an answer is a success, a refusal of the content, the end of the target, or tried again', () => {
  for (const status of [200, 202, 204, 299]) assert.equal(kindOf(status), 'sent');
  for (const status of [400, 413, 415, 422]) assert.equal(kindOf(status), 'refused');
  assert.equal(kindOf(410), 'gone');
  // A redirect is not followed, and a wrong path may be corrected.
  for (const status of [301, 307, 401, 403, 404, 408, 429, 500, 503]) assert.equal(kindOf(status), 'retry');
});

test('the waits grow from seconds to hours, over about a day, with a tenth of jitter', () => {
  const retry = { kind: 'retry', message: '' } as const;
  const waits: number[] = [];
  for (let attempts = 1; ; attempts++) {
    const waitMs = retryWaitMs(retry, attempts, () => 0.5);
    if (waitMs === undefined) break;
    waits.push(waitMs);
  }
  assert.deepEqual(waits.slice(0, 3), [5_000, 30_000, 120_000]);
  const hours = waits.reduce((sum, each) => sum + each, 0) / 3_600_000;
  assert.ok(hours > 20 && hours < 26, `${hours} hours`);
  assert.deepEqual([retryWaitMs(retry, 1, () => 0), retryWaitMs(retry, 1, () => 1)], [4_500, 5_500]);
});

test('a refused content is tried three times, and a target that is gone not again', () => {
  const refused = { kind: 'refused', message: '' } as const;
  assert.notEqual(
    retryWaitMs(refused, 2, () => 0),
    undefined,
  );
  assert.equal(
    retryWaitMs(refused, 3, () => 0),
    undefined,
  );
  assert.equal(
    retryWaitMs({ kind: 'gone', message: '' }, 1, () => 0),
    undefined,
  );
});

test('Retry-After is obeyed, as seconds or a date, up to an hour', () => {
  const waitOf = (text: string) => {
    const outcome = outcomeOf(503, '', text, nowMs);
    return outcome.kind === 'sent' ? undefined : retryWaitMs(outcome, 1, () => 0.5);
  };
  assert.equal(waitOf('60'), 60_000);
  assert.equal(waitOf('Thu, 15 Jan 2026 12:02:00 GMT'), 120_000);
  assert.equal(waitOf('999999'), 3_600_000);
  for (const text of ['', 'soon', '1', 'Thu, 15 Jan 2026 11:00:00 GMT']) assert.equal(waitOf(text), 5_000, text);
});
