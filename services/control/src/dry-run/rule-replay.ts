import type { Report } from '@tailrace/protocol/report';
import { type AlarmCounts, type AlarmOutput, DeviceAlarms } from '@tailrace/rules/device-alarms';
import type { DeviceAttributes } from '@tailrace/rules/device-attributes';
import { CompiledRule } from '@tailrace/rules/evaluation/compiled-rule';
import { type Rule, ruleMatches } from '@tailrace/rules/rule';
import type { Activation } from './activations.ts';

export interface RuleReplayOptions {
  readonly rule: Rule;
  /** The rules in force whose alarms inhibit that of `rule`. */
  readonly inhibiting: readonly Rule[];
  /** Of the positions of the reports. */
  readonly epoch: string;
  /** Time before the first report, epoch ms. */
  readonly fromMs: number;
  readonly devicesMax: number;
  readonly activationsMax: number;
}

interface DeviceReplay {
  readonly device: string;
  /** Without inhibition: has all activations. */
  readonly bare: DeviceAlarms;
  /** With inhibition, and the rules that inhibit: has what people would have seen. Undefined: the rule has none. */
  readonly whole: DeviceAlarms | undefined;
  /** The last activation, and those before it in the same call. */
  recent: Activation[];
}

/**
 * A rule over reports of a span: what alarms would have raised, by the same evaluation, without actions of people.
 *
 * A device starts without last values, as at an alarms node without a checkpoint. What is raised before `startCounting`
 * is not counted; so the caller passes reports from some time before the span.
 *
 * Suppressed activations have no transition of their own. So a rule with an inhibition is evaluated twice at each
 * device, with and without it; an activation that only the second one shows was suppressed all the time.
 */
export class RuleReplay {
  readonly counts: AlarmCounts = { evaluated: 0, lateReadings: 0, duplicateReports: 0 };
  /** Reports that were evaluated, and those that were left out because of `devicesMax`. */
  reports = 0;
  leftOutReports = 0;
  readonly #options: RuleReplayOptions;
  readonly #bare: CompiledRule;
  readonly #whole: readonly CompiledRule[];
  readonly #needsAttributes: boolean;
  /** Undefined: the rule does not match the device. */
  readonly #devices = new Map<string, DeviceReplay | undefined>();
  #size = 0;
  #isCounting = false;
  readonly #activations: Activation[] = [];
  #committed = 0;

  constructor(options: RuleReplayOptions) {
    this.#options = options;
    const { inhibition, ...bare } = options.rule;
    this.#bare = new CompiledRule(bare);
    this.#whole =
      inhibition === undefined ? [] : [options.rule, ...options.inhibiting].map((rule) => new CompiledRule(rule));
    this.#needsAttributes = [options.rule, ...options.inhibiting].some(({ where }) => where !== undefined);
  }

  /** Devices that are evaluated. */
  get size(): number {
    return this.#size;
  }

  /** Whether there are as many activations as are kept. */
  get isFull(): boolean {
    return this.#activations.length >= this.#options.activationsMax;
  }

  /** Returns which of these devices need their kind and labels before their first report. */
  withoutAttributes(devices: Iterable<string>): readonly string[] {
    if (!this.#needsAttributes || this.#size >= this.#options.devicesMax) return [];
    return [...new Set(devices)].filter((device) => !this.#devices.has(device));
  }

  /** Takes kind and labels of devices, as they are now; those without any are absent. */
  addDevices(devices: readonly string[], attributes: ReadonlyMap<string, DeviceAttributes>): void {
    for (const device of devices) this.#add(device, attributes.get(device));
  }

  /** Evaluates a report, of a device that matches the patterns of the rule. */
  report(report: Report, seq: number): void {
    if (!this.#devices.has(report.device)) this.#add(report.device, undefined);
    const device = this.#devices.get(report.device);
    if (device !== undefined) {
      this.reports++;
      this.#take(device, (alarms) => alarms.report(report, seq));
    } else if (!this.#devices.has(report.device)) this.leftOutReports++;
  }

  /** Adds a device, unless there is no place for one that matches, or may match. */
  #add(device: string, attributes: DeviceAttributes | undefined): void {
    if (this.#devices.has(device)) return;
    const isFull = this.#size >= this.#options.devicesMax;
    if (isFull && this.#needsAttributes && attributes === undefined) return;
    const matches = ruleMatches(this.#options.rule, device, attributes);
    if (isFull && matches) return;
    if (matches) this.#size++;
    this.#devices.set(device, matches ? this.#create(device, attributes) : undefined);
  }

  #create(device: string, attributes: DeviceAttributes | undefined): DeviceReplay {
    const matching = this.#whole.filter((rule) => rule.matches(device, attributes));
    const bare = this.#alarmsOf(device, [this.#bare], this.counts);
    const repeated = { evaluated: 0, lateReadings: 0, duplicateReports: 0 };
    const whole = matching.length === 0 ? undefined : this.#alarmsOf(device, matching, repeated);
    return { device, bare, whole, recent: [] };
  }

  #alarmsOf(device: string, rules: readonly CompiledRule[], counts: AlarmCounts): DeviceAlarms {
    const { epoch, fromMs } = this.#options;
    const alarms = new DeviceAlarms({ device, epoch, eventsEpoch: '', counts });
    alarms.setRules(rules, fromMs);
    return alarms;
  }

  /** All reports that were received before this time were passed, epoch ms by the clock of ingest. */
  advance(receivedMs: number): void {
    for (const device of this.#devices.values()) {
      if (device === undefined) continue;
      const { bare, whole } = device;
      if (Math.min(bare.nextDueMs(), whole?.nextDueMs() ?? Number.POSITIVE_INFINITY) > receivedMs) continue;
      this.#take(device, (alarms) => alarms.advance(receivedMs));
    }
  }

  #take(device: DeviceReplay, call: (alarms: DeviceAlarms) => readonly AlarmOutput[]): void {
    device.recent.splice(0, device.recent.length - 1);
    for (const output of call(device.bare)) this.#takeBare(device, output);
    if (device.whole === undefined) return;
    const { id } = this.#options.rule;
    for (const output of call(device.whole)) {
      if (!('transition' in output)) continue;
      const { rule, state, alarm, time } = output.transition;
      if (rule !== id || state !== 'unacknowledged') continue;
      // One report may have several activations, with the same ID: it has readings of several times.
      const activation = device.recent.findLast((each) => each.alarm === alarm && each.raisedMs <= time);
      if (activation !== undefined) activation.seenMs ??= time;
    }
  }

  #takeBare(device: DeviceReplay, output: AlarmOutput): void {
    if (!('transition' in output)) return;
    const { cause, alarm, time } = output.transition;
    if (cause === 'returned') {
      const last = device.recent.at(-1);
      if (last !== undefined) last.returnedMs = time;
    }
    if (cause !== 'raised') return;
    const seenMs = device.whole === undefined ? time : undefined;
    const activation = { device: device.device, alarm, raisedMs: time, seenMs, returnedMs: undefined };
    device.recent.push(activation);
    if (this.#isCounting && !this.isFull) this.#activations.push(activation);
  }

  /** The span starts: from now on activations are counted. */
  startCounting(): void {
    this.#isCounting = true;
  }

  /** All devices are evaluated up to the same time: what was raised so far counts. */
  commit(): void {
    this.#committed = this.#activations.length;
  }

  /** Activations up to the last `commit`, in an order that is that of each device. */
  activations(): readonly Activation[] {
    return this.#activations.slice(0, this.#committed);
  }
}
