import type { DeviceAttributes } from '../device-attributes.ts';
import { compileExpression } from '../expression.ts';
import type { LifeCycleRules } from '../lifecycle/alarm-life-cycle.ts';
import { type DeviceRule, type Rule, ruleFor, ruleMatches } from '../rule.ts';
import type { Delays } from './delayed-condition.ts';
import { isIn, type SignalsKind, signalsOf } from './signals.ts';
import type { TagValues } from './tag-table.ts';

export interface Inhibition {
  /** IDs of rules. */
  readonly alarms: readonly string[];
  readonly tags: readonly string[];
  readonly delays: Delays;
  /** Returns whether a state or the expression inhibits; undefined: unknown. */
  holds(values: TagValues): boolean | undefined;
}

/** A rule as it is evaluated at one device, or at all devices without an override. */
export interface CompiledDeviceRule {
  readonly rule: DeviceRule;
  readonly kind: SignalsKind;
  readonly inhibition: Inhibition | undefined;
  readonly lifeCycle: LifeCycleRules;
}

/** A rule, compiled once for all devices. */
export class CompiledRule {
  readonly rule: Rule;
  readonly #plain: CompiledDeviceRule;

  /** Throws `invalid_rule` for an expression. */
  constructor(rule: Rule) {
    this.rule = rule;
    this.#plain = compiled({ ...rule });
  }

  /** Returns whether the rule matches the device, and is enabled for it. `attributes`: of the registry. */
  matches(device: string, attributes?: DeviceAttributes): boolean {
    return ruleMatches(this.rule, device, attributes);
  }

  /** Returns the rule with the device's override, which is shared by all devices without one. */
  forDevice(device: string): CompiledDeviceRule {
    if (this.rule.overrides.length === 0) return this.#plain;
    const rule = ruleFor(this.rule, device);
    return rule === this.rule ? this.#plain : compiled(rule);
  }
}

function compiled(rule: DeviceRule): CompiledDeviceRule {
  return {
    rule,
    kind: signalsOf(rule),
    inhibition: inhibitionOf(rule),
    lifeCycle: {
      latched: rule.latched,
      noteRequired: rule.class?.noteRequired ?? false,
      twoStep: rule.class?.twoStep ?? false,
      shelfMsMax: rule.shelfMsMax,
      reAlarmMs: rule.reAlarmMs,
      escalation: rule.escalation,
    },
  };
}

function inhibitionOf(rule: DeviceRule): Inhibition | undefined {
  if (rule.inhibition === undefined) return undefined;
  const { alarms, states, expression: text, releaseDelayMs } = rule.inhibition;
  const expression = text === undefined ? undefined : compileExpression(text);
  return {
    alarms,
    tags: [...new Set([...states.map(({ tag }) => tag), ...(expression?.tags ?? [])])],
    delays: { onDelayMs: 0, offDelayMs: releaseDelayMs },
    holds: (values) => {
      let isUnknown = false;
      for (const state of states) {
        const holds = isIn(state.in, values(state.tag));
        if (holds === true) return true;
        if (holds === undefined) isUnknown = true;
      }
      const holds = expression === undefined ? false : expression.evaluate(values);
      return isUnknown && holds === false ? undefined : holds;
    },
  };
}
