import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type LogRecord, type NewRecord, unreadableRecord } from '@tailrace/eventlog/event-log';
import { silentLogger } from '@tailrace/platform/logger';
import { TailraceError } from '@tailrace/protocol/error';
import { tailrace } from '@tailrace/protocol/generated';
import { partitionOf } from '@tailrace/protocol/partition';
import { createFakeClock } from '@tailrace/testkit/fake-clock';
import { load, settle, withCluster } from '../../test/cluster-load.ts';
import { deviceLimits } from '../../test/device-limits.ts';
import { createLocalNode } from '../../test/local-node.ts';
import { logReportOf, reportBytes } from '../../test/records.ts';
import { KnownDevices } from '../channels/device.ts';
import { Checkpoints } from './checkpoints.ts';

const { DeviceState } = tailrace.v1;

/** A log of one partition that keeps everything, and may take only so many records more. */
function stateLog(partitions = 2) {
  const records: LogRecord[] = [];
  const eventLog = {
    records,
    room: Number.POSITIVE_INFINITY,
    /** Of one record; a batch with a larger one is refused, as Kafka does it. */
    valueBytesMax: Number.POSITIVE_INFINITY,
    async append(_topic: string, added: readonly NewRecord[]) {
      const large = added.find(({ value }) => value.length > eventLog.valueBytesMax);
      if (large !== undefined) throw new TailraceError('too_large', `${large.value.length} bytes`);
      for (const { key, value } of added) {
        if (eventLog.room-- <= 0) throw new TailraceError('unavailable', 'the log is gone');
        records.push({ seq: records.length, timeMs: 0, key, value });
      }
      return [];
    },
    async *read() {
      yield records;
    },
  };
  const clock = createFakeClock();
  const now = () => clock.monotonic();
  const { warn } = silentLogger;
  const parts = {
    eventLog,
    topic: 'state',
    epoch: 'e',
    partitions,
    endOf: async () => Number.MAX_SAFE_INTEGER,
    warn,
    now,
  };
  const checkpoints = new Checkpoints(parts);
  checkpoints.start(0, 0);
  return { eventLog, parts, checkpoints, clock };
}

async function restored(checkpoints: Checkpoints) {
  const { devices, from } = await checkpoints.restore(0, new KnownDevices(deviceLimits));
  const values = [...devices].map(
    ([path, device]) => [path, device.decoded().logReports.at(-1)?.report.readings[0]?.value] as const,
  );
  return { from, values: Object.fromEntries(values) };
}

test('a device that reported before what a new owner reads back has its last value after all nodes were replaced', async () => {
  await withCluster(['a', 'b'], async (cluster, nodes) => {
    const idle = 'plant.idle.meter';
    const partition = partitionOf(idle, cluster.partitions);
    await cluster.append(idle, 42);
    const busy = Array.from({ length: 200 }, (_, i) => `busy.d${i}`).find(
      (each) => partitionOf(each, cluster.partitions) === partition,
    )!;
    for (let i = 0; i < 2_500; i++) {
      await cluster.append(busy, i);
      if (i % 100 === 0) await cluster.clock.advance(500);
    }
    await settle(cluster);
    const stopped = Promise.all(nodes.map((node) => node.stop()));
    await settle(cluster);
    await stopped;
    const next = [await cluster.node('c'), await cluster.node('d')];
    await settle(cluster);
    for (const node of next) {
      const client = node.client(idle);
      await cluster.clock.advance(1_000);
      assert.deepEqual(
        client.snapshot.map(({ value }) => value),
        [42],
        `over ${node.name}`,
      );
    }
  });
});

test('the report interval of a device is written with its last values, and is there for the next owner', async () => {
  const { checkpoints } = stateLog(1);
  const node = createLocalNode({ partitions: 1 });
  const [partition] = node.partitions;
  node.report('p.new', 1);
  node.report('p.known', 1);
  partition!.device('p.known').reportInterval!.restore(60_000, 1_800_000_000_000);
  await checkpoints.write(partition!);
  const { devices } = await checkpoints.restore(0, new KnownDevices(deviceLimits));
  assert.deepEqual(Object.fromEntries([...devices].map(([path, device]) => [path, device.decoded().reportInterval])), {
    'p.new': { intervalMs: 0, lastMs: 1_700_000_000_000 },
    'p.known': { intervalMs: 60_000, lastMs: 1_800_000_000_000 },
  });
});

