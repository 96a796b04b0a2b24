import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { logReport } from '../../test/records.ts';
import { Device } from '../channels/device.ts';
import { Window, type WindowDevice, type WindowReport } from './window.ts';

const devices = ['a', 'b', 'c'].map((name) => new Device(`p.${name}`, 0));

function windowWith(
  limits: { bytesMax: number; ageMsMax: number },
  entries: readonly (readonly [device: number, gap: number, ms: number])[],
) {
  const window = new Window(limits);
  window.restart(0);
  for (const device of devices) device.windowSeq = -1;
  const offered: { device: Device; seq: number; bytes: number; atMs: number }[] = [];
  let seq = -1;
  let atMs = 0;
  for (const [index, gap, ms] of entries) {
    seq += 1 + gap;
    atMs += ms;
    const device = devices[index]!;
    const report = logReport(device.path, seq);
    window.add(device, report, atMs);
    offered.push({ device, seq, bytes: report.bytes.length, atMs });
  }
  return { window, offered, atMs };
}

test('the window has what a list of everything would have, from its first position on, and stays within its bounds', () => {
  const entries = fc.array(fc.tuple(fc.nat(2), fc.nat(3), fc.nat(20)), { maxLength: 200 });
  fc.assert(
    fc.property(
      entries,
      fc.nat(600),
      fc.integer({ min: 100, max: 3_000 }),
      fc.integer({ min: 20, max: 500 }),
      (all, from, bytesMax, ageMsMax) => {
        const { window, offered, atMs } = windowWith({ bytesMax, ageMsMax }, all);
        assert.ok(window.bytes <= bytesMax);
        const start = Math.max(from, window.from);
        const expected = offered.filter(({ seq }) => seq >= start);
        assert.deepEqual(
          [...window.since(start)].map(({ seq }) => seq),
          expected.map(({ seq }) => seq),
        );
        assert.ok(expected.every((each) => each.atMs >= atMs - ageMsMax) || window.size === 0 || start > window.from);
        for (const device of devices) {
          assert.deepEqual(
            ofDevice(window, device, start).map(({ seq }) => seq),
            expected.filter((each) => each.device === device).map(({ seq }) => seq),
          );
        }
      },
    ),
    { numRuns: 300, seed: 7 },
  );
});

/** Follows the positions of a device from its newest report to the oldest from `from` on. */
function ofDevice(window: Window, device: WindowDevice, from: number): WindowReport[] {
  const found: WindowReport[] = [];
  for (let seq = device.windowSeq; seq >= Math.max(from, window.from); ) {
    const report = window.at(seq) ?? assert.fail(`${seq} is not in the window`);
    found.unshift(report);
    seq = report.previousSeq;
  }
  return found;
}

test('after a restart the window returns no reports from before it', () => {
  const { window } = windowWith({ bytesMax: 1e6, ageMsMax: 1e6 }, [
    [0, 0, 0],
    [0, 0, 0],
    [1, 0, 0],
  ]);
  window.restart(2);
  assert.deepEqual([...window.since(0)], []);
  assert.deepEqual(ofDevice(window, devices[0]!, 0), []);
  window.add(devices[0]!, logReport('p.a', 2), 0);
  assert.deepEqual(
    ofDevice(window, devices[0]!, 0).map(({ seq }) => seq),
    [2],
  );
  assert.equal(window.from, 2);
});

test('a window that starts again further back, as when a partition returns, has what was added since alone', () => {
  const device = devices[0]!;
  device.windowSeq = -1;
  const window = new Window({ bytesMax: 10_000, ageMsMax: 100 });
  window.restart(10);
  // The first has expired when the last comes.
  for (const [seq, atMs] of [
    [10, 0],
    [12, 10],
    [14, 200],
  ] as const) {
    window.add(device, logReport(device.path, seq), atMs);
  }
  window.restart(9);
  assert.deepEqual(ofDevice(window, device, 0), []);
  for (const seq of [10, 12, 14, 16]) window.add(device, logReport(device.path, seq), 200);
  assert.deepEqual(
    ofDevice(window, device, 0).map(({ seq }) => seq),
    [10, 12, 14, 16],
  );
});

test('small reports count with what it takes to hold them, so that many of them stay within the memory that the bound names', () => {
  const bytesMax = 100_000;
  const { window } = windowWith({ bytesMax, ageMsMax: 1e6 }, new Array(2_000).fill([0, 0, 0]));
  const each = logReport('p.a', 1).bytes.length;
  assert.ok(each < 60 && window.bytes <= bytesMax);
  assert.ok(window.size < bytesMax / (2 * each), `${window.size} reports of ${each} bytes`);
});
