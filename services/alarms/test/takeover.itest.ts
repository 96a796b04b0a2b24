import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { devicesTopicSpec, rulesTopicSpec } from '@tailrace/eventlog/alarm-topics';
import { KafkaEventLog } from '@tailrace/eventlog/kafka';
import { silentLogger } from '@tailrace/platform/logger';
import { AlarmOrder } from '@tailrace/protocol/alarm-order';
import { tailrace } from '@tailrace/protocol/generated';
import { decodeReport, encodeReport } from '@tailrace/protocol/report-proto';
import { textFromAttributes } from '@tailrace/rules/device-attributes';
import { bytesFromRule, ruleFrom } from '@tailrace/rules/rule';
import { eventually } from '@tailrace/testkit/eventually';
import { freePorts } from '@tailrace/testkit/free-port';
import { type KafkaBroker, startKafka } from '@tailrace/testkit/kafka';
import { failOnLeaks } from '@tailrace/testkit/leak-check';
import { type ServiceProcess, startService } from '@tailrace/testkit/process';

failOnLeaks({ graceMs: 5_000 });

const { AlarmActionKind, AlarmCause, Event } = tailrace.v1;
const partitions = 6;
const limit = 50;
/** Pace of the load. As fast as possible, it would take the processors from the nodes. */
const stepMs = 20;
const devices = Array.from({ length: 24 }, (_, index) => `plant.line${index}`);

const prefix = 'alarms1';

// Both tests share the log and the nodes: a start costs as much as a test. Each finds two nodes that share the
// partitions, and evaluates the log from its start.
let kafka: KafkaBroker;
let log: KafkaEventLog;
let nodes: ServiceProcess[] = [];
let load: Load;

before(async () => {
  kafka = await startKafka();
  log = new KafkaEventLog({ brokers: kafka.brokers, prefix, logger: silentLogger });
  await log.start();
  await log.ensureTopic(rulesTopicSpec(`${prefix}.rules`));
  const rules = ['hot', 'acknowledged'].map((id) => {
    const condition = { kind: 'limits', tag: 'temp', limits: { H: { value: limit } } };
    const rule = ruleFrom({ id, version: 1, devices: ['plant.>'], condition });
    return { key: id, value: bytesFromRule(rule) };
  });
  const condition = { kind: 'limits', tag: 'temp', limits: { H: { value: limit } } };
  const byLabel = ruleFrom({ id: 'by-label', version: 1, devices: ['>'], where: { labels: { line: '3' } }, condition });
  await log.append(`${prefix}.rules`, [...rules, { key: byLabel.id, value: bytesFromRule(byLabel) }]);
  await log.ensureTopic(devicesTopicSpec(`${prefix}.devices`));
  nodes = await Promise.all([startNode('a'), startNode('b')]);
  load = new Load();
});

after(async () => {
  await Promise.all(nodes.map((node) => node.kill()));
  await log?.close();
  await kafka?.stop();
});

beforeEach(async () => {
  await eventually(
    async () => {
      const owned = await Promise.all(nodes.map((node) => metric(node, 'tailrace_alarms_partitions')));
      assert.ok(owned.every((partitionsOfNode) => partitionsOfNode > 0 && partitionsOfNode < partitions));
    },
    { deadlineMs: 30_000, describe: 'both nodes have partitions' },
  );
  load.start();
});

afterEach(() => load.stop());

const internal = new Map<ServiceProcess, string>();

async function startNode(name: string): Promise<ServiceProcess> {
  const [port] = (await freePorts(1)) as [number];
  const url = `http://127.0.0.1:${port}`;
  const node = await startService({
    args: [join(import.meta.dirname, '../src/main.ts')],
    env: {
      TAILRACE_NODE: `${prefix}-${name}`,
      TAILRACE_INTERNAL_HOST: '127.0.0.1',
      TAILRACE_INTERNAL_PORT: String(port),
      TAILRACE_TOPIC_PREFIX: prefix,
      TAILRACE_TELEMETRY_PARTITIONS: String(partitions),
      TAILRACE_CHECKPOINT_MS: '1000',
      TAILRACE_KAFKA_BROKERS: kafka.brokers.join(','),
    },
    ready: { url: `${url}/readyz` },
    deadlineMs: 30_000,
  });
  internal.set(node, url);
  return node;
}

