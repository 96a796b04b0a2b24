import type { LogRecord, NewRecord } from '@tailrace/eventlog/event-log';
import { recordEnd } from '@tailrace/eventlog/event-log';
import type { Clock } from '@tailrace/platform/clock';
import { ExpiryHeap } from '@tailrace/platform/expiry-heap';
import { TailraceError } from '@tailrace/protocol/error';
import { tailrace } from '@tailrace/protocol/generated';
import type { Report } from '@tailrace/protocol/report';
import { decodeReport } from '@tailrace/protocol/report-proto';
import { type AlarmCounts, type AlarmOutput, DeviceAlarms } from '@tailrace/rules/device-alarms';
import { decodeDeviceState, encodeDeviceState } from '@tailrace/rules/evaluation/point-state';
import { actionFrom, refusalMessage, transitionMessage } from '../alarm-messages.ts';
import { isFloodDevice, raisedTag } from '../flood/flood-rule.ts';
import type { RuleSet } from '../rules/rule-set.ts';
import type { AlarmCheckpoints, Covered } from './alarm-checkpoints.ts';
import { devicesPerAppend } from './alarm-checkpoints.ts';
import { AlarmDevice } from './alarm-device.ts';
import { EventWriter, type EventWriters } from './event-writer.ts';
import type { Watermark } from './watermark.ts';

const { Event } = tailrace.v1;

/** What the partitions of a node share. */
export interface PartitionContext {
  /** Of the telemetry topic. */
  readonly epoch: string;
  /** Of the topic of events. */
  readonly eventsEpoch: string;
  readonly clock: Pick<Clock, 'now' | 'monotonic'>;
  readonly rules: RuleSet;
  readonly writers: EventWriters;
  readonly checkpoints: AlarmCheckpoints;
  readonly counts: EvaluationCounts;
  readonly pairs: PairCount;
  /** Called when the events have another owner than this node. */
  readonly onFenced: (partition: number, owner: tailrace.v1.IAlarmOwner) => void;
  /** Logs a record that could not be evaluated, at a limited rate. */
  readonly onRejected: (partition: number, seq: number, device: string, error: unknown) => void;
}

export interface EvaluationCounts extends AlarmCounts {
  /** Reports evaluated, of devices with rules. */
  reports: number;
  transitions: number;
  /** Actions of people that were applied or refused. */
  actions: number;
  refusals: number;
  /** Records that are no reports or events, and reports that could not be evaluated. */
  rejected: number;
  /** Reports of devices beyond `pairsMax`. */
  unevaluated: number;
}

/** The pairs of a rule and a device on this node, with their limit. */
export interface PairCount {
  size: number;
  readonly max: number;
}

/** The action of a person, at its position in the events. */
export interface PositionedAction {
  readonly seq: number;
  readonly action: tailrace.v1.IAlarmAction;
}

/** The rates of areas at their position in the events. */
export interface PositionedRate {
  readonly seq: number;
  readonly rate: tailrace.v1.IAlarmRate;
}

/** A device that is due at a time; `scheduledMs` of the device has changed if it is due at another one. */
interface Due {
  readonly device: AlarmDevice;
  readonly atMs: number;
}

/**
 * The alarms of the devices of one partition, at its owner: evaluates reports, actions of people and the passing of
 * time in the order in which they are read, and writes the transitions to the events of the same partition.
 *
 * The log decides who the owner is. An owner has written an `AlarmOwner` before it evaluates anything, and read all
 * events before it (`recover`). A process that reads a later one of another stops to write: what it has written since
 * then has no effect, see `AlarmOrder`.
 */
export class PartitionAlarms {
  readonly number: number;
  /** Position of the `AlarmOwner` of this node. */
  readonly owner: number;
  readonly watermark: Watermark;
  readonly devices = new Map<string, AlarmDevice>();
  /** Everything before these positions was processed. */
  telemetry: number;
  events: number;
  /** Monotonic ms of the last complete checkpoint, or of the takeover. */
  checkpointedMs: number;
  isFenced = false;
  readonly writer: EventWriter;
  readonly #context: PartitionContext;
  readonly #due = new ExpiryHeap<Due>(({ device, atMs }) => device.scheduledMs === atMs);
  /** Actions that wait for the reports from before the takeover, in their order; see `#takeAction`. */
  #waiting: PositionedAction[] = [];
  #isCheckpointing = false;
  /** The devices of floods. */
  readonly #floods = new Set<AlarmDevice>();
  /** The last process that has counted alarms of areas; see `AlarmRate`. */
  #counter = 0;
  /** Of the report that is being evaluated. */
  #receivedMs: number | undefined;
  /** The last grace, epoch ms. */
  #grace = { fromMs: Number.NEGATIVE_INFINITY, untilMs: Number.NEGATIVE_INFINITY };

