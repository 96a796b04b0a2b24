import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from './clock.ts';

test('a delay that does not fit into 31 bits is not called at once', async (t) => {
  const warnings: string[] = [];
  const onWarning = ({ name }: Error) => void warnings.push(name);
  process.on('warning', onWarning);
  t.after(() => process.off('warning', onWarning));
  let calls = 0;
  const count = () => calls++;
  const timers = [2 ** 31, 1e300, Number.POSITIVE_INFINITY].flatMap((ms) => [
    systemClock.after(ms, count),
    systemClock.every(ms, count),
  ]);
  await systemClock.sleep(20);
  for (const timer of timers) timer.cancel();
  assert.equal(calls, 0);
  assert.deepEqual(warnings, []);
});
