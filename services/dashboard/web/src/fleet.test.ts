import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Delivery, Reading } from '@tailrace/client/report';
import { Fleet } from './fleet.ts';
import { History } from './history.ts';
import { valueAt } from './shown.ts';

function report(seq: number, readings: Reading[], times: { time?: number; received?: number } = {}): Delivery {
  return { device: 'plant1.press', partition: 0, seq, time: 1000 * seq, received: 1000 * seq + 20, readings, ...times };
}

test('the last value of each tag is kept, and what is not newer is not taken twice', () => {
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
  assert.equal(device.rhythmMs, 1000);
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
      { tag: 't', value: 'cutting' },
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
      ['cutting', 'good'],
    ],
  );
  assert.equal(at('n', 999), undefined);
});

test('a tag that becomes another kind of value begins anew', () => {
  const history = new History();
  history.add(report(1, [{ tag: 'x', value: 1 }]));
  history.add(report(2, [{ tag: 'x', value: 'on' }]));
  const tag = history.tags('plant1.press')!.get('x')!;
  assert.equal(tag.kind, 'text');
  assert.equal(tag.series.length, 1);
});

test('prose is no state: beyond a bound texts are not remembered', () => {
  const history = new History();
  for (let seq = 1; seq <= 200; seq++) history.add(report(seq, [{ tag: 'log', value: `line ${seq}` }]));
  assert.equal(history.tags('plant1.press')!.get('log')!.labels.length, 64);
});
