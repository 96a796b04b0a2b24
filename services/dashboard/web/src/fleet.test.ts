import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Delivery, Reading } from '@tailrace/client/report';
import { Fleet } from './fleet.ts';
import { History } from './history.ts';
import { valueAt } from './tag-value.ts';

function report(seq: number, readings: Reading[], times: { time?: number; received?: number } = {}): Delivery {
  return { device: 'plant1.press', partition: 0, seq, time: 1000 * seq, received: 1000 * seq + 20, readings, ...times };
}

test('the last value of each tag is kept, and a report that is not newer is dropped', () => {
  const fleet = new Fleet();
  fleet.take(report(1, [{ tag: 'a', value: 1, unit: 'bar' }]), 0);
  fleet.take(report(2, [{ tag: 'b', value: true, quality: 'uncertain' }]), 0);
  assert.equal(fleet.take(report(2, [{ tag: 'b', value: false }]), 0), undefined);
  const device = fleet.devices.get('plant1.press')!;
  assert.deepEqual(
    [...device.tags].map(([tag, { value, quality }]) => [tag, value, quality]),
    [
      ['a', 1, 'good'],
      ['b', true, 'uncertain'],
    ],
  );
  assert.equal(device.quality, 'uncertain');
  assert.equal(fleet.newestMs, 2020);
  // A page without devices must not show the age of what it showed before.
  fleet.drop('plant1.press');
  assert.equal(fleet.newestMs, undefined);
});

test('a wrong clock is noticed, an ordinary delay is not', () => {
  const fleet = new Fleet();
  fleet.take(report(1, [{ tag: 'a', value: 1 }]), 0);
  assert.equal(fleet.devices.get('plant1.press')?.skewMs, 0);
  const behind = new Fleet();
  for (let seq = 1; seq < 10; seq++)
    behind.take(report(seq, [{ tag: 'a', value: 1 }], { received: 1000 * seq + 60_000 }), 0);
  assert.equal(behind.devices.get('plant1.press')?.skewMs, 60_000);
});

test('history knows the value of every kind of tag at any time, with its quality', () => {
  const history = new History();
  history.add(
    report(1, [
      { tag: 'n', value: 1.5, quality: 'bad' },
      { tag: 'b', value: true },
      { tag: 't', value: 'idle' },
    ]),
  );
  history.add(
    report(2, [
      { tag: 'n', value: 2.5 },
      { tag: 'b', value: false },
      { tag: 't', value: 'milling' },
    ]),
  );
  const at = (tag: string, timeMs: number) => {
    const found = valueAt(history.tags('plant1.press')!.get(tag)!, timeMs);
    return found && [found.value, found.quality];
  };
  assert.deepEqual(
    ['n', 'b', 't'].map((tag) => at(tag, 1999)),
    [
      [1.5, 'bad'],
      [true, 'good'],
      ['idle', 'good'],
    ],
  );
  assert.deepEqual(
    ['n', 'b', 't'].map((tag) => at(tag, 2000)),
    [
      [2.5, 'good'],
      [false, 'good'],
      ['milling', 'good'],
    ],
  );
  assert.equal(at('n', 999), undefined);
});

test('a tag whose values become of another kind starts a new history', () => {
  const history = new History();
  history.add(report(1, [{ tag: 'x', value: 1 }]));
  history.add(report(2, [{ tag: 'x', value: 'on' }]));
  const tag = history.tags('plant1.press')!.get('x')!;
  assert.equal(tag.kind, 'text');
  assert.equal(tag.series.length, 1);
});

test('older reports are inserted before those that came, and do not change them', () => {
  const history = new History();
  history.add(report(5, [{ tag: 'x', value: 5 }]));
  for (const seq of [3, 4, 5]) history.addOlder(report(seq, [{ tag: 'x', value: seq }]));
  history.addOlder(report(2, [{ tag: 'x', value: 'off' }]));
  const { series, kind } = history.tags('plant1.press')!.get('x')!;
  assert.equal(kind, 'number');
  assert.deepEqual([...series.points().values], [3, 4, 5]);
});

test('beyond a bound the texts of a tag are not kept', () => {
  const history = new History();
  for (let seq = 1; seq <= 200; seq++) history.add(report(seq, [{ tag: 'log', value: `line ${seq}` }]));
  assert.equal(history.tags('plant1.press')!.get('log')!.labels.length, 64);
});

const dayMs = 86_400_000;
const startMs = 1_700_000_000_000;

/** 600 reports, one a second, of which one comes with other times. */
function shownAfter(odd: (receivedMs: number) => Partial<Delivery>) {
  const fleet = new Fleet();
  const history = new History();
  const skews = new Set<number>();
  for (let seq = 0; seq < 600; seq++) {
    const received = startMs + 1000 * seq;
    const readings = [{ tag: 'n', value: seq }];
    const change = seq === 100 ? odd(received) : {};
    const one: Delivery = { ...report(seq, readings, { time: received - 20, received }), ...change };
    const device = fleet.take(one, received)!;
    history.add(one, device.skewMs);
    skews.add(device.skewMs);
  }
  const device = fleet.devices.get('plant1.press')!;
  const { times, values } = history.tags('plant1.press')!.get('n')!.series.points();
  return { device, times, values, skews: [...skews] };
}

