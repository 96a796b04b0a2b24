import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { arrival, type Values } from '../../test/records.ts';
import { Device } from './device.ts';

function deviceWith(...reports: readonly Values[]): Device {
  const device = new Device('p.d', 0);
  reports.forEach((values, seq) => {
    device.keep(arrival('p.d', seq, values));
  });
  return device;
}

const seqs = (device: Device) => device.lastValues().map(({ seq }) => seq);

test('a device that sends all its tags each time is kept as its last report', () => {
  assert.deepEqual(seqs(deviceWith({ a: 1, b: 2 }, { a: 3, b: 4 }, { a: 5, b: 6 })), [2]);
});

test('a report stays for as long as one of its tags was not sent again', () => {
  assert.deepEqual(seqs(deviceWith({ a: 1, b: 2 }, { a: 3 })), [0, 1]);
  assert.deepEqual(seqs(deviceWith({ a: 1, b: 2 }, { a: 3 }, { b: 4 })), [1, 2]);
  assert.deepEqual(seqs(deviceWith({ a: 1 }, { b: 2 }, { c: 3 }, { a: 4, b: 5, c: 6 })), [3]);
});

test('what is not newer than what is known changes nothing', () => {
  const device = deviceWith({ a: 1 }, { a: 2 });
  device.keep(arrival('p.d', 1, { a: 7 }));
  device.keep(arrival('p.d', 0, { b: 7 }));
  assert.deepEqual(
    device.lastValues().map(({ seq, report }) => [seq, report.readings]),
    [[1, [{ tag: 'a', value: 2 }]]],
  );
});

test('of a device with more single tags than are kept the oldest are forgotten', () => {
  const device = new Device('p.d', 0);
  for (let seq = 0; seq < Device.reportsMax + 10; seq++) device.keep(arrival('p.d', seq, { [`t${seq}`]: seq }));
  assert.equal(device.lastValues().length, Device.reportsMax);
  assert.equal(device.lastValues()[0]?.seq, 10);
});

test('a device whose large reports each bring one tag anew keeps no more bytes than the bound', () => {
  const device = new Device('p.d', 0);
  const text = 'x'.repeat(4_000);
  for (let seq = 0; seq < 100; seq++) {
    // 50 tags, of which the next report brings 49 again.
    device.keep(arrival('p.d', seq, Object.fromEntries(Array.from({ length: 50 }, (_, i) => [`t${seq + i}`, text]))));
    const bytes = device.lastValues().reduce((sum, kept) => sum + kept.bytes.length, 0);
    assert.ok(bytes <= Device.bytesMax, `${bytes} bytes`);
  }
  assert.equal(device.lastValues().at(-1)?.seq, 99);
  assert.ok(device.lastValues().length > 1);
});

test('the kept reports are the smallest set that leaves every tag at its last value', () => {
  const tag = fc.constantFrom('a', 'b', 'c', 'd');
  const report = fc.uniqueArray(tag, { minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(fc.array(report, { maxLength: 30 }), (reports) => {
      const device = new Device('p.d', 0);
      const last = new Map<string, number>();
      reports.forEach((tags, seq) => {
        device.keep(arrival('p.d', seq, Object.fromEntries(tags.map((each) => [each, seq]))));
        for (const each of tags) last.set(each, seq);
      });
      const kept = device.lastValues();
      assert.deepEqual(
        kept.map(({ seq }) => seq),
        [...new Set(last.values())].sort((a, b) => a - b),
      );
      const shown = new Map<string, unknown>();
      for (const { report: each } of kept) for (const { tag: name, value } of each.readings) shown.set(name, value);
      assert.deepEqual(shown, last);
    }),
    { seed: 1, numRuns: 300 },
  );
});