test('what changed is written once, and a batch has the position from which the log is to be read', async () => {
  const { eventLog, checkpoints } = stateLog();
  const node = createLocalNode();
  const partition = node.partitions[0]!;
  const own = (name: string) =>
    Array.from({ length: 100 }, (_, i) => `p.${name}${i}`).find(
      (each) => partitionOf(each, node.partitions.length) === 0,
    )!;
  const [a, b] = [own('a'), own('b')];
  assert.deepEqual(await restored(checkpoints), { from: undefined, values: {} });
  node.report(a, 1);
  await checkpoints.write(partition);
  await checkpoints.write(partition);
  assert.equal(eventLog.records.length, 1);
  node.report(b, 2);
  node.report(a, 3);
  await checkpoints.write(partition);
  assert.deepEqual(await restored(checkpoints), { from: 1, values: { [a]: 3, [b]: 2 } });
});

test('what a truncated batch lacks is read from the log: from the end of the batch before', async () => {
  const { eventLog, checkpoints } = stateLog();
  const node = createLocalNode();
  const partition = node.partitions[0]!;
  const devices = Array.from({ length: 100 }, (_, i) => `p.d${i}`)
    .filter((each) => partitionOf(each, node.partitions.length) === 0)
    .slice(0, 3);
  for (const device of devices) node.report(device, 1);
  await checkpoints.write(partition);
  for (const device of devices) node.report(device, 2);
  eventLog.room = 1;
  await checkpoints.write(partition);
  assert.equal(checkpoints.counts.failures, 1);
  assert.equal((await restored(checkpoints)).from, 3, 'not from the end of the truncated batch');
  eventLog.room = Number.POSITIVE_INFINITY;
  await checkpoints.write(partition);
  assert.deepEqual((await restored(checkpoints)).values, Object.fromEntries(devices.map((device) => [device, 2])));
});

test('a late batch of a former owner hides nothing: newer values hold, and the log is read from the end of that batch', async () => {
  const { eventLog, checkpoints } = stateLog();
  const node = createLocalNode();
  const partition = node.partitions[0]!;
  const device = Array.from({ length: 100 }, (_, i) => `p.d${i}`).find(
    (each) => partitionOf(each, node.partitions.length) === 0,
  )!;
  node.report(device, 1);
  await checkpoints.write(partition);
  const [old] = eventLog.records;
  for (const value of [2, 3]) {
    node.report(device, value);
    await checkpoints.write(partition);
  }
  eventLog.records.push({ ...old!, seq: eventLog.records.length });
  assert.deepEqual(await restored(checkpoints), { from: 1, values: { [device]: 3 } });
  // Compacted: of the device only the late record is left.
  eventLog.records.splice(0, 3);
  const { from } = await restored(checkpoints);
  assert.ok(from! <= 1);
});

test('state of another log is not taken', async () => {
  const { eventLog, parts, checkpoints } = stateLog();
  const node = createLocalNode();
  const device = Array.from({ length: 100 }, (_, i) => `p.d${i}`).find(
    (each) => partitionOf(each, node.partitions.length) === 0,
  )!;
  node.report(device, 1);
  await checkpoints.write(node.partitions[0]!);
  const other = new Checkpoints({ ...parts, epoch: 'another' });
  assert.deepEqual(await restored(other), { from: undefined, values: {} });
  eventLog.records.push({ seq: 9, timeMs: 0, key: 'p.x', value: new Uint8Array([255, 255]) });
  assert.equal((await restored(checkpoints)).from, 0);
});

test('a cluster under load continues to write state, and its own state is never behind the written one', async () => {
  await withCluster(['a', 'b', 'c'], async (cluster, nodes) => {
    const appended = new Map<string, number[]>();
    await load(cluster, appended, 30, 500);
    await settle(cluster);
    const records = nodes.reduce((sum, node) => sum + node.ownership.checkpoints.counts.records, 0);
    assert.ok(records >= appended.size, `${records} records`);
    for (const { number, role } of nodes[0]!.ownership.partitions) {
      if (role !== 'owned') continue;
      const { devices } = await nodes[0]!.ownership.checkpoints.restore(number, new KnownDevices(deviceLimits));
      for (const [path, device] of devices) {
        assert.equal(device.decoded().logReports.at(-1)?.report.readings[0]?.value, appended.get(path)?.at(-1));
      }
    }
  });
});

