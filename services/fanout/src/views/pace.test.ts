import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Data, serverMessageFromJson } from '@tailrace/protocol/server-message';
import { createFakeClock } from '@tailrace/testkit/fake-clock';
import { logReport, type Values } from '../../test/records.ts';
import { viewLimits } from '../../test/view-limits.ts';
import { Channel } from '../channels/channels.ts';
import { type ViewLimits, Views } from './view.ts';
import type { ViewOptions } from './view-options.ts';

/** A view with one client, and the frames it got. */
function paced(options: ViewOptions = { maxRate: 2 }, limits: Partial<ViewLimits> = {}) {
  const clock = createFakeClock();
  const frames: { readonly atMs: number; readonly data: Data }[] = [];
  const publish = (_topic: string, frame: string | Uint8Array) => {
    const message = serverMessageFromJson(String(frame));
    assert.ok(message !== undefined && 'data' in message);
    frames.push({ atMs: clock.monotonic(), data: message.data });
  };
  const views = new Views({ publish }, clock, { ...viewLimits, ...limits });
  const channel = new Channel('p.>', [0]);
  const view = views.enter(channel, 'json', options);
  view.sockets = 1;
  let seq = 0;
  /** A batch with one report. */
  const report = (values: Values = seq, device = 'p.d') => {
    views.add(channel, logReport(device, ++seq, values));
    views.flush();
  };
  const seqs = () => frames.map(({ atMs, data }) => [atMs, ...data.reports.map((each) => each.seq)]);
  return { clock, frames, views, view, report, seqs };
}

test('the first frame after a pause is sent at once, the next when it is due, with a summary of what was left out', async () => {
  const { clock, frames, report, seqs, views } = paced();
  for (const value of [5, 9, 1, 3]) report({ t: value });
  assert.deepEqual(seqs(), [[0, 1]]);
  await clock.advance(499);
  report({ t: 4 });
  assert.equal(frames.length, 1);
  await clock.advance(1);
  assert.deepEqual(seqs().at(-1), [500, 5]);
  assert.deepEqual(frames[1]?.data.skipped, [
    {
      partition: 0,
      device: 'p.d',
      from: 2,
      to: 4,
      count: 3,
      reason: 'rate',
      tags: [{ tag: 't', count: 4, first: 9, min: 1, max: 9, last: 4 }],
    },
  ]);
  assert.equal(views.counts.conflated, 3);
  // No reports: no frame is sent, and no timer runs.
  assert.equal(clock.pending(), 0);
  await clock.advance(10_000);
  report();
  assert.deepEqual(seqs().at(-1), [10_500, 6]);
  assert.equal(frames[2]?.data.skipped, undefined);
});

test('there are never more frames than requested, and every device has its last report in one of them', async () => {
  const { clock, frames, report } = paced({ maxRate: 4 });
  for (let i = 0; i < 100; i++) {
    report(i, `p.d${i % 5}`);
    await clock.advance(37);
  }
  await clock.advance(250);
  for (let i = 1; i < frames.length; i++) assert.ok(frames[i]!.atMs - frames[i - 1]!.atMs >= 250);
  assert.ok(frames.length >= 14);
  const all = frames.flatMap(({ data }) => data.reports.map(({ seq }) => seq));
  assert.deepEqual(
    all,
    all.toSorted((a, b) => a - b),
  );
  assert.deepEqual(all.slice(-5), [96, 97, 98, 99, 100]);
  const left = frames.flatMap(({ data }) => data.skipped ?? []).reduce((sum, { count }) => sum + count, 0);
  assert.equal(all.length + left, 100);
});

test('a client that joins does not get what was held before: it is sent to the others first', async () => {
  const { clock, report, seqs, views, view } = paced();
  report();
  report();
  report();
  views.flush(view);
  assert.deepEqual(seqs(), [
    [0, 1],
    [0, 3],
  ]);
  assert.equal(clock.pending(), 0);
  report();
  await clock.advance(500);
  assert.deepEqual(seqs().at(-1), [500, 4]);
});

test('without clients nothing is held, and no timer runs', async () => {
  const { clock, frames, report, views, view } = paced();
  report();
  report();
  assert.ok(views.paced.bytes > 0);
  view.sockets = 0;
  report();
  assert.deepEqual([views.paced.bytes, clock.pending()], [0, 0]);
  view.sockets = 1;
  report();
  await clock.advance(500);
  assert.deepEqual(
    frames.map(({ data }) => data.reports.map(({ seq }) => seq)),
    [[1], [4]],
  );
});

test('beyond the bytes that views may hold together, reports are sent at once', () => {
  const { frames, report, views, clock } = paced({ maxRate: 0.001 }, { pacedBytesMax: 10_000 });
  for (let i = 0; i < 30; i++) report({ t: 'x'.repeat(1_000) }, `p.d${i}`);
  assert.ok(frames.length >= 3 && frames.length < 10, `${frames.length} frames`);
  assert.ok(views.paced.bytes <= 10_000);
  assert.ok(clock.pending() <= 1);
});

test('the deadband is applied before the rate, and delta after it', async () => {
  const { clock, frames, report } = paced({ maxRate: 1, delta: true, deadband: { absolute: 1 }, tags: ['t', 'u'] });
  report({ t: 1, u: 1, v: 1 });
  report({ t: 5, u: 1, v: 2 });
  report({ t: 1, u: 1, v: 3 });
  report({ t: 1.5, u: 1 });
  report({ v: 4 });
  await clock.advance(1_000);
  assert.equal(frames.length, 2);
  const { reports, skipped } = frames[1]!.data;
  // The retained report has its position and no readings: 1 was sent last. That it was 5 meanwhile is in the summary.
  assert.deepEqual(
    reports.map(({ seq, delta, readings }) => [seq, delta, readings]),
    [[3, true, []]],
  );
  assert.deepEqual(skipped?.[0]?.tags, [{ tag: 't', count: 2, first: 5, min: 1, max: 5, last: 1 }]);
  assert.equal(skipped?.[0]?.count, 1);
});
