import type { Report } from '@tailrace/protocol/report';
import type { AlarmOutput } from '../src/alarm-output.ts';
import { DeviceAlarms } from '../src/device-alarms.ts';
import { CompiledRule } from '../src/evaluation/compiled-rule.ts';
import { decodeDeviceState, encodeDeviceState } from '../src/evaluation/point-state.ts';
import type { AlarmAction, AlarmTransition } from '../src/lifecycle/alarm-transition.ts';
import { type RuleInput, ruleFrom } from '../src/rule.ts';
import type { TagValue } from '../src/rule-condition.ts';

export const device = 'plant1.oven';
/** Times in tests are ms after this one. */
export const start = 1_700_000_000_000;

/** A rule with H at 80, unless `fields` has another condition. */
export function rule(fields: Partial<RuleInput> = {}): CompiledRule {
  return new CompiledRule(
    ruleFrom({
      id: 'hot',
      version: 1,
      devices: ['plant1.>'],
      condition: { kind: 'limits', tag: 'temp', limits: { H: { value: 80 } } },
      ...fields,
    }),
  );
}

/** The alarms of a device, with short ways to pass reports and actions. */
export class AlarmDevice {
  alarms: DeviceAlarms;
  rules: readonly CompiledRule[];
  #seq = 0;
  #actions = 0;
  /** All output so far. */
  readonly written: AlarmOutput[] = [];

  constructor(...rules: readonly CompiledRule[]) {
    this.rules = rules;
    this.alarms = this.#create();
    this.alarms.setRules(rules, start);
  }

  #create(state?: Uint8Array): DeviceAlarms {
    const counts = { evaluated: 0, lateReadings: 0, duplicateReports: 0 };
    return new DeviceAlarms({
      device,
      epoch: 'e1',
      eventsEpoch: 'v1',
      counts,
      ...(state === undefined ? {} : { state: decodeDeviceState(state) }),
    });
  }

  /** Passes a report at `atMs` after the start. Returns its transitions as lines. */
  report(atMs: number, values: Readonly<Record<string, TagValue>>, more: Partial<Report> = {}): readonly string[] {
    const readings = Object.entries(values).map(([tag, value]) => ({ tag, value }));
    const time = start + atMs;
    return this.#lines(this.alarms.report({ device, time, received: time, readings, ...more }, this.#seq++));
  }

  advance(atMs: number): readonly string[] {
    return this.#lines(this.alarms.advance(start + atMs));
  }

  act(atMs: number, kind: AlarmAction['kind'], more: Partial<AlarmAction> = {}): readonly string[] {
    const id = `a${this.#actions++}`;
    const action = { id, device, rule: 'hot', alarm: '', number: 0, by: 'anna', note: '', time: start + atMs };
    return this.#lines(this.alarms.action({ ...action, kind, ...more }));
  }

  setRules(atMs: number, ...rules: readonly CompiledRule[]): readonly string[] {
    this.rules = rules;
    return this.#lines(this.alarms.setRules(rules, start + atMs));
  }

  /** Stops, and starts again with what the checkpoint has. */
  restart(): void {
    const state = encodeDeviceState(this.alarms.state());
    this.alarms = this.#create(state);
    this.#lines(this.alarms.setRules(this.rules, start));
  }

  get last(): AlarmTransition {
    const output = this.written.findLast((each) => 'transition' in each);
    if (output === undefined) throw new Error('expected a transition, got none');
    return output.transition;
  }

  #lines(output: readonly AlarmOutput[]): readonly string[] {
    this.written.push(...output);
    return output.map(lineOf);
  }
}

/** `hot raised → unacknowledged H at 5000`: a transition in one line; the time is after the start. */
export function lineOf(output: AlarmOutput): string {
  if ('refused' in output) return `${output.refused.rule} refused ${output.refused.code}: ${output.refused.message}`;
  const { rule: id, cause, state, limit, time } = output.transition;
  return `${id} ${cause} → ${state}${limit === '' ? '' : ` ${limit}`} at ${time - start}`;
}