async function metric(node: ServiceProcess, name: string): Promise<number> {
  const page = await (await fetch(`${internal.get(node)}/metrics`)).text();
  const line = page.split('\n').find((each) => each.startsWith(`${name}{`));
  return Number(line?.split(' ').at(-1));
}

/** Reports values on both sides of the limit, and acknowledges the alarms of one rule. */
class Load {
  reports = 0;
  #isRunning = false;
  #step = 0;
  #timeMs = 0;
  #running: Promise<void> = Promise.resolve();

  start(): void {
    this.#isRunning = true;
    this.#running = this.#run();
  }

  async stop(): Promise<void> {
    this.#isRunning = false;
    await this.#running;
  }

  async #run(): Promise<void> {
    for (; this.#isRunning; this.#step++) {
      const step = this.#step;
      const timeMs = Math.max(this.#timeMs + 1, Date.now());
      this.#timeMs = timeMs;
      const records = devices.map((device, index) => {
        // Each device crosses the limit at other steps.
        const temp = (step * (index + 3)) % 17 < 8 ? 10 : 90;
        const report = { device, time: timeMs, readings: [{ tag: 'temp', value: temp }] };
        return { key: device, value: encodeReport(report, timeMs) };
      });
      await log.append(`${prefix}.telemetry`, records);
      this.reports += records.length;
      const device = devices[step % devices.length]!;
      const kind = AlarmActionKind.ALARM_ACTION_KIND_ACKNOWLEDGE;
      const alarmAction = { id: `action-${step}`, device, rule: 'acknowledged', kind, by: 'anna', time: timeMs };
      await log.append(`${prefix}.events`, [{ key: device, value: Event.encode({ alarmAction }).finish() }]);
      await sleep(stepMs);
    }
  }
}

async function passed(count: number): Promise<void> {
  const until = load.reports + count;
  await eventually(() => load.reports >= until, { deadlineMs: 60_000, describe: `${count} more reports` });
}

/** The crossings of the limit in the log, device by device: what a single-threaded evaluation of the log raises. */
async function crossings(): Promise<Map<string, string[]>> {
  const found = new Map<string, string[]>(devices.map((device) => [device, []]));
  const isHigh = new Map<string, boolean>();
  for (let partition = 0; partition < partitions; partition++) {
    for await (const records of log.read(`${prefix}.telemetry`, partition, { from: 0 })) {
      for (const { seq, value } of records) {
        const { device, readings } = decodeReport(value);
        if (!found.has(device)) continue;
        const high = (readings[0]!.value as number) > limit;
        if (high !== (isHigh.get(device) ?? false)) found.get(device)!.push(`${high ? 'RAISED' : 'RETURNED'} ${seq}`);
        isHigh.set(device, high);
      }
    }
  }
  return found;
}

interface Found {
  readonly transitions: Map<string, string[]>;
  readonly numbers: Map<string, number[]>;
  readonly actions: Set<string>;
  readonly answers: string[];
}

/** What a reader of the events finds. */
async function events(): Promise<Found> {
  const found: Found = { transitions: new Map(), numbers: new Map(), actions: new Set(), answers: [] };
  for (const device of devices) found.transitions.set(device, []);
  for (let partition = 0; partition < partitions; partition++) {
    const order = new AlarmOrder();
    for await (const records of log.read(`${prefix}.events`, partition, { from: 0 })) {
      for (const { seq, value } of records) {
        const { alarmOwner, alarmTransition, alarmAction, alarmActionRefused: refused } = Event.decode(value);
        if (alarmOwner) order.takenOver(seq);
        else if (alarmAction) found.actions.add(alarmAction.id!);
        else if (refused && order.isOfOwner(refused.owner)) found.answers.push(refused.action!);
        else if (alarmTransition && order.accepts(alarmTransition)) take(found, alarmTransition);
      }
    }
  }
  return found;
}