test('partitions are written one after the other, spread over the interval, and each within it', async () => {
  await withCluster(['a'], async (cluster, [node]) => {
    await settle(cluster);
    const { counts } = node!.ownership.checkpoints;
    const written = counts.records;
    const paths = Array.from({ length: 40 }, (_, n) => `p.d${n}`);
    for (const path of paths) await cluster.append(path, 1);
    const steps: number[] = [];
    for (let n = 0; n < 52; n++) {
      const before = counts.records;
      await cluster.clock.advance(100);
      if (counts.records > before) steps.push(counts.records - before);
    }
    assert.equal(counts.records - written, paths.length);
    const ofPartition = new Array<number>(cluster.partitions).fill(0);
    for (const path of paths) ofPartition[partitionOf(path, cluster.partitions)]!++;
    assert.deepEqual(steps.sort(), ofPartition.sort());
  });
});

test('what could not be written is written the next time, also when the partition was kept under a new assignment meanwhile', async () => {
  const { eventLog, checkpoints } = stateLog();
  const node = createLocalNode();
  const partition = node.partitions[0]!;
  const device = Array.from({ length: 100 }, (_, i) => `p.d${i}`).find(
    (each) => partitionOf(each, node.partitions.length) === 0,
  )!;
  node.report(device, 1);
  eventLog.room = 0;
  const failing = checkpoints.write(partition);
  partition.setGeneration(partition.generation + 1);
  await failing;
  eventLog.room = Number.POSITIVE_INFINITY;
  await checkpoints.write(partition);
  assert.deepEqual((await restored(checkpoints)).values, { [device]: 1 });
});

test('a batch that would start while another is being written waits for the next time: the end of that one is not known', async () => {
  const { eventLog, checkpoints } = stateLog();
  const node = createLocalNode();
  const partition = node.partitions[0]!;
  const [a, b] = Array.from({ length: 100 }, (_, i) => `p.d${i}`).filter(
    (each) => partitionOf(each, node.partitions.length) === 0,
  ) as [string, string];
  node.report(a, 1);
  const first = checkpoints.write(partition);
  node.report(b, 1);
  await checkpoints.write(partition);
  await first;
  assert.equal(eventLog.records.length, 1);
  await checkpoints.write(partition);
  assert.deepEqual(await restored(checkpoints), { from: 1, values: { [a]: 1, [b]: 1 } });
});

test('of what the state topic has no more devices are taken than may be known, and a start is not kept from reading on', async () => {
  const { checkpoints } = stateLog(1);
  const node = createLocalNode({ partitions: 1 });
  for (let n = 0; n < 50; n++) node.report(`p.d${n}`, n);
  for (let n = 0; n < 50; n++) node.report(`q.d${n}`, n);
  await checkpoints.write(node.partitions[0]!);
  const room = new KnownDevices({ ...deviceLimits, devicesMax: 30, devicesPerTenantMax: 20 });
  const { devices, from } = await checkpoints.restore(0, room.fork());
  assert.equal(from, 0);
  const tenants = Object.groupBy(devices.keys(), (path) => path.slice(0, 1));
  assert.deepEqual([tenants['p']?.length, tenants['q']?.length, room.size], [20, 10, 0]);
  assert.equal(room.counts.refused, 70);
});

test('the position of the last report is written also where that one holds no last value', async () => {
  const { checkpoints } = stateLog(1);
  const node = createLocalNode({ partitions: 1 });
  const [partition] = node.partitions;
  const readings = [{ tag: 'n', value: 1 }];
  const reports = [logReportOf({ readings }, 0), logReportOf({ readings, time: 5 }, 1)];
  partition!.accept(reports.map(({ seq, bytes: value }) => ({ key: 'p.d', seq, value, timeMs: 0 })));
  await checkpoints.write(partition!);
  const { devices } = await checkpoints.restore(0, new KnownDevices(deviceLimits));
  const { logReports, lastSeq } = devices.get('p.d')!.decoded();
  assert.deepEqual([logReports.map(({ seq }) => seq), lastSeq], [[0], 1]);
});

test('a batch of many devices is made as it is written, a part at a time', async () => {
  const { eventLog, checkpoints } = stateLog(1);
  const node = createLocalNode({ partitions: 1 });
  for (let n = 0; n < 1_000; n++) node.report(`p.d${n}`, 1);
  const sizes: number[] = [];
  const append = eventLog.append;
  eventLog.append = async (topic, records) => {
    sizes.push(records.length);
    // What came since the batch was started goes with it.
    if (sizes.length === 1) node.report('p.d999', 2);
    return append(topic, records);
  };
  await checkpoints.write(node.partitions[0]!);
  assert.ok(Math.max(...sizes) <= 200, `${sizes}`);
  assert.equal((await restored(checkpoints)).values['p.d999'], 2);
});

