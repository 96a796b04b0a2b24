import { compileExpression } from '../expression.ts';
import type { DeviceRule } from '../rule.ts';
import { isLow, limitNames, type RuleCondition, type TagValue } from '../rule-condition.ts';
import { BandSignals } from './band-signals.ts';
import type { Delays } from './delayed-condition.ts';
import { RateWindow } from './rate-window.ts';
import type { Signals, SignalsState } from './rule-signals.ts';

/** One of the conditions of a rule; a rule of limits has one for each limit. The worst comes first. */
export interface ConditionSpec extends Delays {
  /** Limit of the transition; empty: the rule has none. */
  readonly limit: string;
  readonly limitValue: number | undefined;
  readonly priority: number;
}

/** How the signals of a rule come about. */
export interface SignalsKind {
  readonly specs: readonly ConditionSpec[];
  /** The tags that the conditions read. */
  readonly tags: readonly string[];
  /** The tag of the value of a transition; empty: several. */
  readonly tag: string;
  /** Of a rule for devices that do not report: for how long, ms. */
  readonly staleAfterMs: number | undefined;
  create(state: SignalsState | undefined): Signals;
}

export function signalsOf(rule: DeviceRule): SignalsKind {
  const { condition } = rule;
  switch (condition.kind) {
    case 'limits':
      return limitSignals(rule, condition);
    case 'rate':
      return rateSignals(rule, condition);
    case 'stale':
      return {
        ...single(rule, condition.tag === undefined ? [] : [condition.tag]),
        tag: condition.tag ?? '',
        staleAfterMs: condition.afterMs,
        create: () => never,
      };
    case 'state': {
      const { tag } = condition;
      return stateless(single(rule, [tag]), (_, values) => {
        const value = values(tag);
        if (value === undefined) return undefined;
        return condition.in === undefined ? !condition.notIn!.includes(value) : condition.in.includes(value);
      });
    }
    case 'expression': {
      const expression = compileExpression(condition.expression);
      return stateless(single(rule, expression.tags), (_, values) => expression.evaluate(values));
    }
    case 'band':
      return { ...single(rule, [condition.tag]), create: (state) => new BandSignals(condition, state?.band) };
  }
}

/** The signal of a stale rule comes from time, not from values. */
const never: Signals = { observe: () => {}, signal: () => undefined, state: () => undefined };

type Shape = Omit<SignalsKind, 'create'>;

function single(rule: DeviceRule, tags: readonly string[]): Shape {
  const { onDelayMs, offDelayMs, priority } = rule;
  return {
    specs: [{ limit: '', limitValue: undefined, onDelayMs, offDelayMs, priority }],
    tags,
    tag: tags.length === 1 ? tags[0]! : '',
    staleAfterMs: undefined,
  };
}

function stateless(shape: Shape, signal: Signals['signal']): SignalsKind {
  const signals: Signals = { observe: () => {}, signal, state: () => undefined };
  return { ...shape, create: () => signals };
}

/** Which limits are worse, in case both hold for the time of a delay. */
const severity = ['HH', 'LL', 'H', 'L'] as const;

function limitSignals(rule: DeviceRule, { tag, limits }: RuleCondition & { kind: 'limits' }): SignalsKind {
  const names = severity.filter((name) => limitNames.includes(name) && limits[name] !== undefined);
  const specs = names.map((name) => {
    const limit = limits[name]!;
    return {
      limit: name,
      limitValue: limit.value,
      onDelayMs: limit.onDelayMs ?? rule.onDelayMs,
      offDelayMs: limit.offDelayMs ?? rule.offDelayMs,
      priority: limit.priority ?? rule.priority,
    };
  });
  const limitValues = names.map((name) => limits[name]!.value);
  const hystereses = names.map((name) => limits[name]!.hysteresis);
  const areLow = names.map(isLow);
  return stateless({ ...single(rule, [tag]), specs }, (index, values, isActive) => {
    const value = values(tag);
    if (typeof value !== 'number') return undefined;
    const limit = limitValues[index]!;
    const hysteresis = isActive ? hystereses[index]! : 0;
    return areLow[index]! ? value <= limit + hysteresis : value >= limit - hysteresis;
  });
}

function rateSignals(rule: DeviceRule, condition: RuleCondition & { kind: 'rate' }): SignalsKind {
  const { tag, overMs } = condition;
  const { onDelayMs, offDelayMs, priority } = rule;
  const limits = (['rise', 'fall'] as const).flatMap((limit) => {
    const each = condition[limit];
    return each === undefined ? [] : [{ limit, ...each, sign: limit === 'rise' ? 1 : -1 }];
  });
  return {
    ...single(rule, [tag]),
    specs: limits.map(({ limit, value }) => ({ limit, limitValue: value, onDelayMs, offDelayMs, priority })),
    create: (state) => {
      const window = new RateWindow(overMs, state?.rate);
      return {
        observe: (values, time) => {
          const value = values(tag);
          if (typeof value === 'number') window.take(time, value);
        },
        signal: (index, values, isActive) => {
          if (window.rate === undefined || typeof values(tag) !== 'number') return undefined;
          const { value, hysteresis, sign } = limits[index]!;
          return sign * window.rate >= (isActive ? value - hysteresis : value);
        },
        state: () => ({ rate: [...window.state()] }),
      };
    },
  };
}

/** Returns whether the value is one of `values`; undefined: unknown. */
export function isIn(values: readonly TagValue[], value: TagValue | undefined): boolean | undefined {
  return value === undefined ? undefined : values.includes(value);
}
