import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createMemoryLog, type MemoryEventLog } from '@tailrace/eventlog/memory';
import { type Clock, systemClock } from '@tailrace/platform/clock';
import { TailraceError } from '@tailrace/protocol/error';
import { partitionOf } from '@tailrace/protocol/partition';
import type { Report } from '@tailrace/protocol/report';
import { encodeReport } from '@tailrace/protocol/report-proto';
import { DeviceAlarms } from '@tailrace/rules/device-alarms';
import type { DeviceAttributes } from '@tailrace/rules/device-attributes';
import { CompiledRule } from '@tailrace/rules/evaluation/compiled-rule';
import { type Rule, type RuleInput, ruleFrom } from '@tailrace/rules/rule';
import type { TagValue } from '@tailrace/rules/rule-condition';
import type { InForce } from './activations.ts';
import { DryRun, type DryRunLimits, type DryRunPorts, type DryRunRequest, dryRunLimits } from './dry-run.ts';
import { LogHistory } from './log-history.ts';

const topic = 'tailrace.telemetry';
const partitions = 3;
/** Times in tests are ms after this one. */
const start = 1_700_000_000_000;
const minuteMs = 60_000;
const hourMs = 60 * minuteMs;

function rule(fields: Partial<RuleInput> = {}): Rule {
  return ruleFrom({
    ...{ id: 'hot', version: 1, devices: ['plant1.>'] },
    condition: { kind: 'limits', tag: 'temp', limits: { H: { value: 80 } } },
    ...fields,
  });
}

/** A log of reports, each received and appended at its time. */
class HistoryFixture {
  nowMs = start;
  readonly clock: Clock = { ...systemClock, now: () => this.nowMs };
  readonly log: MemoryEventLog = createMemoryLog({ clock: this.clock }).connect();
  readonly attributes = new Map<string, DeviceAttributes>();
  readonly inForce = new Map<string, InForce>();
  readonly abort = new AbortController();

  async open(): Promise<this> {
    await this.log.start();
    await this.log.ensureTopic({ name: topic, partitions, retentionMs: 1e12, retentionBytes: 1e12 });
    return this;
  }

  /** Expects rising times. */
  async report(atMs: number, device: string, values: Readonly<Record<string, TagValue>>, more: Partial<Report> = {}) {
    this.nowMs = start + atMs;
    const readings = Object.entries(values).map(([tag, value]) => ({ tag, value }));
    const report = { device, time: this.nowMs, readings, ...more };
    await this.log.append(topic, [{ key: device, value: encodeReport(report, this.nowMs) }]);
  }

  /** One alarm of the device, which returns after `forMs`. */
  async alarm(atMs: number, device: string, forMs = 1_000): Promise<void> {
    await this.report(atMs, device, { temp: 90 });
    await this.report(atMs + forMs, device, { temp: 70 });
  }

  /** `from` and `to` are ms after the start. */
  async run(
    { from = 0, to = hourMs, ...request }: Partial<DryRunRequest> = {},
    limits: Partial<DryRunLimits> = {},
    ports: Partial<DryRunPorts> = {},
  ) {
    this.nowMs = Math.max(this.nowMs, start + to);
    const { attributes, inForce } = this;
    const dryRun = new DryRun(
      {
        ...{ rule: rule(), inhibiting: [], patterns: ['plant1.>'], warmUpMs: 0, ...request },
        ...{ from: start + from, to: start + to },
      },
      {
        ...{ history: new LogHistory(this.log, topic), clock: systemClock, yield: async () => {} },
        attributesOf: async (devices) =>
          new Map(devices.flatMap((each) => (attributes.has(each) ? [[each, attributes.get(each)!]] : []))),
        inForceOf: async () => inForce,
        ...ports,
      },
      this.abort.signal,
      { ...dryRunLimits, ...limits },
    );
    return await dryRun.run();
  }
}

async function withHistory(run: (history: HistoryFixture) => Promise<void>): Promise<void> {
  const history = await new HistoryFixture().open();
  try {
    await run(history);
  } finally {
    await history.log.close();
  }
}

