import assert from 'node:assert/strict';
import { devicesTopicSpec, rulesTopicSpec } from '@tailrace/eventlog/alarm-topics';
import type { EventLog } from '@tailrace/eventlog/event-log';
import { eventsTopicSpec } from '@tailrace/eventlog/events-topic';
import { createMemoryLog, type MemoryEventLog, type MemoryOperation } from '@tailrace/eventlog/memory';
import { type Logger, silentLogger } from '@tailrace/platform/logger';
import { createMetrics } from '@tailrace/platform/metrics';
import { AlarmOrder } from '@tailrace/protocol/alarm-order';
import { TailraceError } from '@tailrace/protocol/error';
import { tailrace } from '@tailrace/protocol/generated';
import { decodeReport, encodeReport } from '@tailrace/protocol/report-proto';
import { type AlarmOutput, DeviceAlarms } from '@tailrace/rules/device-alarms';
import { type DeviceAttributes, textFromAttributes } from '@tailrace/rules/device-attributes';
import { CompiledRule } from '@tailrace/rules/evaluation/compiled-rule';
import { bytesFromRule, type RuleInput, ruleFrom, ruleFromBytes } from '@tailrace/rules/rule';
import { createFakeClock, type FakeClock } from '@tailrace/testkit/fake-clock';
import { z } from 'zod';
import { transitionMessage } from '../src/alarm-messages.ts';
import { type Alarms, createAlarms } from '../src/app.ts';
import { type AlarmsSettings, alarmsSettings } from '../src/config.ts';

const { AlarmActionKind, Event } = tailrace.v1;

export const partitions = 2;
export const sessionMs = 3_000;

export interface TestNode {
  readonly name: string;
  readonly alarms: Alarms;
  readonly log: MemoryEventLog;
  /** Operations of the log that fail with `unavailable`. */
  readonly failing: Set<MemoryOperation>;
}

/** What the events of all partitions have, as a reader sees it. */
export interface ReadEvents {
  /** Transitions that count, in the order of each partition. */
  readonly transitions: tailrace.v1.AlarmTransition[];
  readonly refusals: tailrace.v1.AlarmActionRefused[];
  /** Transitions that readers drop. */
  readonly dropped: tailrace.v1.AlarmTransition[];
}

/** Several alarms nodes on one log in memory, under a clock that the test moves. */
export class AlarmsCluster {
  readonly clock: FakeClock = createFakeClock();
  readonly nodes: TestNode[] = [];
  /** How long a turn of the event loop takes, ms. */
  turnMs = 0;
  readonly #memory = createMemoryLog({ clock: this.clock });
  readonly #writer = this.#memory.connect();
  readonly #settings: Partial<AlarmsSettings>;
  readonly #logger: Logger;
  #actions = 0;

  constructor(settings: Partial<AlarmsSettings> = {}, logger: Logger = silentLogger) {
    this.#settings = settings;
    this.#logger = logger;
  }

  /** Creates the topics that the test writes, as ingest and control do. */
  async open(): Promise<void> {
    await this.#writer.start();
    const retention = { retentionMs: 86_400_000, retentionBytes: 1_000_000_000 };
    await this.#writer.ensureTopic({ name: 'tailrace.telemetry', partitions, ...retention });
    await this.#writer.ensureTopic(eventsTopicSpec('tailrace.events', partitions));
    await this.#writer.ensureTopic(rulesTopicSpec('tailrace.rules'));
    await this.#writer.ensureTopic(devicesTopicSpec('tailrace.devices'));
  }

