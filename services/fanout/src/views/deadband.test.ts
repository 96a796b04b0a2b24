import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Deadband } from '@tailrace/protocol/client-message';
import type { Reading } from '@tailrace/protocol/report';
import fc from 'fast-check';
import { DeadbandFilter } from './deadband.ts';
import { LastSentBudget } from './last-sent-readings.ts';

const filterOf = (deadband: Deadband, readingsMax = 1_000) =>
  new DeadbandFilter(deadband, new LastSentBudget(readingsMax));

/** Returns those of the values of one tag that are sent. */
function passed(filter: DeadbandFilter, values: readonly (Reading['value'] | Reading)[]): unknown[] {
  return values
    .map((value) => (typeof value === 'object' ? value : { tag: 't', value }))
    .flatMap((reading) => filter.filter({ device: 'p.d', time: 1, readings: [reading] }))
    .map(({ value }) => value);
}

test('a number is sent when it differs by more than the deadband from the one sent last, so that a drift adds up', () => {
  assert.deepEqual(passed(filterOf({ absolute: 1 }), [20, 20.6, 21, 21.2, 20.3, 20.1]), [20, 21.2, 20.1]);
  assert.deepEqual(passed(filterOf({ absolute: 0 }), [1, 1, 2, 2, 1]), [1, 2, 1]);
});

test('percent is of the magnitude of the number sent last; from zero any number differs', () => {
  assert.deepEqual(passed(filterOf({ percent: 10 }), [-100, -110, -110.5, -100, -99]), [-100, -110.5, -99]);
  assert.deepEqual(passed(filterOf({ percent: 10 }), [0, 0, 0.001]), [0, 0.001]);
});

test('of absolute and percent the one that sends more often counts', () => {
  assert.deepEqual(passed(filterOf({ absolute: 5, percent: 10 }), [10, 11, 11.5]), [10, 11.5]);
  assert.deepEqual(passed(filterOf({ absolute: 5, percent: 10 }), [100, 105, 106]), [100, 106]);
});

test('texts and booleans are sent on change, and a change of quality, unit or type always', () => {
  assert.deepEqual(passed(filterOf({ absolute: 100 }), ['on', 'on', 'off', true, true, false, 1, 2]), [
    'on',
    'off',
    true,
    false,
    1,
  ]);
  const t = (value: number, rest: Partial<Reading> = {}): Reading => ({ tag: 't', value, ...rest });
  assert.deepEqual(
    passed(filterOf({ absolute: 100 }), [
      t(1),
      t(2, { quality: 'bad' }),
      t(3, { quality: 'bad' }),
      t(4),
      t(5, { unit: 'K' }),
    ]),
    [1, 2, 4, 5],
  );
});

test('devices and tags are independent, and of a report only the readings beyond the deadband are sent', () => {
  const filter = filterOf({ absolute: 1 });
  const readings: Reading[] = [
    { tag: 't', value: 1 },
    { tag: 'u', value: 1 },
  ];
  const first = { device: 'p.a', time: 1, readings };
  assert.equal(filter.filter(first), readings);
  assert.equal(filter.filter({ ...first, device: 'p.b' }), readings);
  const second = [
    { tag: 't', value: 1.5 },
    { tag: 'u', value: 3 },
    { tag: 'v', value: 0 },
  ];
  assert.deepEqual(filter.filter({ ...first, readings: second }), second.slice(1));
  assert.deepEqual(filter.filter(first), [{ tag: 'u', value: 1 }]);
});

test('a reading that is not remembered any more is sent again', () => {
  const filter = filterOf({ absolute: 10 });
  assert.deepEqual(passed(filter, [1, 2]), [1]);
  filter.clear();
  assert.deepEqual(passed(filter, [2, 3]), [2]);
});

test('a late reading is sent if it differs, unless clients would take it for the last value, and nothing is compared with it', () => {
  const filter = filterOf({ absolute: 1 });
  const at = (time: number, value: number) =>
    filter.filter({ device: 'p.d', time, readings: [{ tag: 't', value }] }).map((each) => each.value);
  assert.deepEqual(at(100, 20), [20]);
  assert.deepEqual(at(50, 25), [25], 'older than what was sent');
  assert.deepEqual(at(60, 20.5), []);
  assert.deepEqual(at(200, 20.3), []);
  assert.deepEqual(at(150, 25), [], 'clients know 20 of 100, and 20.3 of 200 is newer');
  assert.deepEqual(at(300, 25), [25]);
});

test('a historical report is sent whole, and later readings are not compared with it', () => {
  const filter = filterOf({ absolute: 1 });
  passed(filter, [20]);
  const readings = [{ tag: 't', value: 20 }];
  assert.equal(filter.filter({ device: 'p.d', time: 9, readings, historical: true }), readings);
  filter.filter({ device: 'p.d', time: 9, readings: [{ tag: 't', value: 30 }], historical: true });
  assert.deepEqual(passed(filter, [20.5]), []);
});

test('a report with several readings of a tag is judged reading by reading', () => {
  const filter = filterOf({ absolute: 1 });
  const readings = [20, 20.5, 22, 22.1].map((value, i) => ({ tag: 't', value, time: 10 + i }));
  assert.deepEqual(
    filter.filter({ device: 'p.d', time: 20, readings }).map(({ value }) => value),
    [20, 22],
  );
});

test('every client stays within the deadband, whenever it came', () => {
  const value = fc.integer({ min: -20, max: 20 });
  fc.assert(
    fc.property(fc.array(fc.tuple(value, fc.boolean()), { maxLength: 40 }), (steps) => {
      const filter = filterOf({ absolute: 5 });
      const screens: number[] = [];
      for (const [now, joins] of steps) {
        if (filter.filter({ device: 'p.d', time: 1, readings: [{ tag: 't', value: now }] }).length > 0)
          screens.fill(now);
        if (joins) {
          filter.noteSentToOne('p.d', { tag: 't', value: now }, 1, screens.length === 0);
          screens.push(now);
        }
        for (const screen of screens) assert.ok(Math.abs(screen - now) <= 5, `${screen} is shown, ${now} is`);
      }
    }),
    { seed: 20_241_121 },
  );
});

test('the first client is not sent again what was in its snapshot', () => {
  const filter = filterOf({ absolute: 5 });
  filter.noteSentToOne('p.d', { tag: 't', value: 10 }, 1, true);
  assert.deepEqual(passed(filter, [11, 16]), [16]);
  // A later client that received another text: the next text is sent to both, whatever it is.
  assert.deepEqual(passed(filter, ['on']), ['on']);
  filter.noteSentToOne('p.d', { tag: 't', value: 'off' }, 1, false);
  assert.deepEqual(passed(filter, ['on', 'on']), ['on']);
});