test('a large device is written every half minute, and a batch without it has the position from which the log is to be read', async () => {
  const { eventLog, checkpoints, clock } = stateLog(1);
  const node = createLocalNode({ partitions: 1 });
  const [partition] = node.partitions;
  const written = async (all = false) => {
    const from = eventLog.records.length;
    await checkpoints.write(partition!, all);
    return eventLog.records.slice(from).map(({ key }) => key);
  };
  for (let n = 0; n < 20; n++) node.report('p.large', { [`t${n}`]: 'x'.repeat(1_000) });
  node.report('p.small', 1);
  assert.deepEqual(await written(), ['p.large', 'p.small']);
  for (let value = 1; value <= 5; value++) {
    await clock.advance(5_000);
    node.report('p.large', { t0: `${value}` });
    node.report('p.small', value);
    assert.deepEqual(await written(), ['p.small']);
    assert.equal((await restored(checkpoints)).from, 21, 'from where the large one was written');
  }
  await clock.advance(5_000);
  assert.deepEqual(await written(), ['p.large']);
  node.report('p.small', 6);
  await written();
  assert.equal((await restored(checkpoints)).from, 31, 'everything before is in the batches before the last');
  node.report('p.large', { t0: 'y' });
  assert.deepEqual(await written(), []);
  assert.deepEqual(await written(true), ['p.large'], 'a node that leaves writes all');
});

test('a record without a value removes a device, and its place is there for another', async () => {
  const { eventLog, checkpoints } = stateLog(1);
  const node = createLocalNode({ partitions: 1 });
  for (const device of ['p.a', 'p.b']) node.report(device, 1);
  await checkpoints.write(node.partitions[0]!);
  eventLog.records.splice(1, 0, { seq: 9, timeMs: 0, key: 'p.a', value: new Uint8Array() });
  const { devices } = await checkpoints.restore(0, new KnownDevices({ ...deviceLimits, devicesMax: 1 }));
  assert.deepEqual([...devices.keys()], ['p.b']);
});

/** Devices of partition 0 of two. */
const ownDevices = (count: number, name = 'd') =>
  Array.from({ length: count * 10 }, (_, i) => `p.${name}${i}`)
    .filter((each) => partitionOf(each, 2) === 0)
    .slice(0, count);

/** One device reports so many tags, each in a report of its own, with a text of so many bytes. */
function reportMuch(node: ReturnType<typeof createLocalNode>, device: string, tags: number, textBytes: number): void {
  for (let n = 0; n < tags; n++) node.report(device, { [`t${n}`]: `${n}`.padEnd(textBytes, 'x') });
}

test('a device whose state the topic does not take costs no other its own: it is written without its oldest last values, and counted', async () => {
  const { eventLog, checkpoints } = stateLog();
  const node = createLocalNode();
  const partition = node.partitions[0]!;
  const [large, ...others] = ownDevices(40);
  eventLog.valueBytesMax = 100_000;
  for (const device of others.slice(0, 20)) node.report(device, 1);
  reportMuch(node, large!, 200, 2_000);
  for (const device of others.slice(20)) node.report(device, 1);
  await checkpoints.write(partition);
  assert.equal(checkpoints.counts.failures, 0);
  const { devices, from } = await checkpoints.restore(0, new KnownDevices(deviceLimits));
  for (const device of others) assert.equal(devices.get(device)?.decoded().logReports.length, 1, device);
  const kept = devices
    .get(large!)!
    .decoded()
    .logReports.map(({ report }) => report.readings[0]!.tag);
  assert.ok(kept.length > 20 && kept.length < 50, `${kept.length} reports`);
  assert.deepEqual(
    kept,
    Array.from({ length: kept.length }, (_, n) => `t${200 - kept.length + n}`),
    'the newest',
  );
  assert.ok(checkpoints.counts.truncated > 0);
  assert.equal(from, 0);
  node.report(others[0]!, 2);
  await checkpoints.write(partition);
  assert.equal(
    (await checkpoints.restore(0, new KnownDevices(deviceLimits))).from,
    239,
    'the state is as far as the log',
  );
  // What was learnt is tried first the next time.
  const refusals = eventLog.records.length;
  reportMuch(node, large!, 1, 2_000);
  await checkpoints.write(partition, true);
  assert.equal(eventLog.records.length, refusals + 1);
});

test('what a device may keep is written whole, in a record of half a megabyte', async () => {
  const { eventLog, checkpoints } = stateLog();
  const node = createLocalNode();
  const [large] = ownDevices(1);
  reportMuch(node, large!, 240, 4_000);
  await checkpoints.write(node.partitions[0]!);
  const { length } = eventLog.records[0]!.value;
  assert.ok(length > 400_000 && length <= 524_288 + 1_024, `${length} bytes`);
  assert.equal(checkpoints.counts.truncated, 0);
});

