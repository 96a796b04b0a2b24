import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeReport } from '@tailrace/protocol/report-proto';
import { eventually } from '@tailrace/testkit/eventually';
import { tagFlood } from '@tailrace/testkit/tag-flood';
import { Device, KnownDevices } from '../src/channels/device.ts';
import { LogReport } from '../src/channels/log-report.ts';
import { deviceLimits } from './device-limits.ts';
import { startNode } from './node.ts';
import { logReportOf } from './records.ts';
import { watch } from './watcher.ts';

const iterations = 5;

/** Returns the CPU time of keeping these reports of one device, µs a report: the least of several iterations. */
function costOf(reports: readonly (readonly string[])[], count: number): number {
  const known = new KnownDevices(deviceLimits);
  const device = new Device('p.d', 0, known.admit('p.d'));
  const bytes = reports.map((tags) => logReportOf({ readings: tags.map((tag) => ({ tag, value: true })) }, 0).bytes);
  let seq = 0;
  const next = (): LogReport => logReportAt(bytes[seq % bytes.length]!, seq++);
  for (let i = 0; i < Math.min(count, 3 * bytes.length); i++) device.keep(next(), known);
  let least = Number.POSITIVE_INFINITY;
  for (let iteration = 0; iteration < iterations; iteration++) {
    const { user } = process.cpuUsage();
    for (let i = 0; i < count; i++) device.keep(next(), known);
    least = Math.min(least, (process.cpuUsage().user - user) / count);
  }
  return least;
}

const logReportAt = (bytes: Uint8Array, seq: number) => new LogReport(0, seq, bytes);
const tagsOf = (count: number, from = 0) => Array.from({ length: count }, (_, i) => `t${from + i}`);

test('a report of one tag costs about the same, whether its device has had one tag or a thousand', (t) => {
  const plain = costOf([['t']], 20_000);
  const thousand = costOf(
    tagsOf(1_000).map((tag) => [tag]),
    20_000,
  );
  t.diagnostic(`${plain.toFixed(2)} and ${thousand.toFixed(2)} µs`);
  // If it were compared with every kept report, it would be more than a hundred times as much.
  assert.ok(thousand < 20 * plain, `${thousand} µs against ${plain} µs`);
});

test('a report of a thousand new tags costs what its tags cost, whatever reports came before', (t) => {
  const plain = costOf([tagsOf(1_000)], 100);
  const distinct = costOf(
    Array.from({ length: 121 }, (_, i) => tagsOf(1_000, i * 1_000)),
    121,
  );
  t.diagnostic(`${plain.toFixed(0)} and ${distinct.toFixed(0)} µs`);
  // Some 0.4 ms; 100 ms and more, where every kept report is compared with every tag.
  assert.ok(distinct < Math.max(200 * plain, 10_000), `${distinct} µs against ${plain} µs`);
});

test('a device that sends as many new tags as it can does not delay the readings of another', async (t) => {
  const node = await startNode();
  t.after(() => node.stop());
  const watcher = await watch({ port: node.port, token: node.token, channels: ['honest.press'] });
  t.after(() => watcher.end());
  await watcher.next('subscribed');
  for (const { device, bytes } of tagFlood({ device: 'a.evil', reports: 161, tags: 1_000, timeMs: Date.now() })) {
    await node.append(device, decodeReport(bytes).readings);
  }
  for (let n = 1; n <= 20; n++) await node.append('honest.press', [{ tag: 'n', value: n }]);
  const sentMs = performance.now();
  await eventually(() => watcher.last('honest.press') === 20, { deadlineMs: 60_000 });
  t.diagnostic(`behind by ${(performance.now() - sentMs).toFixed(0)} ms`);
  assert.deepEqual(watcher.violations(), []);
  // The other partition is processed in more calls, between those of the flood.
  await eventually(async () => assert.equal(await node.metric('tailrace_fanout_evicted_tags_total'), 160_000));
  assert.equal(await node.metric('tailrace_fanout_device_tags'), 1_000);
});