test('14 alarms of three devices: 3 of a device where it is shelved, with first, last and durations', () =>
  withHistory(async (history) => {
    for (let index = 0; index < 9; index++) await history.alarm(index * 5 * minuteMs, 'plant1.a', 2_000);
    for (let index = 9; index < 12; index++) await history.alarm(index * 4 * minuteMs + 1, 'plant1.b', 6_000);
    await history.alarm(50 * minuteMs, 'plant1.c', 5_000);
    await history.report(59 * minuteMs, 'plant1.c', { temp: 99 });
    await history.report(59 * minuteMs, 'plant2.d', { temp: 99 });
    history.inForce.set('plant1.b', 'shelved');
    const found = await history.run();
    const { raised, visible, hidden, standing, durations, flood, first, last } = found;
    assert.deepEqual(
      { raised, visible, hidden },
      {
        ...{ raised: 14, visible: 11 },
        hidden: { shelved: 3, suppressed: 0, outOfService: 0 },
      },
    );
    assert.deepEqual([first, last], [start, start + 59 * minuteMs]);
    assert.deepEqual([standing, durations], [1, { medianMs: 2_000, longestMs: minuteMs }]);
    assert.deepEqual(flood, { floods: 0, peak: 2 });
    assert.deepEqual(
      found.devices.map(({ device, raised: each, inForce }) => [device, each, inForce ?? '']),
      [
        ['plant1.a', 9, ''],
        ['plant1.b', 3, 'shelved'],
        ['plant1.c', 2, ''],
      ],
    );
    assert.deepEqual(found.evaluated, {
      ...{ from: start, to: start + hourMs, devices: 3, reports: 27 },
      ...{ lateReadings: 0, duplicateReports: 0, rejected: 0 },
    });
    assert.deepEqual(found.leftOut, []);
  }));

test('it is what alarms raises: the steps and the order of the partitions change nothing', () =>
  withHistory(async (history) => {
    let state = 7;
    const random = () => {
      state = (state * 48_271) % 2_147_483_647;
      return state / 2_147_483_647;
    };
    const delayed = rule({ onDelayMs: 30_000, offDelayMs: 10_000 });
    const counts = { evaluated: 0, lateReadings: 0, duplicateReports: 0 };
    const expected = new Map<string, DeviceAlarms>();
    let raised = 0;
    const take = (outputs: ReturnType<DeviceAlarms['report']>) => {
      for (const output of outputs) if ('transition' in output && output.transition.cause === 'raised') raised++;
    };
    for (let atMs = 0; atMs < hourMs; atMs += Math.ceil(random() * 3_000)) {
      const device = `plant1.m${Math.floor(random() * 5)}`;
      const temp = 70 + random() * 15;
      await history.report(atMs, device, { temp });
      let alarms = expected.get(device);
      if (alarms === undefined) {
        alarms = new DeviceAlarms({ device, epoch: 'e', eventsEpoch: '', counts });
        alarms.setRules([new CompiledRule(delayed)], start);
        expected.set(device, alarms);
      }
      const time = start + atMs;
      const report = { device, time, received: time, readings: [{ tag: 'temp', value: temp }] };
      take(alarms.report(report, expected.size * 1e6 + atMs));
    }
    for (const alarms of expected.values()) take(alarms.advance(start + hourMs));
    const found = await history.run({ rule: delayed, to: hourMs + 1_000 });
    assert.ok(raised > 20, `only ${raised} raised: the test tests nothing`);
    assert.equal(found.raised, raised);
    assert.equal(
      found.evaluated.reports,
      (await history.log.bounds(topic)).reduce((sum, { next }) => sum + next, 0),
    );
  }));

test('late, historical and repeated reports, and values that are unknown, raise nothing, as in alarms', () =>
  withHistory(async (history) => {
    await history.report(1_000, 'plant1.a', { temp: 70 });
    await history.report(2_000, 'plant1.a', { temp: 90 }, { time: start });
    await history.report(3_000, 'plant1.a', { temp: 90 }, { historical: true });
    await history.report(4_000, 'plant1.a', {}, { readings: [{ tag: 'temp', value: 90, quality: 'bad' }] });
    await history.report(5_000, 'plant1.a', { temp: 'hot' });
    await history.report(6_000, 'plant1.a', { other: 90 });
    await history.report(7_000, 'plant1.b', { temp: 90 }, { id: 'm1', clock: 'ingest' });
    await history.report(8_000, 'plant1.b', { temp: 70 }, { id: 'm2', clock: 'ingest' });
    await history.report(9_000, 'plant1.b', { temp: 90 }, { id: 'm1', clock: 'ingest' });
    await history.log.append(topic, [{ key: 'plant1.a', value: new Uint8Array([255]) }]);
    const { raised, evaluated } = await history.run();
    const { lateReadings, duplicateReports, rejected } = evaluated;
    assert.deepEqual(
      { raised, lateReadings, duplicateReports, rejected },
      {
        ...{ raised: 1, lateReadings: 1, duplicateReports: 1, rejected: 1 },
      },
    );
  }));