  /** Starts a node. `wrap`: replaces its log, for a test that delays its calls. */
  async start(name: string, wrap: (log: MemoryEventLog) => EventLog = (log) => log): Promise<TestNode> {
    const failing = new Set<MemoryOperation>();
    const injectError = (operation: MemoryOperation) =>
      failing.has(operation) ? new TailraceError('unavailable', `the test lets ${operation} fail`) : undefined;
    const log = this.#memory.connect({ injectError });
    await log.start();
    const settings = { telemetryPartitions: partitions, flushMs: 0, areaLevels: 0 };
    const parsed = z.strictObject(alarmsSettings).parse(settings);
    const alarms = createAlarms({
      eventLog: wrap(log),
      clock: this.clock,
      logger: this.#logger,
      metrics: createMetrics({ service: 'alarms', node: name, processMetrics: false }),
      config: { ...parsed, ...this.#settings, node: name },
      random: () => 0.5,
      defer: (call) => void this.clock.after(this.turnMs, call),
    });
    const node = { name, alarms, log, failing };
    this.nodes.push(node);
    await alarms.start();
    await this.settle();
    return node;
  }

  /** Lets everything happen that is due within 100 ms. */
  async settle(ms = 100): Promise<void> {
    await this.clock.advance(ms);
  }

  /** Kills a node as kill -9 does, and waits until the group has noticed. */
  async kill(node: TestNode): Promise<void> {
    this.crash(node);
    await this.settle(sessionMs + 100);
  }

  /** Kills a node. The group notices after its session timeout. */
  crash(node: TestNode): void {
    node.log.crash(sessionMs);
    this.nodes.splice(this.nodes.indexOf(node), 1);
  }

  /** Returns the node that evaluates a device. */
  ownerOf(device: string): TestNode {
    const isOwner = ({ alarms }: TestNode) =>
      [...alarms.node!.ownership.owned()].some((each) => each.devices.has(device));
    const owner = this.nodes.find(isOwner);
    assert.ok(owner, `expected an owner of ${device}, got none`);
    return owner;
  }

  async stop(node: TestNode): Promise<void> {
    this.nodes.splice(this.nodes.indexOf(node), 1);
    const stopped = node.alarms.stop().then(() => node.log.close());
    await this.settle();
    await stopped;
  }

  async stopAll(): Promise<void> {
    for (const node of [...this.nodes]) await this.stop(node);
    await this.#writer.close();
  }

  // Input.

  /** Writes a rule with a high limit of `temp`. */
  async rule(rule: Partial<RuleInput> & { readonly limit?: number } = {}): Promise<void> {
    const { limit = 80, ...fields } = rule;
    const written = ruleFrom({
      ...{ id: 'hot', version: 1, devices: ['plant.>'] },
      condition: { kind: 'limits', tag: 'temp', limits: { H: { value: limit } } },
      ...fields,
    });
    await this.#writer.append('tailrace.rules', [{ key: written.id, value: bytesFromRule(written) }]);
  }

  async deleteRule(id: string): Promise<void> {
    await this.#writer.append('tailrace.rules', [{ key: id, value: new Uint8Array(0) }]);
  }

  /** Appends kind and labels of a device, as control does. Without any, a tombstone. */
  async attributes(device: string, { kind = '', labels = {} }: Partial<DeviceAttributes> = {}): Promise<void> {
    const value = new TextEncoder().encode(textFromAttributes({ kind, labels }) ?? '');
    await this.#writer.append('tailrace.devices', [{ key: device, value }]);
  }

  /** Appends a report of `temp`, as ingest does. */
  async report(device: string, temp: number, timeMs = this.clock.now()): Promise<void> {
    const report = { device, time: timeMs, readings: [{ tag: 'temp', value: temp }] };
    await this.#writer.append('tailrace.telemetry', [{ key: device, value: encodeReport(report, this.clock.now()) }]);
  }

  /** Appends an acknowledgement, as control does, and returns its ID. `number`: of the transition that was seen. */
  async acknowledge(device: string, number = 0, rule = 'hot'): Promise<string> {
    return await this.act(device, 'ACKNOWLEDGE', { number, rule });
  }

  /** Appends an action of a person, as control does, and returns its ID. */
  async act(
    device: string,
    kind: 'ACKNOWLEDGE' | 'SHELVE' | 'UNSHELVE',
    fields: tailrace.v1.IAlarmAction = {},
  ): Promise<string> {
    const id = `action-${++this.#actions}`;
    const alarmAction = {
      ...{ id, device, rule: 'hot', kind: AlarmActionKind[`ALARM_ACTION_KIND_${kind}`] },
      ...{ by: 'anna', note: 'test', time: this.clock.now(), ...fields },
    };
    await this.#writer.append('tailrace.events', [{ key: device, value: Event.encode({ alarmAction }).finish() }]);
    return id;
  }

  // Output.

  /** Reads the events of all partitions. */
  async events(): Promise<ReadEvents> {
    const found: ReadEvents = { transitions: [], refusals: [], dropped: [] };
    for (let partition = 0; partition < partitions; partition++) {
      const order = new AlarmOrder();
      for await (const records of this.#writer.read('tailrace.events', partition, { from: 0 })) {
        for (const { seq, value } of records) {
          const { alarmOwner, alarmTransition, alarmActionRefused: refused } = Event.decode(value);
          if (alarmOwner) order.takenOver(seq);
          else if (alarmTransition) {
            (order.accepts(alarmTransition) ? found.transitions : found.dropped).push(
              alarmTransition as tailrace.v1.AlarmTransition,
            );
          } else if (refused && order.isOfOwner(refused.owner)) {
            found.refusals.push(refused as tailrace.v1.AlarmActionRefused);
          }
        }
      }
    }
    return found;
  }

  /** Returns the rates of areas that the events have, each as `device raised`, those of a partition in their order. */
  async rates(): Promise<string[]> {
    const found: string[] = [];
    for (let partition = 0; partition < partitions; partition++) {
      for await (const records of this.#writer.read('tailrace.events', partition, { from: 0 })) {
        for (const { value } of records) {
          const { alarmRate } = Event.decode(value);
          if (alarmRate?.device) found.push(`${alarmRate.device} ${alarmRate.raised ?? 0}`);
        }
      }
    }
    return found;
  }

  /** Returns the transitions that count of one device, each as `number state`. */
  async statesOf(device: string, rule = 'hot'): Promise<string[]> {
    const { transitions } = await this.events();
    return transitions
      .filter((transition) => transition.device === device && transition.rule === rule)
      .map(({ number, state }) => `${number} ${stateName(state)}`);
  }

  /** Asserts that the numbers of each rule at each device rise by one, and that each transition continues the last. */
  async assertContinuous(): Promise<void> {
    const last = new Map<string, tailrace.v1.AlarmTransition>();
    for (const transition of (await this.events()).transitions) {
      const { device, rule, number, previous } = transition;
      const key = `${device} ${rule}`;
      const before = last.get(key);
      assert.equal(number, (before?.number ?? 0) + 1, `${key}: expected the next number`);
      if (before !== undefined) assert.equal(stateName(previous), stateName(before.state), `${key}, ${number}`);
      last.set(key, transition);
    }
  }

  /**
   * Asserts that the transitions are those of a single process that evaluates the log in order, up to now. `except`:
   * rules on which people act.
   */
  async assertAsReference(except: readonly string[], message: string): Promise<void> {
    const isCompared = ({ rule }: tailrace.v1.IAlarmTransition) => !except.includes(rule ?? '');
    const compared = (await this.events()).transitions.filter(isCompared);
    const expected = (await this.#reference()).filter(isCompared);
    const byDevice = (found: readonly tailrace.v1.IAlarmTransition[]) =>
      found
        .map(({ device, rule, number, id, alarm, state, previous, cause, limit, priority, time, seq, firstOut }) =>
          [device, rule, number, id, alarm, state, previous, cause, limit, priority, time, seq ?? null, firstOut].join(
            ' ',
          ),
        )
        .sort();
    assert.deepEqual(byDevice(compared), byDevice(expected), message);
    assert.ok(expected.length > 0, 'nothing is raised: the test tests nothing');
  }

  async #reference(): Promise<tailrace.v1.IAlarmTransition[]> {
    const counts = { evaluated: 0, lateReadings: 0, duplicateReports: 0 };
    const rules = new Map<string, CompiledRule>();
    for await (const records of this.#writer.read('tailrace.rules', 0, { from: 0 })) {
      for (const { key, value } of records) rules.set(key, new CompiledRule(ruleFromBytes(value)));
    }
    const { epoch } = await this.#writer.describeTopic('tailrace.telemetry');
    const { epoch: eventsEpoch } = await this.#writer.describeTopic('tailrace.events');
    const devices = new Map<string, DeviceAlarms>();
    const found: tailrace.v1.IAlarmTransition[] = [];
    const take = (outputs: readonly AlarmOutput[]) => {
      for (const output of outputs) {
        if ('transition' in output) {
          found.push(transitionMessage(output.transition, { owner: 0, point: output.state }));
        }
      }
    };
    for (let partition = 0; partition < partitions; partition++) {
      for await (const records of this.#writer.read('tailrace.telemetry', partition, { from: 0 })) {
        for (const { seq, key: device, value } of records) {
          let alarms = devices.get(device);
          if (alarms === undefined) {
            alarms = new DeviceAlarms({ device, epoch, eventsEpoch, counts });
            devices.set(device, alarms);
            const matching = [...rules.values()].filter((rule) => rule.matches(device));
            take(alarms.setRules(matching, this.clock.now()));
          }
          take(alarms.report(decodeReport(value), seq));
        }
      }
    }
    for (const alarms of devices.values()) take(alarms.advance(this.clock.now()));
    return found;
  }

  /** Asserts that each action has one answer. */
  async assertAnswered(message: string): Promise<void> {
    const { transitions, refusals } = await this.events();
    const answers = [...transitions.map(({ action }) => action), ...refusals.map(({ action }) => action)];
    const actions = Array.from({ length: this.#actions }, (_, index) => `action-${index + 1}`);
    assert.deepEqual(answers.filter((action) => action !== '').sort(), actions.sort(), message);
  }

  async append(topic: string, records: Parameters<EventLog['append']>[1]): Promise<void> {
    await this.#writer.append(topic, records);
  }
}

export function stateName(state: tailrace.v1.AlarmState): string {
  return tailrace.v1.AlarmState[state]!.replace('ALARM_STATE_', '').toLowerCase();
}

/** Runs a test with a cluster, and stops its nodes. */
export async function withAlarms(
  test: (cluster: AlarmsCluster) => Promise<void>,
  settings: Partial<AlarmsSettings> = {},
): Promise<void> {
  const cluster = new AlarmsCluster(settings);
  try {
    await cluster.open();
    await test(cluster);
  } finally {
    await cluster.stopAll();
  }
}
