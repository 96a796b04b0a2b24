import { setTimeout as sleep } from 'node:timers/promises';
import { assignPartitions } from '@tailrace/eventlog/rendezvous';
import { issueToken } from '@tailrace/platform/token';
import { TailraceError } from '@tailrace/protocol/error';
import { partitionOf } from '@tailrace/protocol/partition';
import { createTempDir } from '@tailrace/testkit/tempdir';
import { StackCluster } from '../../scripts/stack-cluster.ts';
import { freePortBase } from '../../test/ports.ts';
import { type Child, percentile, startChild } from './child.ts';
import type { Timed } from './control-clients.ts';
import { cpuSecondsOf } from './machine-use.ts';
import type { Row } from './row.ts';

/*
 * The targets of control, on real Kafka, NATS and PostgreSQL, with each service as a process. Clients are at fanout-0,
 * and all devices in partitions that fanout-1 owns, so that each event is relayed.
 */

const partitions = 12;
const nodes = ['fanout-0', 'fanout-1'] as const;
const deviceCount = 100;
const people = 4;
const schedules = 30;

export interface ControlBenchOptions {
  /** Share of the usual duration, 0 to 1; for a try. Default: 1. */
  readonly share?: number;
  /** Folder for CPU profiles of control. Default: none. */
  readonly profiles?: string | undefined;
}

/** The rows of control: commands, alarms, schedules, and the cost of alarms. */
export async function benchControl({ share = 1, profiles }: ControlBenchOptions = {}): Promise<Row[]> {
  const dir = await createTempDir('bench-control');
  const cluster = new StackCluster({
    ...{ nodes: nodes.length, data: dir.path, keepsData: false, drainMs: 0, portBase: await freePortBase(2) },
    print: (text) => void process.stderr.write(`${text}\n`),
  });
  // The sender of reports uses this prefix.
  cluster.common['TAILRACE_TOPIC_PREFIX'] = 'bench';
  cluster.common['TAILRACE_TELEMETRY_PARTITIONS'] = String(partitions);
  const clients = startChild('control-clients.ts');
  const sender = startChild('device-sender.ts');
  try {
    await cluster.start();
    await cluster.startControl({
      TAILRACE_SUBJECT_COMMANDS_PER_SECOND: '10000',
      ...(profiles === undefined ? {} : { NODE_OPTIONS: `--cpu-prof --cpu-prof-dir=${profiles}` }),
    });
    const alarms = await cluster.startAlarms();
    await clients.ask('connect', await clientsOf(cluster));
    const stack = new BenchStack(cluster, clients);
    const seconds = (whole: number) => Math.max(2, Math.round(whole * share));
    const rows: Row[] = [];
    const add = (row: Row) => {
      rows.push(row);
      process.stderr.write(`${row.what}: ${row.result} (${row.ours}; ${row.against})\n`);
    };
    add(await commandRow(stack, seconds(30)));
    add(await alarmRow(stack, seconds(30)));
    for (const row of await scheduleRows(stack, Math.max(2, Math.round(10 * share)))) add(row);
    // Their share of the processors is for alarms.
    await Promise.all(cluster.fanout.map((node) => node.end('SIGTERM')));
    await sender.ask('start', { broker: cluster.kafka.brokers[0] });
    add(await pairsRow(stack, sender, alarms.pid, { seconds: seconds(30), devices: Math.round(10_000 * share) }));
    return rows;
  } finally {
    await Promise.all([clients.end(), sender.end()]);
    await cluster.stop();
    await dir.remove();
  }
}

/** The stack under load, and its API. */
class BenchStack {
  readonly clients: Child;
  readonly #cluster: StackCluster;

  constructor(cluster: StackCluster, clients: Child) {
    this.#cluster = cluster;
    this.clients = clients;
  }

  async send(method: string, path: string, body?: object): Promise<void> {
    const authorization = `Bearer ${this.#cluster.token}`;
    const json = body && { 'content-type': 'application/json' };
    const init = { method, headers: { authorization, ...json }, ...(body && { body: JSON.stringify(body) }) };
    const answer = await fetch(`${this.#cluster.control[0]!.url}${path}`, init);
    const text = await answer.text();
    if (!answer.ok) throw new TailraceError('internal', `${method} ${path}: ${answer.status} ${text}`);
  }
}