  constructor(options: {
    readonly number: number;
    readonly owner: number;
    readonly at: Covered;
    readonly watermark: Watermark;
    readonly context: PartitionContext;
  }) {
    this.number = options.number;
    this.owner = options.owner;
    this.telemetry = options.at.telemetry;
    this.events = options.at.events;
    this.watermark = options.watermark;
    this.#context = options.context;
    this.writer = new EventWriter(options.context.writers);
    this.checkpointedMs = options.context.clock.monotonic();
  }

  // Records.

  /** Takes records of the telemetry topic. Those before `telemetry` were processed already. */
  takeReports(records: readonly LogRecord[]): void {
    this.#resume();
    for (const record of records) {
      if (record.seq < this.telemetry) continue;
      this.telemetry = recordEnd(record);
      if (!this.isFenced) this.#takeReport(record);
    }
    this.#reached();
  }

  #takeReport(record: LogRecord): void {
    const { clock, counts } = this.#context;
    const report = this.#reportFrom(record);
    if (report === undefined) return;
    // A device with the path of a flood: its alarms have the positions of another topic.
    const device = isFloodDevice(report.device) ? undefined : this.#deviceOf(report.device);
    if (device !== undefined) {
      counts.reports++;
      this.#receivedMs = report.received;
      this.#apply(device, record.seq, () => device.alarms.report(report, record.seq));
      // From before the interruption, of a device that the checkpoints did not have.
      if ((report.received ?? report.time) < this.#grace.fromMs) this.#excuse(device);
      this.#receivedMs = undefined;
    }
    if (report.received !== undefined) this.watermark.onReport(report.received, clock.now());
  }