const odd: Readonly<Record<string, (receivedMs: number) => Partial<Delivery>>> = {
  'two days ahead': (now) => ({ time: now + 2 * dayMs, clock: 'ahead' }),
  '2,000 years ahead': (now) => ({ time: now + 2000 * 365 * dayMs, clock: 'ahead' }),
  'two days ahead, which an older ingest did not notice': (now) => ({ time: now + 2 * dayMs }),
  'ten hours ahead, which ingest is set to tolerate': (now) => ({ time: now + 10 * 3_600_000 }),
  'a reading two days ahead': (now) => ({
    clock: 'ahead',
    readings: [{ tag: 'n', value: 100, time: now + 2 * dayMs, quality: 'uncertain' }],
  }),
};
for (const [what, change] of Object.entries(odd)) {
  test(`one report ${what} neither flattens the chart nor costs it its history`, () => {
    const { device, times, values, skews } = shownAfter(change);
    assert.equal(times.length, 600);
    assert.deepEqual(skews, [0]);
    assert.equal(device.skewMs, 0);
    assert.ok(times.at(-1)! <= startMs + 599_000);
    assert.deepEqual(
      [...values],
      Array.from({ length: 600 }, (_, n) => n),
      'in the order of receipt',
    );
    // A time that ingest tolerates is one to go by.
    assert.equal(device.tags.get('n')?.value, what.includes('tolerate') ? 100 : 599);
  });
}

test('one late report lies where it belongs, and replaces no newer value', () => {
  const { device, times, skews } = shownAfter((now) => ({ time: now - 3_600_000 }));
  assert.deepEqual(skews, [0]);
  assert.equal(device.tags.get('n')?.value, 599);
  assert.ok(times.length >= 599);
  const fleet = new Fleet();
  fleet.take(report(5, [{ tag: 'a', value: 1 }]), 0);
  fleet.take(
    report(
      6,
      [
        { tag: 'a', value: 2 },
        { tag: 'b', value: 3 },
      ],
      { time: 4000 },
    ),
    0,
  );
  // A historical one is no last value, also of a tag that has none.
  const historical = [{ tag: 'c', value: 1 }];
  fleet.take({ ...report(7, historical), historical: true }, 0);
  const { tags } = fleet.devices.get('plant1.press')!;
  assert.equal(tags.get('c'), undefined);
  assert.deepEqual([tags.get('a')?.value, tags.get('b')?.value], [1, 3]);
});

test('a device whose clock is ahead, or that has none, is known by it', () => {
  const fleet = new Fleet();
  const at = (seq: number, clock: Delivery['clock'], time: number) => {
    fleet.take({ ...report(seq, [{ tag: 'a', value: seq }], { time, received: startMs }), ...(clock && { clock }) }, 0);
    const { clock: known, aheadMs } = fleet.devices.get('plant1.press')!;
    return [known, aheadMs];
  };
  assert.deepEqual(at(1, 'ahead', startMs + 2 * dayMs), ['ahead', 2 * dayMs]);
  assert.deepEqual(at(2, 'ingest', startMs), ['ingest', 0]);
  assert.deepEqual(at(3, undefined, startMs), [undefined, 0]);
});

test('a clock that was set is followed after a few reports', () => {
  const fleet = new Fleet();
  const skew = (seq: number, lagMs: number) => {
    const received = startMs + 1000 * seq;
    return fleet.take(report(seq, [{ tag: 'a', value: 1 }], { time: received - lagMs, received }), 0)?.skewMs;
  };
  assert.deepEqual(
    [0, 1, 2].map((seq) => skew(seq, 20)),
    [0, 0, 0],
  );
  assert.deepEqual(
    [3, 4, 5, 6].map((seq) => skew(seq, 3_600_000)),
    [0, 0, 3_600_000, 3_600_000],
  );
  assert.deepEqual(
    [7, 8, 9].map((seq) => skew(seq, 20)),
    [3_600_000, 3_600_000, 0],
  );
});

test('all readings of a tag in one report are points of its history', () => {
  const history = new History();
  history.add(
    report(
      9,
      [1, 2, 3].map((value) => ({ tag: 'n', value, time: 1000 * value })),
    ),
  );
  assert.deepEqual([...history.tags('plant1.press')!.get('n')!.series.points().times], [1000, 2000, 3000]);
});

test('beyond the bound of all points, the devices viewed longest ago lose theirs', () => {
  const history = new History();
  const readings = Array.from({ length: 1_000 }, (_, n) => ({ tag: `t${n}`, value: n }));
  const of = (device: string) => ({ ...report(1, readings), device });
  // Each tag takes the memory of 128 points: 23 such devices fit into 3,000,000.
  const others = Array.from({ length: 20 }, (_, n) => `other${n}`);
  for (const device of ['a', 'b', 'c', ...others]) history.add(of(device));
  assert.ok(history.tags('b') !== undefined);
  history.view('a');
  history.add(of('d'));
  assert.deepEqual(
    ['a', 'b', 'c', 'd'].map((device) => history.tags(device) !== undefined),
    [true, false, true, true],
  );
  history.add(of('e'));
  history.add(of('f'));
  assert.deepEqual(
    ['a', 'c', 'other0', 'other1', 'e', 'f'].map((device) => history.tags(device)?.size),
    [1_000, undefined, undefined, 1_000, 1_000, 1_000],
  );
});

test('a device is online until the server reports otherwise, and the fleet is as its best device', () => {
  const fleet = new Fleet();
  assert.equal(fleet.presence, undefined);
  assert.equal(fleet.setPresence('a', 'stale'), undefined, 'nothing is known of it');
  for (const device of ['a', 'b']) fleet.take({ device, partition: 0, seq: 1, time: 1, readings: [] }, 1);
  assert.equal(fleet.presence, 'online');
  assert.equal(fleet.setPresence('a', 'offline')?.path, 'a');
  assert.equal(fleet.setPresence('a', 'offline'), undefined, 'no change');
  assert.equal(fleet.presence, 'online');
  fleet.setPresence('b', 'stale');
  assert.equal(fleet.presence, 'stale');
  fleet.setPresence('b', 'offline');
  assert.equal(fleet.presence, 'offline');
});