test('what happens without a report is evaluated, too: a stale device, and a delay that passes', () =>
  withHistory(async (history) => {
    await history.report(0, 'plant1.a', { temp: 70 });
    await history.report(0, 'plant1.b', { temp: 90 });
    const stale = await history.run({ rule: rule({ condition: { kind: 'stale', afterMs: 10 * minuteMs } }) });
    assert.deepEqual([stale.raised, stale.standing, stale.first], [2, 2, start + 10 * minuteMs]);
    const delayed = await history.run({ rule: rule({ onDelayMs: 10_000 }) });
    assert.deepEqual([delayed.raised, delayed.first], [1, start + 10_000]);
  }));

test('an alarm that stands before the span is not counted after a warm-up, and is one without', () =>
  withHistory(async (history) => {
    await history.report(0, 'plant1.a', { temp: 90 });
    await history.report(20 * minuteMs, 'plant1.a', { temp: 91 });
    const from = 10 * minuteMs;
    assert.equal((await history.run({ from, warmUpMs: 15 * minuteMs })).raised, 0);
    assert.equal((await history.run({ from, warmUpMs: minuteMs })).raised, 1);
  }));

test('alarms that an inhibition hides from start to return are suppressed; one that outlasts it is seen', () =>
  withHistory(async (history) => {
    const inhibition = { states: [{ tag: 'mode', in: ['service'] }], alarms: ['dead'] };
    const dead = rule({ id: 'dead', condition: { kind: 'state', tag: 'power', in: [false] } });
    await history.alarm(0, 'plant1.a');
    await history.report(2_000, 'plant1.a', { mode: 'service' });
    await history.alarm(3_000, 'plant1.a');
    await history.report(5_000, 'plant1.a', { temp: 90 });
    await history.report(6_000, 'plant1.a', { mode: 'auto' });
    await history.report(7_000, 'plant1.a', { temp: 70, power: false });
    await history.alarm(8_000, 'plant1.a');
    const found = await history.run({ rule: rule({ inhibition }), inhibiting: [dead] });
    assert.deepEqual([found.raised, found.visible, found.hidden.suppressed], [4, 2, 2]);
    // A rule that is not stored inhibits nothing.
    assert.equal((await history.run({ rule: rule({ inhibition }) })).hidden.suppressed, 1);
  }));

test('a flood is more than 10 alarms in 10 minutes, of those that people would have seen', () =>
  withHistory(async (history) => {
    for (let index = 0; index < 11; index++) await history.alarm(index * 10_000, `plant1.m${index}`);
    for (let index = 0; index < 11; index++) await history.alarm(hourMs / 2 + index * 10_000, `plant1.m${index}`);
    const { flood } = await history.run();
    assert.deepEqual(flood, { floods: 2, first: start + 100_000, peak: 11 });
    history.inForce.set('plant1.m3', 'out_of_service');
    const without = await history.run();
    assert.deepEqual([without.flood, without.hidden.outOfService], [{ floods: 0, peak: 10 }, 2]);
  }));

test('kind and labels select devices, as they are now', () =>
  withHistory(async (history) => {
    history.attributes.set('plant1.a', { kind: 'press', labels: { line: '3' } });
    history.attributes.set('plant1.b', { kind: 'press', labels: { line: '4' } });
    for (const [index, device] of ['plant1.a', 'plant1.b', 'plant1.c'].entries())
      await history.alarm(index * 10_000, device);
    const where = { kind: 'press', labels: { line: '3' } };
    const found = await history.run({ rule: rule({ where }) });
    assert.deepEqual([found.raised, found.devices.map(({ device }) => device)], [1, ['plant1.a']]);
    assert.equal(found.evaluated.devices, 1);
  }));

test('of single devices only their partitions are read', () =>
  withHistory(async (history) => {
    for (let index = 0; index < 12; index++) await history.alarm(index * 10_000, `plant1.m${index}`);
    const read = new Set<number>();
    const log = {
      describeTopic: history.log.describeTopic.bind(history.log),
      bounds: history.log.bounds.bind(history.log),
      positionsAt: history.log.positionsAt.bind(history.log),
      read: (name: string, partition: number, range: Parameters<MemoryEventLog['read']>[2]) => {
        read.add(partition);
        return history.log.read(name, partition, range);
      },
    };
    const found = await history.run({ patterns: ['plant1.m7'] }, {}, { history: new LogHistory(log, topic) });
    assert.equal(found.raised, 1);
    assert.deepEqual([...read], [partitionOf('plant1.m7', partitions)]);
  }));

