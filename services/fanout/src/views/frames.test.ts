import assert from 'node:assert/strict';
import { test } from 'node:test';
import { serverMessageFromJson } from '@tailrace/protocol/server-message';
import { randomFrom } from '../../test/cluster.ts';
import { record } from '../../test/records.ts';
import { LogReport } from '../channels/log-report.ts';
import { conflate } from './conflation.ts';
import { conflatedFrames, encodedFrames, frameBytesMax } from './frames.ts';
import { View } from './view.ts';

function logReports(count: number, random: () => number): LogReport[] {
  return Array.from({ length: count }, (_, seq) => {
    const number = Math.floor(random() * 60);
    const device = `p.d${number}`;
    // Some devices report each tag once only: of them much is left.
    const values = { [`n${Math.floor(random() * 40)}`]: seq, text: 'x'.repeat(Math.floor(random() * 3_000)) };
    return new LogReport(number % 2, seq, record(device, seq, values).value);
  });
}

test('a client that is disconnected after any frame of conflated reports knows every report up to there, or that it was skipped', () => {
  const random = randomFrom(7);
  const view = new View(1, 'json', {});
  const all = logReports(3_000, random);
  const frames = [...conflatedFrames(view, conflate(all, 'slow'))];
  assert.ok(frames.length > 10, `${frames.length}`);
  const covered = new Set<number>();
  const reached = [-1, -1];
  for (const { frame, reports } of frames) {
    assert.ok(frame.length < frameBytesMax + 10_000, `${frame.length}`);
    const message = serverMessageFromJson(String(frame));
    assert.ok(message !== undefined && 'data' in message);
    for (const { device, from, to } of message.data.skipped ?? [])
      for (const { seq, report } of all) if (report.device === device && from <= seq && seq <= to) covered.add(seq);
    for (const { partition, seq } of reports) {
      covered.add(seq);
      reached[partition] = Math.max(reached[partition]!, seq);
    }
    for (const { partition, seq } of all) assert.ok(seq > reached[partition]! || covered.has(seq), `${seq} is unknown`);
  }
  assert.equal(covered.size, all.length);
});

test('one report larger than a frame is a frame', () => {
  const view = new View(1, 'proto', {});
  const large = Array.from({ length: 20 }, (_, i) => [`t${i}`, 'x'.repeat(4_000)]);
  const reports = [0, 1, 2].map((seq) => new LogReport(0, seq, record('p.d', seq, Object.fromEntries(large)).value));
  assert.deepEqual(
    [...encodedFrames(view, reports, {})].map((each) => each?.reports.map(({ seq }) => seq)),
    [[0], [1], [2]],
  );
});