async function clientsOf(cluster: StackCluster): Promise<object> {
  const { tokenSecret: secret } = cluster;
  const devices = devicesOfOtherNode();
  const expiresInMs = 3_600_000;
  const person = (subject: string) =>
    issueToken({ secret, subject, publish: [], subscribe: ['bench.>'], command: ['bench.>'], expiresInMs });
  const deviceToken = (device: string) =>
    issueToken({ secret, subject: device, publish: [device], subscribe: [], expiresInMs });
  return {
    ...{ ingest: cluster.ingest.url, fanout: cluster.fanout[0]!.url.replace('http', 'ws'), token: cluster.token },
    tokens: await Promise.all(Array.from({ length: people }, (_, n) => person(`person-${n}`))),
    devices: await Promise.all(devices.map(async (device) => ({ device, token: await deviceToken(device) }))),
  };
}

const ms = (value: number) => `${value.toFixed(0)} ms`;
const p99 = (values: readonly number[]) => percentile(values, 0.99);
const p50 = (values: readonly number[]) => percentile(values, 0.5);

async function commandRow({ clients }: BenchStack, seconds: number): Promise<Row> {
  const perSecond = 200;
  // So that the compilers of all processes have seen the code.
  await clients.ask('commands', { perSecond: 50, seconds: Math.min(10, seconds) });
  const { timed, failed } = await clients.ask<{ timed: Timed[]; failed: number }>('commands', { perSecond, seconds });
  const done = timed.map(({ doneMs }) => doneMs);
  const device = timed.map(({ deviceMs }) => deviceMs);
  const accepted = timed.map(({ acceptedMs }) => acceptedMs);
  return {
    what: `command of a WebSocket client → device, whose events another node owns → done at the client, at ${perSecond}/s`,
    ours: `done p50 ${ms(p50(done))}; at the device p50 ${ms(p50(device))}, p99 ${ms(p99(device))}; accepted p50 ${ms(p50(accepted))}${failed === 0 ? '' : `; ${failed} not done`}`,
    against: '',
    result: `p99 ${ms(p99(done))}`,
    target: '≤ 100 ms',
    met: failed === 0 && p99(done) <= 100,
    value: p99(done),
  };
}

async function alarmRow(stack: BenchStack, seconds: number): Promise<Row> {
  const rule = { devices: ['bench.>'], condition: { kind: 'limits', tag: 'temp', limits: { H: { value: 80 } } } };
  // The registry does not have the devices yet.
  await stack.send('PUT', '/v1/rules/hot?force=true', { ...rule, priority: 2 });
  await sleep(2_000);
  const load = { channel: 'bench.>', perSecond: 200, alarmEvery: 7 };
  await stack.clients.ask('watch', { ...load, seconds: Math.min(10, seconds) });
  const { readings, alarms, sent, raised } = await stack.clients.ask<{
    readings: number[];
    alarms: number[];
    sent: number;
    raised: number;
  }>('watch', { ...load, seconds });
  await stack.send('DELETE', '/v1/rules/hot?version=1');
  const over = p99(alarms) - p99(readings);
  const lost = sent - readings.length + raised - alarms.length;
  return {
    what: `report in → alarm at a client on another node, rule without a delay, ${load.perSecond} reports/s, ${Math.round(load.perSecond / load.alarmEvery)} transitions/s: p99 over that of the reading`,
    ours: `alarm p50 ${ms(p50(alarms))}, p99 ${ms(p99(alarms))}${lost === 0 ? '' : `; ${lost} not delivered`}`,
    against: `reading: p50 ${ms(p50(readings))}, p99 ${ms(p99(readings))}`,
    result: ms(over),
    target: '≤ 150 ms',
    met: lost === 0 && over <= 150,
    value: over,
  };
}

/** One schedule, then 30 at one instant: from the time until a device has the first command of the run. */
async function scheduleRows(stack: BenchStack, times: number): Promise<Row[]> {
  const names = await scheduledScenes(stack);
  const rows: Row[] = [];
  for (const count of [1, schedules]) {
    const late = await runSchedules(stack, names.slice(0, count), times);
    rows.push({
      what:
        count === 1
          ? 'scheduled run: from its time until its device has the command'
          : `the same, ${count} schedules at one instant`,
      ours: `p50 ${ms(p50(late))}, most ${ms(Math.max(...late))}`,
      against: '',
      result: `p99 ${ms(p99(late))}`,
      target: '≤ 250 ms',
      met: late.length === count * times && p99(late) <= 250,
      value: p99(late),
    });
  }
  return rows;
}

