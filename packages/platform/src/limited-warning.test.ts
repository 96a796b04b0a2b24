import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LimitedWarning } from './limited-warning.ts';

test('a warning is logged at once, then at most once in its interval, with the number of those suppressed', () => {
  const lines: object[] = [];
  let nowMs = 0;
  const warning = new LimitedWarning(
    (facts) => lines.push(facts),
    'odd',
    1_000,
    () => nowMs,
  );
  for (nowMs = 0; nowMs < 2_500; nowMs += 100) {
    const at = nowMs;
    warning.write(() => ({ at }));
  }
  assert.deepEqual(lines, [{ at: 0 }, { at: 1_000, suppressed: 9 }, { at: 2_000, suppressed: 9 }]);
});
