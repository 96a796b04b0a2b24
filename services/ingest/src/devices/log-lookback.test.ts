import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createMemoryLog } from '@tailrace/eventlog/memory';
import { silentLogger } from '@tailrace/platform/logger';
import { createMetrics } from '@tailrace/platform/metrics';
import { TailraceError } from '@tailrace/protocol/error';
import { encodeReport } from '@tailrace/protocol/report-proto';
import { createFakeClock } from '@tailrace/testkit/fake-clock';
import { LogLookback } from './log-lookback.ts';

const topic = 'tailrace.telemetry';

async function fixture() {
  const clock = createFakeClock({ nowMs: 1_764_446_400_000 });
  const eventLog = createMemoryLog({ clock }).connect();
  await eventLog.start();
  await eventLog.ensureTopic({ name: topic, partitions: 2, retentionMs: 3_600_000, retentionBytes: 1e9 });
  const metrics = createMetrics({ service: 'ingest', node: 'test', processMetrics: false });
  const failures: TailraceError[] = [];
  let reads = 0;
  const failing: typeof eventLog.read = (...args) => {
    reads++;
    const failure = failures.shift();
    if (failure !== undefined) throw failure;
    return eventLog.read(...args);
  };
  const log = {
    read: failing,
    bounds: eventLog.bounds.bind(eventLog),
    positionsAt: eventLog.positionsAt.bind(eventLog),
  };
  const lookback = new LogLookback({ eventLog: log, topic, partitions: 2, clock, logger: silentLogger, metrics });
  const append = async (device: string, id: string) => {
    const report = { device, id, time: clock.now(), readings: [{ tag: 't', value: 1 }] };
    await eventLog.append(topic, [{ key: device, value: encodeReport(report, clock.now()) }]);
  };
  return { clock, lookback, append, failures, reads: () => reads, metricsText: () => metrics.text() };
}

test('a device of a lost node is looked up in the log, for two minutes', async () => {
  const { clock, lookback, append } = await fixture();
  await append('plant1.a', 'old');
  await clock.advance(130_000);
  await append('plant1.a', 'm1');
  assert.equal(lookback.idsOf('plant1.a'), undefined, 'no node was lost');
  lookback.lost();
  const found = lookback.idsOf('plant1.a')!;
  // Written by the broker after its sender was killed.
  await append('plant1.a', 'm2');
  await clock.advance(600);
  const ids = await found;
  assert.deepEqual(
    ['m1', 'm2', 'm3', 'old'].map((id) => ids.has('plant1.a', id)),
    [true, true, false, false],
  );
  assert.deepEqual([ids.has('plant1.b', 'm1'), ids.covers('plant1.b'), ids.coversAll], [false, false, false]);
  await clock.advance(120_000);
  lookback.sweep();
  assert.equal(lookback.idsOf('plant1.a'), undefined);
});

test('a process that starts on a log with records reads it back, and one on an empty log does not', async () => {
  const { clock, lookback, append } = await fixture();
  await lookback.started();
  assert.equal(lookback.idsOf('plant1.a'), undefined);
  await append('plant1.a', 'm1');
  await lookback.started();
  const found = lookback.idsOf('plant1.a')!;
  await clock.advance(100);
  assert.ok((await found).has('plant1.a', 'm1'));
});

test('a gateway finds what the log has of all devices', async () => {
  const { clock, lookback, append } = await fixture();
  const devices = Array.from({ length: 8 }, (_, index) => `plant1.machine${index}`);
  for (const device of devices) await append(device, 'm1');
  lookback.lost();
  const found = lookback.idsOfAll();
  await clock.advance(600);
  const ids = await found;
  assert.ok(ids.coversAll);
  assert.ok(devices.every((device) => ids.has(device, 'm1') && !ids.has(device, 'm2')));
});

test('devices of one partition share its tail, and each has what the log has by then', async () => {
  const { clock, lookback, append, reads } = await fixture();
  await append('plant1.a', 'm1');
  lookback.lost();
  const first = Array.from({ length: 100 }, () => lookback.idsOf('plant1.a')!);
  await clock.advance(600);
  assert.ok((await Promise.all(first)).every((ids) => ids.has('plant1.a', 'm1')));
  assert.ok(reads() <= 2, `got ${reads()} reads`);
  await append('plant1.a', 'm2');
  const next = lookback.idsOf('plant1.a')!;
  await clock.advance(100);
  assert.ok((await next).has('plant1.a', 'm2'));
});

test('a log that is away is read again, and without the right to read it the device is served', async () => {
  const { clock, lookback, append, failures, metricsText } = await fixture();
  await append('plant1.a', 'm1');
  lookback.lost();
  failures.push(new TailraceError('unavailable', 'no answer', { retryable: true }));
  const found = lookback.idsOf('plant1.a')!;
  await clock.advance(600);
  await clock.advance(1_000);
  assert.ok((await found).has('plant1.a', 'm1'));
  failures.push(new TailraceError('forbidden', 'no right to read'));
  const refused = lookback.idsOf('plant1.a');
  await clock.advance(100);
  await refused;
  const text = await metricsText();
  for (const outcome of ['read', 'failed'])
    assert.match(text, new RegExp(`tailrace_ingest_lookbacks_total\\{.*outcome="${outcome}".*\\} 1`));
});
