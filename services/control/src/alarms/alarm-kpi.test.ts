import assert from 'node:assert/strict';
import { test } from 'node:test';
import { alarmRates, wholePeriods } from './alarm-kpi.ts';

const minutes = 60_000;
const day = 86_400_000;

test('a day without alarms has none', () => {
  assert.deepEqual(alarmRates([], 0, day), {
    ...{ raised: 0, perDay: 0, perTenMinutes: 0, peak: undefined, floods: 0, floodShare: 0 },
  });
});

test('a flood starts above 10 alarms in 10 minutes, and stops below 5', () => {
  const counts = [10, 11, 5, 4, 6, 30, 0, 12, 7];
  const periods = counts.map((raised, n) => ({ start: n * 10 * minutes, raised })).filter(({ raised }) => raised > 0);
  const rates = alarmRates(periods, 0, 100 * minutes);
  assert.deepEqual([rates.floods, rates.floodShare], [3, 0.5]);
  assert.deepEqual(rates.peak, { start: 50 * minutes, raised: 30 });
  assert.deepEqual([rates.raised, rates.perTenMinutes], [85, 8.5]);
  assert.equal(rates.perDay, 85 * 14.4);
});

test('a time range is that of its whole periods', () => {
  assert.deepEqual(wholePeriods(11 * minutes, 20 * minutes), { from: 10 * minutes, to: 20 * minutes });
  assert.deepEqual(wholePeriods(9 * minutes, 20 * minutes + 1), { from: 0, to: 30 * minutes });
});