test('many devices with much state are written in appends that each are small', async () => {
  const { eventLog, checkpoints } = stateLog();
  const node = createLocalNode();
  const devices = ownDevices(12);
  for (const device of devices) reportMuch(node, device, 100, 3_000);
  const sizes: number[] = [];
  const { append } = eventLog;
  eventLog.append = async (topic, added) => {
    sizes.push(added.reduce((sum, { value }) => sum + value.length, 0));
    return await append(topic, added);
  };
  await checkpoints.write(node.partitions[0]!);
  assert.ok(Math.max(...sizes) <= 1_048_576, String(sizes));
  assert.equal((await checkpoints.restore(0, new KnownDevices(deviceLimits))).devices.size, 12);
});

test('a device that the topic does not take at all is counted, and tried again when it changes; the others are written', async () => {
  const { eventLog, checkpoints } = stateLog();
  const node = createLocalNode();
  const [large, other] = ownDevices(2);
  eventLog.valueBytesMax = 10;
  node.report(large!, 1);
  await checkpoints.write(node.partitions[0]!);
  assert.equal(checkpoints.counts.refused, 1);
  assert.equal(checkpoints.counts.failures, 0);
  eventLog.valueBytesMax = Number.POSITIVE_INFINITY;
  node.report(other!, 1);
  node.report(large!, 2);
  await checkpoints.write(node.partitions[0]!);
  assert.deepEqual((await restored(checkpoints)).values, { [large!]: 2, [other!]: 1 });
});

test('records of other programs in the state topic are ignored and counted: they create no device, position or report', async () => {
  const { eventLog, parts, checkpoints } = stateLog();
  const node = createLocalNode();
  const [device, other] = ownDevices(2) as [string, string];
  const elsewhere = Array.from({ length: 9 }, (_, n) => `p.e${n}`).find((path) => partitionOf(path, 2) === 1)!;
  node.report(device, 1);
  node.report(device, 2);
  await checkpoints.write(node.partitions[0]!);
  const whole = await restored(checkpoints);
  const state = (fields: tailrace.v1.IDeviceState) =>
    DeviceState.encode({ epoch: 'e', generation: 1, previous: 0, next: 2, ...fields }).finish();
  const report = (path: string, seq = 1) => ({ seq, report: reportBytes(path, 13) });
  const foreign: [string, Uint8Array][] = [
    [device, Buffer.from('garbage')],
    [device, new Uint8Array(900_000)],
    ['', state({ reports: [report(device)] })],
    ['p.>', state({})],
    [elsewhere, state({ reports: [report(elsewhere)] })],
    [device, state({ reports: [report(other)] })],
    [device, state({ reports: [{ seq: 1, report: new Uint8Array(0) }] })],
    [device, state({ next: Number.MAX_SAFE_INTEGER, previous: Number.MAX_SAFE_INTEGER })],
    [device, state({ reports: [report(device, 2 ** 50)] })],
    [device, state({ reports: [report(device)], lastSeq: 2 ** 50 })],
    [device, state({ reports: [report(device, 1), report(device, 0)] })],
    [device, state({ previous: 2, next: 1 })],
    [device, state({ lastMs: Number.NaN })],
    [device, state({ lastMs: 1, intervalMs: -1 })],
    [device, Buffer.concat([state({}), Buffer.from([0x20, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1])])],
  ];
  for (const [key, value] of foreign) eventLog.records.push({ seq: eventLog.records.length, timeMs: 0, key, value });
  const gap = { until: eventLog.records.length + 5, reason: 'codec', message: 'unknown' } as const;
  eventLog.records.push(unreadableRecord(eventLog.records.length, gap));
  const reading = new Checkpoints({ ...parts, endOf: async () => 2 });
  assert.deepEqual(await restored(reading), whole);
  assert.equal(reading.counts.unreadable, foreign.length + 1);
});

test('the end of the log is requested when a state is later than the known end, once for each batch', async () => {
  const { eventLog, parts, checkpoints } = stateLog();
  const node = createLocalNode();
  for (const device of ownDevices(5)) {
    node.report(device, 1);
    await checkpoints.write(node.partitions[0]!);
  }
  let asked = 0;
  const endOf = async () => {
    asked++;
    return 5;
  };
  const reading = new Checkpoints({ ...parts, endOf });
  assert.equal((await reading.restore(0, new KnownDevices(deviceLimits))).devices.size, 5);
  assert.equal(asked, 1);
  assert.equal(eventLog.records.length, 5);
});