test('each bound stops or leaves out, and the answer names it', () =>
  withHistory(async (history) => {
    for (let index = 0; index < 60; index++) await history.alarm(index * minuteMs, `plant1.m${index % 6}`);
    const devices = await history.run({}, { devicesMax: 2 });
    assert.deepEqual([devices.raised, devices.leftOut], [20, [{ bound: 'devices', limit: 2, reports: 80 }]]);
    const reports = await history.run({}, { reportsMax: 30 });
    // All devices are evaluated up to the end of a step.
    assert.deepEqual(reports.leftOut, [{ bound: 'reports', limit: 30, time: reports.evaluated.to }]);
    const minutes = (reports.evaluated.to - start) / minuteMs;
    assert.ok(minutes > 0 && minutes < 16, String(minutes));
    assert.equal(reports.raised, minutes);
    const activations = await history.run({}, { activationsMax: 30 });
    assert.deepEqual(
      activations.leftOut.map(({ bound, limit }) => [bound, limit]),
      [['activations', 30]],
    );
    let monotonicMs = 0;
    const clock = { monotonic: () => monotonicMs++ };
    const time = await history.run({}, { runMsMax: 20 }, { clock });
    assert.deepEqual(
      time.leftOut.map(({ bound, limit }) => [bound, limit]),
      [['time', 20]],
    );
    assert.ok(time.raised < 60 && time.evaluated.to < start + hourMs);
    const partition = partitionOf('plant1.m0', partitions);
    await history.log.forget(topic, partition, 10);
    const retained = await history.run();
    assert.equal(retained.leftOut[0]!.bound, 'retention');
    assert.ok(retained.raised < 60 && retained.evaluated.from > start);
    assert.equal(retained.evaluated.from, retained.leftOut[0]!.time);
  }));

test('what the log removes during the run, and a partition from which all was removed, are named', () =>
  withHistory(async (history) => {
    const device = 'plant1.m0';
    const partition = partitionOf(device, partitions);
    for (let index = 0; index < 10; index++) await history.alarm(index * 5 * minuteMs, device);
    const { log } = history;
    const ports = {
      describeTopic: log.describeTopic.bind(log),
      bounds: log.bounds.bind(log),
      positionsAt: log.positionsAt.bind(log),
      read: log.read.bind(log),
    };
    const emptied = { ...ports, bounds: async () => Array.from({ length: partitions }, () => ({ first: 9, next: 9 })) };
    const unknown = await history.run({ patterns: [device] }, {}, { history: new LogHistory(emptied, topic) });
    const end = start + hourMs;
    assert.deepEqual([unknown.evaluated.from, unknown.leftOut], [end, [{ bound: 'retention', time: end }]]);
    let isForgotten = false;
    const forgetting = {
      ...ports,
      async *read(...args: Parameters<MemoryEventLog['read']>) {
        if (!isForgotten) await log.forget(topic, partition, 10);
        isForgotten = true;
        yield* log.read(...args);
      },
    };
    const found = await history.run({ patterns: [device] }, {}, { history: new LogHistory(forgetting, topic) });
    const time = start + 25 * minuteMs;
    assert.deepEqual([found.raised, found.evaluated.from], [5, time]);
    assert.deepEqual(found.leftOut, [{ bound: 'retention', time }]);
  }));

test('it stops when its requester has left, or the topic was re-created', () =>
  withHistory(async (history) => {
    await history.alarm(0, 'plant1.a');
    let described = 0;
    const log = {
      describeTopic: async (name: string) => {
        const found = await history.log.describeTopic(name);
        return described++ === 0 ? found : { ...found, epoch: 'other' };
      },
      bounds: history.log.bounds.bind(history.log),
      positionsAt: history.log.positionsAt.bind(history.log),
      read: history.log.read.bind(history.log),
    };
    await assert.rejects(history.run({}, {}, { history: new LogHistory(log, topic) }), { code: 'unavailable' });
    history.abort.abort(new TailraceError('canceled', 'left'));
    await assert.rejects(history.run(), { code: 'canceled' });
  }));