async function scheduledScenes(stack: BenchStack): Promise<readonly string[]> {
  const devices = devicesOfOtherNode();
  const names = Array.from({ length: schedules }, (_, n) => `s${n}`);
  for (const [n, name] of names.entries()) {
    const steps = [{ do: 'command', device: devices[n], command: 'set', params: { scene: true } }];
    await stack.send('PUT', `/v1/scenes/${name}`, { name, steps });
  }
  return names;
}

const scheduleEverySeconds = 3;

/** Resolves with how late the commands were at the devices, ms. Each of `names` runs at the same instants. */
async function runSchedules(stack: BenchStack, names: readonly string[], times: number): Promise<readonly number[]> {
  const schedule = { cron: `*/${scheduleEverySeconds} * * * * *`, timeZone: 'UTC', overlap: 'parallel' };
  // All of them before the first instant.
  const periodMs = scheduleEverySeconds * 1_000;
  await sleep(periodMs - (Date.now() % periodMs) + 100);
  await Promise.all(
    names.map((name) => stack.send('PUT', `/v1/schedules/${name}`, { ...schedule, name, scene: name })),
  );
  const late: number[] = [];
  for (let tries = 0; late.length < names.length * times && tries < 2 * times; tries++) {
    await sleep(periodMs);
    const { list } = await stack.clients.ask<{ list: { atMs: number }[] }>('receipts');
    late.push(...list.map(({ atMs }) => atMs % periodMs));
  }
  await Promise.all(names.map((name) => stack.send('DELETE', `/v1/schedules/${name}`)));
  await sleep(periodMs);
  await stack.clients.ask('receipts');
  return late.slice(0, names.length * times);
}

const limits = (tag: string, value: number) => ({
  kind: 'limits',
  tag,
  limits: { H: { value }, HH: { value: value + 5 } },
});
/** Ten rules of which each report evaluates all: the worst case of packages/rules/test/evaluation-bench.ts. */
const pairRules: readonly object[] = [
  ...[0, 1, 2, 3].map((n) => ({ condition: limits(`temperature${n}`, 1e6) })),
  { condition: limits('temperature0', 2e6), onDelayMs: 5_000, offDelayMs: 5_000 },
  { condition: limits('temperature1', 2e6), onDelayMs: 10_000 },
  { condition: { kind: 'rate', tag: 'temperature2', overMs: 10_000, rise: { value: 1e6 } } },
  { condition: { kind: 'stale', afterMs: 600_000 } },
  { condition: { kind: 'state', tag: 'temperature3', in: [-1] } },
  { condition: { kind: 'expression', expression: 'temperature0 > 1e6 && temperature1 > 1e6 || temperature2 < -5.0' } },
];

async function pairsRow(
  stack: BenchStack,
  sender: Child,
  pid: number,
  { seconds, devices }: { readonly seconds: number; readonly devices: number },
): Promise<Row> {
  const perSecond = devices;
  const patterns = Array.from({ length: 10 }, (_, n) => `plant${n}.>`);
  for (const [n, rule] of pairRules.entries())
    await stack.send('PUT', `/v1/rules/pair${n}?force=true`, { ...rule, devices: patterns, priority: 3 });
  await sleep(2_000);
  const load = { devices, perSecond, readings: 4 };
  await sender.ask('run', { ...load, seconds: 5 });
  const [cpu, startMs] = [await cpuSecondsOf(pid), performance.now()];
  const { sent } = await sender.ask<{ sent: number }>('run', { ...load, seconds });
  const tookSeconds = (performance.now() - startMs) / 1_000;
  const share = ((await cpuSecondsOf(pid)) - cpu) / tookSeconds;
  const pairs = (devices * pairRules.length).toLocaleString('en');
  return {
    what: `alarms: ${pairs} pairs of a rule and a device at ${perSecond.toLocaleString('en')} reports/s from Kafka, each of which evaluates all rules of its device`,
    ours: `${Math.round(sent / tookSeconds).toLocaleString('en')} reports/s`,
    against: '',
    result: `${(share * 100).toFixed(0)} % of a core`,
    target: '≤ 40 %',
    met: share <= 0.4 && sent / tookSeconds >= 0.97 * perSecond,
    value: share,
  };
}

/** Devices in partitions that fanout-1 owns. */
function devicesOfOtherNode(): readonly string[] {
  const owned = new Set(assignPartitions(nodes, partitions).get(nodes[1]));
  const names = Array.from({ length: 10 * deviceCount }, (_, n) => `bench.line.d${n}`);
  return names.filter((device) => owned.has(partitionOf(device, partitions))).slice(0, deviceCount);
}
