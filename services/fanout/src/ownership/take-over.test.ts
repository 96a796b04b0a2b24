import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LogRecord } from '@tailrace/eventlog/event-log';
import { silentLogger } from '@tailrace/platform/logger';
import { tailrace } from '@tailrace/protocol/generated';
import { deviceLimits } from '../../test/device-limits.ts';
import { createLocalNode } from '../../test/local-node.ts';
import { logReport, record } from '../../test/records.ts';
import { KnownDevices } from '../channels/device.ts';
import { packed } from '../channels/log-report.ts';
import { IdLookback } from './id-lookback.ts';
import { PartitionReader } from './partition-reader.ts';
import { IdMemory } from './recent-ids.ts';
import { RestoredDevice } from './restored-device.ts';
import { TakeOver } from './take-over.ts';

const idWindowMs = 120_000;

/**
 * A node that takes its one partition over from another, whose channel `p.d` has everything before `had`. A record a
 * second, as long as it is appended.
 */
function takingOver(options: { had: number; records: readonly LogRecord[]; idsMax?: number }) {
  const { had, records } = options;
  const node = createLocalNode({ partitions: 1, owned: false });
  node.clock.setWallClock(records.at(-1)!.timeMs);
  const channel = node.channels.open('p.d');
  node.views.enter(channel, 'json').sockets = 1;
  channel.advance(0, had);
  const first = records[0]!.seq;
  const next = records.at(-1)!.seq + 1;
  const known = new KnownDevices(deviceLimits);
  const reports = [{ seq: 4, report: logReport('p.d', 4).bytes }];
  const state = packed(tailrace.v1.DeviceState.encode({ reports }).finish());
  const restored = new RestoredDevice(0, next, known.admit('p.d')!, state);
  const checkpoints = {
    restore: async () => ({ from: next, devices: new Map([['p.d', restored]]) }),
    start() {},
  };
  let read = 0;
  const eventLog = {
    bounds: async () => [{ first, next }],
    positionsAt: async (_topic: string, timeMs: number) => [records.find((each) => each.timeMs >= timeMs)?.seq ?? next],
    async *read(_topic: string, _partition: number, range: { from: number; until?: number }) {
      const some = records.filter(({ seq }) => seq >= range.from && seq < (range.until ?? next));
      read += some.length;
      if (some.length > 0) yield some;
    },
  };
  const { partitions } = node;
  const memory = new IdMemory({ idWindowMs, idsMax: options.idsMax ?? 10_000 }, () => node.clock.now());
  let turns = 0;
  const reader = new PartitionReader({
    ...{ eventLog, topic: 't', partitions, clock: node.clock, logger: silentLogger, flushMs: 0 },
    defer: (call) => {
      turns++;
      queueMicrotask(call);
    },
    onRecords() {},
  });
  const ids = new IdLookback({ eventLog, topic: 't', reader, partitions, memory });
  const { channels } = node;
  const takeOver = new TakeOver({
    ...{ eventLog, clock: node.clock, topic: 't', checkpoints, channels, known, ids },
    recoveryRecordsMax: 1,
  });
  const shown = () =>
    node.published.flatMap(({ frame }) => {
      const { data } = JSON.parse(String(frame)) as { data: { reports: { seq: number }[]; skipped?: object[] } };
      return [...(data.skipped ?? []), ...data.reports.map(({ seq }) => seq)];
    });
  return {
    node,
    ids,
    shown,
    recordsRead: () => read,
    turns: () => turns,
    async takeOver(): Promise<number> {
      const prepared = await takeOver.prepare([0]);
      return takeOver.start(partitions[0]!, { stop() {} }, 1, prepared);
    },
    /** As the log hands it over from there on. */
    readFrom(from: number) {
      partitions[0]!.accept(records.filter(({ seq }) => seq >= from));
      node.views.flush();
    },
  };
}

/** One a second. */
function recordsOf(count: number, idOf: (seq: number) => string | undefined): LogRecord[] {
  return Array.from({ length: count }, (_, seq) => ({
    ...record('p.d', seq, seq, idOf(seq)),
    timeMs: record('p.d', 0).timeMs + seq * 1_000,
  }));
}

test('a new owner knows the message IDs of the window before it starts to read, and no more than that is read', async () => {
  const ids = new Map([
    [1_881, 'same'],
    [1_999, 'old'],
    [2_001, 'same'],
  ]);
  const { takeOver, readFrom, shown, recordsRead } = takingOver({
    had: 2_000,
    records: recordsOf(2_003, (seq) => ids.get(seq)),
  });
  const from = await takeOver();
  assert.equal(from, 2_000);
  assert.ok(recordsRead() < 200, `${recordsRead()} records were read`);
  readFrom(from);
  assert.deepEqual(shown(), [2_000, 2_002]);
});

test('the lookback reads a little in each turn of the event loop: other partitions are served meanwhile', async () => {
  const records = recordsOf(10_002, (seq) => `${seq}`).map((each) => ({ ...each, timeMs: record('p.d', 0).timeMs }));
  const { takeOver, recordsRead, turns } = takingOver({ had: 10_000, records });
  await takeOver();
  assert.ok(recordsRead() >= 10_000, `${recordsRead()} records were read`);
  assert.ok(turns() >= recordsRead() / 250 - 2, `${turns()} turns`);
});

test('where more IDs lie in the window than may be remembered, the lookback is shorter, and counted', async () => {
  const { takeOver, readFrom, shown, ids } = takingOver({
    had: 2_000,
    records: recordsOf(2_003, (seq) => (seq % 2 === 1 ? `${seq === 2_001 ? 1_901 : seq}` : undefined)),
    idsMax: 20,
  });
  readFrom(await takeOver());
  assert.deepEqual(shown(), [2_000, 2_001, 2_002]);
  assert.equal(ids.counts.shortened, 1);
});

test('channels are notified of what the log no longer has, then sent what the state topic has of it', async () => {
  const { takeOver, readFrom, shown } = takingOver({ had: 2, records: recordsOf(8, () => undefined).slice(6) });
  assert.equal(await takeOver(), 6);
  readFrom(6);
  assert.deepEqual(shown(), [
    { partition: 0, device: '', from: 2, to: 5, count: 0, reason: 'retention' },
    ...[4, 6, 7],
  ]);
});