  /** Returns the report of a record; undefined for one that is none. */
  #reportFrom({ seq, key, value, unreadable, emptyUntil }: LogRecord): Report | undefined {
    if (unreadable !== undefined || emptyUntil !== undefined) return undefined;
    try {
      const report = decodeReport(value);
      if (report.device === key) return report;
      this.#reject(
        seq,
        key,
        new TailraceError('invalid_report', `device: expected ${key}, the key, got ${report.device}`),
      );
    } catch (error) {
      this.#reject(seq, key, error);
    }
    return undefined;
  }

  /** Takes records of the events. Those before `events` were processed already. */
  takeEvents(records: readonly LogRecord[]): void {
    for (const record of records) {
      if (record.seq < this.events) continue;
      this.events = recordEnd(record);
      const { seq, key, value, unreadable, emptyUntil } = record;
      if (unreadable !== undefined || emptyUntil !== undefined) continue;
      try {
        const event = Event.decode(value);
        if (event.alarmOwner) this.#takenOver(seq, event.alarmOwner);
        else if (event.alarmAction) this.takeAction({ seq, action: event.alarmAction });
        else if (event.alarmRate) this.takeRate({ seq, rate: event.alarmRate });
      } catch (error) {
        this.#reject(seq, key, error);
      }
    }
  }

  #takenOver(seq: number, owner: tailrace.v1.IAlarmOwner): void {
    if (seq <= this.owner || this.isFenced) return;
    this.fence();
    this.#context.onFenced(this.number, owner);
  }

  /** Stops to write: another process may have the partition. */
  fence(): void {
    this.isFenced = true;
    this.#waiting = [];
    this.writer.stop();
  }

  /**
   * Takes the action of a person. After a takeover it is applied when the reports from before the takeover are
   * evaluated and their delays have expired: the person saw the alarm after them. A shelf that is removed earlier would
   * hide no transition of these reports.
   */
  takeAction(positioned: PositionedAction): void {
    if (this.isFenced) return;
    if (this.watermark.hasReachedEnd) this.#act(positioned.action);
    else this.#waiting.push(positioned);
  }

  #actWaiting(): void {
    if (this.#waiting.length === 0 || !this.watermark.hasReachedEnd) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const { action } of waiting) this.#act(action);
  }

  /** Applies the action of a person, or refuses it. */
  #act(message: tailrace.v1.IAlarmAction): void {
    const { counts } = this.#context;
    counts.actions++;
    const action = actionFrom(message);
    const { id = '', device: path = '', rule = '' } = action ?? {};
    if (action === undefined) {
      const text = `kind: expected a known action, got ${message.kind}`;
      const refused = { action: message.id ?? '', device: message.device ?? '', rule: message.rule ?? '' };
      this.#emit(undefined, { refused: { ...refused, code: 'invalid_message', message: text } });
      return;
    }
    const device = this.#deviceOf(path);
    if (device === undefined) {
      const text = `rule: expected a rule of the device ${path}, got ${rule}`;
      this.#emit(undefined, { refused: { action: id, device: path, rule, code: 'not_found', message: text } });
      return;
    }
    this.#apply(device, -1, () => device.alarms.action(action));
  }

  /** Takes the rate of an area, or that those areas have no alarms whose last rate was written before. */
  takeRate({ seq, rate }: PositionedRate): void {
    const { device: path = '', counter = 0, since = 0 } = rate as tailrace.v1.AlarmRate;
    if (this.isFenced || counter < this.#counter) return;
    this.#counter = counter;
    if (path === '') {
      for (const device of this.#floods) if (device.alarms.seq < since) this.#applyRate(device, seq, rate);
      return;
    }
    const device = isFloodDevice(path) ? this.#deviceOf(path) : undefined;
    if (device !== undefined) this.#applyRate(device, seq, rate);
  }

  /** Evaluates the rate of an area, as a report of its device with the position of the event. */
  #applyRate(device: AlarmDevice, seq: number, { raised = 0, time: counted = 0 }: tailrace.v1.IAlarmRate): void {
    // The clock of the process that has counted before may be ahead.
    const time = Math.max(counted ?? 0, device.alarms.time);
    const readings = [{ tag: raisedTag, value: raised ?? 0 }];
    const report = { device: device.path, time, received: time, readings };
    this.#apply(device, seq, () => device.alarms.report(report, seq));
  }

  #reject(seq: number, device: string, error: unknown): void {
    this.#context.counts.rejected++;
    this.#context.onRejected(this.number, seq, device, error);
  }

  // Time.

  /** Takes the end offset of the telemetry topic, by a poll that started at these times. */
  takeLogEnd(monotonicMs: number, epochMs: number, end: number): void {
    this.#resume();
    this.watermark.onLogEnd(monotonicMs, epochMs, end);
    this.#reached();
  }

  /** After an interruption of the log, the time without reports of all devices counts from the end of their grace. */
  #resume(): void {
    const { clock } = this.#context;
    const untilMs = this.watermark.resumed(clock.monotonic(), clock.now());
    if (untilMs === undefined) return;
    this.#grace = { fromMs: clock.now(), untilMs };
    for (const device of this.devices.values()) this.#excuse(device);
  }

  #excuse(device: AlarmDevice): void {
    device.alarms.excuse(this.#grace.untilMs);
    device.isChanged = true;
    this.#schedule(device, Number.NEGATIVE_INFINITY);
  }

  #reached(): void {
    this.watermark.reach(this.telemetry);
    this.#advance();
    this.#actWaiting();
  }

  /** Lets the delays expire that are due by the watermark. */
  #advance(): void {
    if (this.isFenced) return;
    const { ms } = this.watermark;
    while (this.#due.first() <= ms) {
      const { device } = this.#due.pop()!;
      device.scheduledMs = Number.POSITIVE_INFINITY;
      // Mostly a report has moved it meanwhile.
      // Whatever was due by now is done. What is still due waits for reports: the former owner was beyond them.
      if (device.alarms.nextDueMs() <= ms) this.#apply(device, -1, () => device.alarms.advance(ms), ms + 1);
      else this.#schedule(device, ms + 1);
    }
  }

  #schedule(device: AlarmDevice, atMsMin: number): void {
    const atMs = Math.max(atMsMin, device.alarms.nextDueMs());
    // A later time is found when the earlier one is due: most reports of a device only move it.
    if (atMs >= device.scheduledMs) return;
    device.scheduledMs = atMs;
    this.#due.add(atMs, { device, atMs });
  }

  // Devices.

  /** Returns the device with the present rules; undefined if no rule matches it, or it is beyond the limit. */
  #deviceOf(path: string): AlarmDevice | undefined {
    const known = this.devices.get(path);
    if (known !== undefined) {
      if (known.rulesVersion !== this.#context.rules.version) this.updateRules(known);
      return known;
    }
    const { rules, pairs, counts } = this.#context;
    const matching = rules.of(path);
    if (matching.length === 0) return undefined;
    if (pairs.size + matching.length > pairs.max) {
      counts.unevaluated++;
      return undefined;
    }
    const device = this.add(path);
    this.updateRules(device);
    return device;
  }

  /** Adds a device, which has no rules before `updateRules`. Throws for bytes that are no state. */
  add(path: string, state?: Uint8Array): AlarmDevice {
    const { epoch: telemetryEpoch, eventsEpoch, counts } = this.#context;
    const isFlood = isFloodDevice(path);
    // The positions of its rates are those of the events.
    const epoch = isFlood ? eventsEpoch : telemetryEpoch;
    const restored = state === undefined ? {} : { state: decodeDeviceState(state) };
    const device = new AlarmDevice(path, new DeviceAlarms({ device: path, epoch, eventsEpoch, counts, ...restored }));
    this.devices.set(path, device);
    if (isFlood) this.#floods.add(device);
    return device;
  }

  /** Applies the present rules to a device. */
  updateRules(device: AlarmDevice): void {
    const { rules, pairs, clock } = this.#context;
    if (device.rulesVersion === rules.version) return;
    device.rulesVersion = rules.version;
    const matching = rules.of(device.path);
    // Rules or labels of other devices have changed.
    if (isSame(matching, device.rules)) return;
    device.rules = matching;
    pairs.size -= device.alarms.size;
    // No earlier than what was evaluated, whatever the clocks.
    const atMs = Math.max(this.watermark.ms, clock.now());
    this.#apply(device, -1, () => device.alarms.setRules(matching, atMs));
    pairs.size += device.alarms.size;
  }

  /** Drops what this node knows: another one has the partition. */
  close(): void {
    this.fence();
    for (const { alarms } of this.devices.values()) this.#context.pairs.size -= alarms.size;
    this.devices.clear();
    this.#floods.clear();
  }

  // Outputs.

  /** An error of one device must not stop the others, nor be repeated without end. `dueMsMin`: see `#schedule`. */
  #apply(device: AlarmDevice, seq: number, call: () => readonly AlarmOutput[], dueMsMin = -Infinity): void {
    try {
      device.isChanged = true;
      for (const output of call()) this.#emit(device, output);
    } catch (error) {
      this.#reject(seq, device.path, error);
    }
    this.#schedule(device, dueMsMin);
  }

  #emit(device: AlarmDevice | undefined, output: AlarmOutput): void {
    const { counts } = this.#context;
    const { owner } = this;
    if ('refused' in output) {
      const { refused } = output;
      counts.refusals++;
      this.#write(refused.device, { alarmActionRefused: refusalMessage(refused, owner) });
      return;
    }
    const { transition, state: point } = output;
    const alarmTransition = transitionMessage(transition, { owner, point });
    device?.keep(alarmTransition);
    counts.transitions++;
    this.#write(transition.device, { alarmTransition });
  }

  #write(key: string, event: tailrace.v1.IEvent): void {
    this.writer.add({ key, value: Event.encode(event).finish(), receivedMs: this.#receivedMs });
  }

  // Checkpoints.

  /** The positions before which everything was evaluated. Actions that wait are not. */
  get covered(): Covered {
    return { telemetry: this.telemetry, events: this.#waiting[0]?.seq ?? this.events };
  }

  /**
   * Writes the devices that changed since the last checkpoint, and then the positions. The transitions of a state are
   * durable before the state is: otherwise they would be lost by a crash. Never rejects: what could not be written is
   * written by the next call.
   */
  async checkpoint(): Promise<void> {
    if (this.#isCheckpointing || this.isFenced) return;
    this.#isCheckpointing = true;
    const { checkpoints, clock } = this.#context;
    const startedMs = clock.monotonic();
    const at = this.covered;
    // An interruption that is found meanwhile is in none of these states, or not in all of them.
    const answeredMs = Math.floor(clock.now() - this.watermark.unansweredMs(startedMs));
    const changed = [...this.devices.values()].filter(({ isChanged }) => isChanged);
    let left: readonly AlarmDevice[] = changed;
    try {
      for (let from = 0; from < changed.length; from += devicesPerAppend) {
        left = changed.slice(from);
        const records = left.slice(0, devicesPerAppend).map((device) => this.#checkpointOf(device));
        if (!(await this.writer.flushed())) return;
        await checkpoints.append(records);
      }
      left = [];
      if (!(await this.writer.flushed())) return;
      await checkpoints.append([checkpoints.partitionRecord(this.number, this.owner, at, answeredMs)]);
      this.checkpointedMs = startedMs;
    } catch {
      checkpoints.counts.failures++;
      for (const device of left) device.isChanged = true;
    } finally {
      this.#isCheckpointing = false;
    }
  }

  #checkpointOf(device: AlarmDevice): NewRecord {
    device.isChanged = false;
    const state = encodeDeviceState(device.alarms.state());
    const last = [...device.last.values()];
    return this.#context.checkpoints.deviceRecord(device.path, this.owner, this.covered, state, last);
  }
}

function isSame<T>(one: readonly T[], other: readonly T[] | undefined): boolean {
  return one.length === other?.length && one.every((each, index) => each === other[index]);
}