function take(found: Found, transition: tailrace.v1.IAlarmTransition): void {
  const { device, rule, number, cause, seq, action } = transition as tailrace.v1.AlarmTransition;
  const key = `${device} ${rule}`;
  found.numbers.set(key, [...(found.numbers.get(key) ?? []), number]);
  if (action) found.answers.push(action);
  if (rule !== 'hot') return;
  found.transitions.get(device)!.push(`${AlarmCause[cause]!.replace('ALARM_CAUSE_', '')} ${seq}`);
}

/**
 * Asserts that the transitions are those of the log, that each action has one answer, and that the flood of all these
 * alarms is one alarm, whichever nodes have counted them.
 */
async function assertComplete(): Promise<void> {
  await load.stop();
  const expected = await crossings();
  await eventually(
    async () => {
      const { transitions, numbers, actions, answers } = await events();
      assert.deepEqual(transitions, expected);
      assert.deepEqual([...answers].sort(), [...actions].sort());
      assert.deepEqual(numbers.get('plant.alarm_flood alarm-flood'), [1]);
    },
    { deadlineMs: 30_000, pollMs: 200, describe: 'all reports and actions are evaluated' },
  );
  for (const [key, numbers] of (await events()).numbers) {
    const rising = Array.from(numbers, (_, index) => index + 1);
    assert.deepEqual(numbers, rising, key);
  }
}

test('labels of a device select its rules, and another label is another rule, on all nodes', async () => {
  const labeled = Array.from({ length: 8 }, (_, index) => `hall.press${index}`);
  const label = (line: string) =>
    log.append(
      `${prefix}.devices`,
      labeled.map((device) => {
        const text = textFromAttributes({ kind: '', labels: { line } })!;
        return { key: device, value: new TextEncoder().encode(text) };
      }),
    );
  const report = async () => {
    const time = Date.now();
    const reports = labeled.map((device) => ({ device, time, readings: [{ tag: 'temp', value: 90 }] }));
    await log.append(
      `${prefix}.telemetry`,
      reports.map((each) => ({ key: each.device, value: encodeReport(each, time) })),
    );
  };
  const numbersAre = async (expected: readonly number[]) => {
    const { numbers } = await events();
    for (const device of labeled) assert.deepEqual(numbers.get(`${device} by-label`), expected);
  };
  await label('3');
  await eventually(
    async () => {
      await report();
      await numbersAre([1]);
    },
    { deadlineMs: 30_000, pollMs: 200, describe: 'the labels are in force' },
  );
  await label('4');
  await eventually(() => numbersAre([1, 2]), { deadlineMs: 30_000, pollMs: 200, describe: 'no device has the rule' });
});

test('a node that stands still for longer than its session, and goes on, raises no alarm twice', async () => {
  await passed(400);
  nodes[1]!.signal('SIGSTOP');
  await eventually(async () => assert.equal(await metric(nodes[0]!, 'tailrace_alarms_partitions'), partitions), {
    deadlineMs: 30_000,
    describe: 'the other node has all partitions',
  });
  await passed(400);
  nodes[1]!.signal('SIGCONT');
  await eventually(async () => assert.ok((await metric(nodes[0]!, 'tailrace_alarms_partitions')) < partitions), {
    deadlineMs: 30_000,
    describe: 'it is back in the group',
  });
  await passed(400);
  await assertComplete();
});

test('a node that is killed under load loses no alarm, and raises none twice', async () => {
  await passed(600);
  await nodes[1]!.kill();
  await eventually(async () => assert.equal(await metric(nodes[0]!, 'tailrace_alarms_partitions'), partitions), {
    deadlineMs: 30_000,
    describe: 'the other node has all partitions',
  });
  await passed(400);
  await assertComplete();
});
