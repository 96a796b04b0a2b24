import type { Report } from '@tailrace/protocol/report';
import type { AlarmAction, AlarmCause, AlarmState } from '../src/lifecycle/alarm-transition.ts';
import type { Rule } from '../src/rule.ts';

/**
 * The alarms of one device, once more: written for the comparison with the product, of which it uses only types. It is
 * naive on purpose. It keeps all signals since the last change of a condition, searches all rules for the next timer,
 * and has the state of an alarm as independent booleans, as OPC UA Part 9 does.
 */
export interface ReferenceTransition {
  readonly rule: string;
  readonly version: number;
  readonly number: number;
  readonly state: AlarmState;
  readonly previous: AlarmState;
  readonly cause: AlarmCause;
  readonly limit: string;
  readonly priority: number;
  readonly time: number;
  readonly seq: number | undefined;
  /** Position of the activation; -1: none. */
  readonly activatedSeq: number;
  readonly value: unknown;
  readonly firstOut: boolean;
  readonly until: number | undefined;
  readonly action: string;
}

type Value = number | boolean | string;

interface Last {
  readonly value: Value;
  readonly good: boolean;
  readonly time: number;
  readonly received: number;
  readonly seq: number;
}

interface Signal {
  readonly holds: boolean | undefined;
  readonly time: number;
  readonly received: number;
  readonly seq: number;
}

interface Part {
  readonly limit: string;
  readonly onDelay: number;
  readonly offDelay: number;
  active: boolean;
  /** Since the last change. */
  signals: Signal[];
  changed: { time: number; seq: number };
}

interface Alarm {
  rule: Rule;
  parts: Part[];
  inhibition: Part;
  number: number;
  shown: number;
  active: boolean;
  acked: boolean;
  needsReset: boolean;
  suppressed: boolean;
  out: boolean;
  shelf: number | undefined;
  first: string;
  since: number;
  escalated: number;
  activatedSeq: number;
  evidence: { limit: string; priority: number; value: unknown };
  graceTime: number;
  graceReceived: number;
  seen: Signal | undefined;
  isStale: boolean;
  samples: { time: number; value: number }[];
  rate: number | undefined;
}

const lateness = 500;
const order = ['HH', 'LL', 'H', 'L'] as const;
type ExpressionOf = (text: string, values: (tag: string) => Value | undefined) => boolean | undefined;

export class ReferenceAlarms {
  readonly transitions: ReferenceTransition[] = [];
  readonly refused: { action: string; rule: string; code: string }[] = [];
  #alarms: Alarm[] = [];
  readonly #last = new Map<string, Last>();
  #tags = new Set<string>();
  readonly #expression: ExpressionOf;
  #seq = -1;
  #time = 0;
  #received = 0;
  #floor = 0;
  readonly #ids: { id: string; received: number }[] = [];

  /** `expression` evaluates CEL. */
  constructor(expression: ExpressionOf) {
    this.#expression = expression;
  }

  rules(rules: readonly Rule[], at: number): void {
    const former = this.#alarms;
    for (const alarm of former.filter(({ rule }) => !rules.some(({ id }) => id === rule.id))) {
      this.#floor = Math.max(this.#floor, alarm.number);
      const previous = stateOf(alarm);
      if (previous === 'normal') continue;
      Object.assign(alarm, { active: false, acked: true, needsReset: false, suppressed: false, out: false });
      Object.assign(alarm, { shelf: undefined, escalated: 0, shown: -1 });
      this.#emit(alarm, previous, 'rule_changed', at, undefined);
      alarm.number = Math.max(alarm.number, this.#floor);
      this.#floor = alarm.number;
    }
    this.#alarms = [...rules]
      .sort((a, b) => (a.id < b.id ? -1 : 1))
      .map((rule) => {
        const before = former.find((alarm) => alarm.rule.id === rule.id);
        if (before === undefined) return created(rule, this.#floor);
        if (before.rule.version === rule.version) return before;
        const parts = partsOf(rule);
        for (const part of parts) part.active = before.parts.find(({ limit }) => limit === part.limit)?.active ?? false;
        const inhibition =
          rule.inhibition === undefined || before.rule.inhibition === undefined
            ? inhibitionOf(rule)
            : { ...before.inhibition, offDelay: rule.inhibition.releaseDelayMs };
        const shown = parts.findIndex(({ active }) => active);
        return { ...before, rule, parts, inhibition, shown, samples: [], rate: undefined };
      });
    const tags = new Set(rules.flatMap(tagsOf));
    for (const tag of this.#last.keys()) if (!tags.has(tag)) this.#last.delete(tag);
    this.#tags = tags;
    for (const alarm of this.#alarms) {
      const before = former.find(({ rule }) => rule.id === alarm.rule.id);
      if (before?.rule.version === alarm.rule.version) continue;
      this.#newVersion(alarm, before?.parts.some(({ active }) => active) ?? false, at);
    }
    this.#inhibitAll(this.#at(at));
    this.#settleAll(at);
  }

  /** The clock of the device goes on as that of ingest. */
  #at(at: number): { time: number; received: number; seq: number } {
    const since = Math.max(0, at - this.#received);
    return { time: this.#time + since, received: this.#received + since, seq: this.#seq };
  }

  #newVersion(alarm: Alarm, wasActive: boolean, at: number): void {
    if (alarm.rule.condition.kind === 'stale') {
      const { tag } = alarm.rule.condition;
      const last =
        tag === undefined ? { time: this.#time, received: this.#received, seq: this.#seq } : this.#last.get(tag);
      if (alarm.seen === undefined && last !== undefined && last.seq >= 0)
        this.#see(alarm, last.time, last.received, last.seq);
    } else {
      alarm.parts.forEach((part, index) => {
        if (part.active && this.#holds(alarm, index) === false) part.active = false;
      });
      const lasts = conditionTags(alarm.rule).flatMap((tag) => this.#last.get(tag) ?? []);
      const newest = lasts.length === 0 ? undefined : lasts.reduce((a, b) => (b.time > a.time ? b : a));
      if (newest !== undefined) this.#sample(alarm, newest.time, newest.received, newest.seq);
    }
    if (wasActive && !alarm.parts.some(({ active }) => active)) {
      const previous = stateOf(alarm);
      const hidden = isHidden(alarm);
      alarm.shown = -1;
      Object.assign(alarm, { active: false, acked: true, needsReset: false, first: '', escalated: 0, since: at });
      if (!hidden) this.#emit(alarm, previous, 'rule_changed', at, undefined);
    }
  }

  report(report: Report, seq: number): void {
    if (seq <= this.#seq) return;
    const received = report.received ?? report.time;
    this.advance(received);
    if (report.historical || this.#isDuplicate(report, received)) {
      this.#seq = seq;
      return;
    }
    const idle = this.#received === 0 ? Number.POSITIVE_INFINITY : received - this.#received;
    const effective = (time: number) => {
      const isBeyond = time > received + 86_400_000 || (report.clock === 'ahead' && time > received);
      return isBeyond ? received : time;
    };
    const main = effective(report.time);
    for (const alarm of this.#alarms) {
      const { grace } = alarm.rule;
      if (grace === undefined || idle < grace.idleMs || idle <= 0) continue;
      alarm.graceTime = main + grace.forMs;
      alarm.graceReceived = received + grace.forMs;
    }
    const times = [...new Set(report.readings.map(({ time = report.time }) => effective(time)))].sort((a, b) => a - b);
    times.forEach((time, index) => {
      this.#eventTimers(time, received);
      const touched = new Set<string>();
      for (const reading of report.readings) {
        if (effective(reading.time ?? report.time) !== time || !this.#tags.has(reading.tag)) continue;
        if ((this.#last.get(reading.tag)?.time ?? -1) > time) continue;
        this.#last.set(reading.tag, { value: reading.value, good: reading.quality !== 'bad', time, received, seq });
        touched.add(reading.tag);
      }
      for (const alarm of this.#alarms) {
        const { condition } = alarm.rule;
        const isAny = condition.kind === 'stale' && condition.tag === undefined && index === 0;
        if (!isAny && !conditionTags(alarm.rule).some((tag) => touched.has(tag))) continue;
        if (condition.kind === 'stale') this.#see(alarm, time, received, seq);
        else {
          this.#observe(alarm, time);
          this.#sample(alarm, time, received, seq);
        }
      }
      this.#inhibitAll({ time, received, seq });
      this.#settleAll(received);
    });
    this.#seq = seq;
    this.#time = Math.max(this.#time, main);
    this.#received = Math.max(this.#received, received);
  }

  #isDuplicate({ id, clock }: Report, received: number): boolean {
    if (id === undefined || clock === undefined) return false;
    const isDuplicate = this.#ids.some((each) => each.id === id && received - each.received <= 120_000);
    this.#ids.push({ id, received });
    return isDuplicate;
  }

  /** `rule`: only of this one. */
  excuse(until: number, rule?: string): void {
    for (const alarm of this.#alarms) {
      if (rule !== undefined && alarm.rule.id !== rule) continue;
      if (!alarm.isStale && alarm.seen !== undefined)
        alarm.seen = { ...alarm.seen, received: Math.max(alarm.seen.received, until) };
    }
  }

  /** One instant after the other, until none is due. */
  advance(watermark: number): void {
    for (;;) {
      const dues = this.#alarms.flatMap((alarm) => [
        staleDue(alarm),
        ...[...alarm.parts, alarm.inhibition].map((part) => receivedDue(alarm, part)),
        lifeDue(alarm),
      ]);
      const at = Math.min(...dues, Number.POSITIVE_INFINITY);
      if (at > watermark) return;
      for (const alarm of this.#alarms) {
        if (staleDue(alarm) <= at) {
          const { time, seq } = alarm.seen!;
          const { afterMs } = alarm.rule.condition as { afterMs: number };
          alarm.isStale = true;
          take(alarm, alarm.parts[0]!, { holds: true, time: time + afterMs, received: at - lateness, seq });
        }
        for (const part of [...alarm.parts, alarm.inhibition]) if (receivedDue(alarm, part) <= at) flip(alarm, part);
      }
      this.#inhibitAll(this.#at(at - lateness));
      this.#settleAll(at);
      for (const alarm of this.#alarms) if (lifeDue(alarm) <= at) this.#lifeTimer(alarm, at);
    }
  }

  #eventTimers(until: number, received: number): void {
    for (;;) {
      const all = this.#alarms.flatMap((alarm) => [...alarm.parts, alarm.inhibition].map((part) => ({ alarm, part })));
      const at = Math.min(...all.map(({ alarm, part }) => eventDue(alarm, part)), Number.POSITIVE_INFINITY);
      if (at > until) return;
      for (const { alarm, part } of all) if (eventDue(alarm, part) <= at) flip(alarm, part);
      this.#inhibitAll({ time: at, received, seq: this.#seq });
      this.#settleAll(received);
    }
  }

  #lifeTimer(alarm: Alarm, at: number): void {
    const previous = stateOf(alarm);
    if (alarm.shelf !== undefined) {
      alarm.shelf = undefined;
      if (alarm.active) alarm.acked = false;
      this.#restartClock(alarm, at);
      this.#emit(alarm, previous, 'shelf_expired', at, undefined);
    } else if (alarm.acked) {
      alarm.acked = false;
      this.#restartClock(alarm, at);
      this.#emit(alarm, previous, 'realarmed', at, undefined);
    } else {
      alarm.escalated++;
      this.#emit(alarm, previous, 'escalated', at, undefined);
    }
  }

  #restartClock(alarm: Alarm, at: number): void {
    Object.assign(alarm, { since: at, escalated: 0, first: '' });
  }

  action(action: AlarmAction) {
    const refuse = (code: string): void => {
      this.refused.push({ action: action.id, rule: action.rule, code });
    };
    const alarm = this.#alarms.find(({ rule }) => rule.id === action.rule);
    if (alarm === undefined) return refuse('not_found');
    if (action.number !== 0 && action.number !== alarm.number) return refuse('conflict');
    const { rule } = alarm;
    const previous = stateOf(alarm);
    const done = (cause: AlarmCause) => {
      this.#emit(alarm, previous, cause, action.time, undefined, action.id);
      this.#inhibitAll(this.#at(action.time));
      this.#settleAll(action.time);
    };
    switch (action.kind) {
      case 'acknowledge':
        if (previous !== 'unacknowledged' && previous !== 'returned_unacknowledged') return refuse('conflict');
        if (rule.class?.noteRequired && action.note === '') return refuse('invalid_message');
        if (rule.class?.twoStep && alarm.first === '') {
          alarm.first = action.by;
          return done('acknowledged');
        }
        if (rule.class?.twoStep && alarm.first === action.by) return refuse('conflict');
        alarm.acked = true;
        if (!alarm.active) alarm.needsReset = rule.latched;
        this.#restartClock(alarm, action.time);
        return done('acknowledged');
      case 'shelve':
        if (alarm.out) return refuse('conflict');
        if (action.note === '') return refuse('invalid_message');
        if (!action.until || action.until <= action.time || action.until - action.time > rule.shelfMsMax)
          return refuse('invalid_message');
        alarm.shelf = action.until;
        return done('shelved');
      case 'unshelve':
        if (alarm.out || alarm.shelf === undefined) return refuse('conflict');
        alarm.shelf = undefined;
        if (!rule.class?.twoStep) {
          if (!alarm.acked && !alarm.active) alarm.needsReset = rule.latched;
          alarm.acked = true;
        }
        this.#restartClock(alarm, action.time);
        return done('unshelved');
      case 'reset':
        if (previous !== 'latched') return refuse('conflict');
        alarm.needsReset = false;
        return done('reset');
      case 'remove_from_service':
        if (alarm.out) return refuse('conflict');
        if (action.note === '') return refuse('invalid_message');
        alarm.out = true;
        alarm.shelf = undefined;
        return done('removed_from_service');
      case 'return_to_service':
        if (!alarm.out) return refuse('conflict');
        alarm.out = false;
        if (alarm.active) alarm.acked = false;
        this.#restartClock(alarm, action.time);
        return done('returned_to_service');
    }
  }

  #value(tag: string): Value | undefined {
    const last = this.#last.get(tag);
    return last?.good ? last.value : undefined;
  }

  #observe(alarm: Alarm, time: number): void {
    const { condition } = alarm.rule;
    if (condition.kind !== 'rate') return;
    const value = this.#value(condition.tag);
    if (typeof value !== 'number') return;
    const old = alarm.samples.filter((sample) => sample.time <= time - condition.overMs);
    const base = old.length > 0 ? old[old.length - 1]! : alarm.samples[0];
    const elapsed = base === undefined ? 0 : time - base.time;
    alarm.rate = elapsed >= condition.overMs ? ((value - base!.value) * 1000) / elapsed : undefined;
    const newest = alarm.samples[alarm.samples.length - 1];
    if (newest === undefined || time - newest.time >= condition.overMs / 32) alarm.samples.push({ time, value });
  }

  #holds(alarm: Alarm, index: number): boolean | undefined {
    const { condition } = alarm.rule;
    const { limit, active } = alarm.parts[index]!;
    switch (condition.kind) {
      case 'limits': {
        const value = this.#value(condition.tag);
        if (typeof value !== 'number') return undefined;
        const { value: at, hysteresis } = condition.limits[limit as 'H']!;
        const slack = active ? hysteresis : 0;
        return limit.startsWith('H') ? value >= at - slack : value <= at + slack;
      }
      case 'rate': {
        if (alarm.rate === undefined || typeof this.#value(condition.tag) !== 'number') return undefined;
        const { value, hysteresis } = condition[limit as 'rise']!;
        return (limit === 'rise' ? alarm.rate : -alarm.rate) >= value - (active ? hysteresis : 0);
      }
      case 'state': {
        const value = this.#value(condition.tag);
        if (value === undefined) return undefined;
        return condition.in ? condition.in.includes(value) : !condition.notIn!.includes(value);
      }
      case 'expression':
        return this.#expression(condition.expression, (tag) => this.#value(tag));
      default:
        return undefined;
    }
  }

  #sample(alarm: Alarm, time: number, received: number, seq: number): void {
    alarm.parts.forEach((part, index) => {
      take(alarm, part, { holds: this.#holds(alarm, index), time, received, seq });
    });
  }

  #see(alarm: Alarm, time: number, received: number, seq: number): void {
    const before = alarm.seen?.received ?? 0;
    alarm.seen = { holds: false, time, received: Math.max(before, received), seq };
    alarm.isStale = false;
    take(alarm, alarm.parts[0]!, { holds: false, time, received, seq });
  }

  #inhibitAll(at: { time: number; received: number; seq: number }): void {
    for (const alarm of this.#alarms) {
      const { inhibition } = alarm.rule;
      if (inhibition === undefined) continue;
      const others = this.#alarms.filter(({ rule }) => inhibition.alarms.includes(rule.id));
      const answers = [
        others.some(({ parts, out }) => !out && parts.some(({ active }) => active)),
        ...inhibition.states.map((state) => {
          const value = this.#value(state.tag);
          return value === undefined ? undefined : state.in.includes(value);
        }),
        inhibition.expression === undefined
          ? false
          : this.#expression(inhibition.expression, (tag) => this.#value(tag)),
      ];
      const holds = answers.includes(true) ? true : answers.includes(undefined) ? undefined : false;
      take(alarm, alarm.inhibition, { holds, ...at });
    }
  }

  #settleAll(at: number): void {
    for (const alarm of this.#alarms) {
      const wanted = alarm.rule.inhibition !== undefined && alarm.inhibition.active;
      if (wanted && !alarm.suppressed) this.#suppress(alarm, true, at);
      this.#settleCondition(alarm, at);
      if (!wanted && alarm.suppressed) this.#suppress(alarm, false, at);
    }
  }

  #suppress(alarm: Alarm, suppressed: boolean, at: number): void {
    const previous = stateOf(alarm);
    alarm.suppressed = suppressed;
    if (stateOf(alarm) === previous) return;
    // What people see of the alarm is that of its condition after the change.
    if (suppressed) this.#settleCondition(alarm, at);
    else this.#restartClock(alarm, at);
    const { time, seq } = alarm.rule.inhibition === undefined ? { time: at, seq: undefined } : alarm.inhibition.changed;
    this.#emit(alarm, previous, suppressed ? 'suppressed' : 'unsuppressed', time, seq);
  }

  #settleCondition(alarm: Alarm, at: number): void {
    const { parts } = alarm;
    const now = parts.findIndex(({ active }) => active);
    const before = alarm.shown;
    if (now === before) return;
    alarm.shown = now;
    const previous = stateOf(alarm);
    const hidden = isHidden(alarm);
    const worse = now !== -1 && (before === -1 || now < before);
    const { time, seq } = parts[worse ? now : before]!.changed;
    let cause: AlarmCause;
    if (before === -1) {
      cause = 'raised';
      Object.assign(alarm, { active: true, acked: false, needsReset: false, activatedSeq: seq });
      this.#restartClock(alarm, at);
    } else if (now === -1) {
      cause = 'returned';
      const mustAcknowledge = !alarm.acked && !hidden;
      Object.assign(alarm, { active: false, acked: !mustAcknowledge });
      alarm.needsReset = alarm.acked && alarm.rule.latched;
      this.#restartClock(alarm, at);
    } else {
      cause = 'limit_changed';
      if (worse) alarm.first = '';
      if (worse && alarm.acked) {
        alarm.acked = false;
        this.#restartClock(alarm, at);
      }
    }
    const part = parts[now === -1 ? before : now]!;
    const tags = conditionTags(alarm.rule);
    const value = tags.length === 1 ? this.#last.get(tags[0]!)?.value : undefined;
    alarm.evidence = { limit: part.limit, priority: priorityOf(alarm.rule, part.limit), value };
    if (!hidden) this.#emit(alarm, previous, cause, time, seq);
  }

  #emit(
    alarm: Alarm,
    previous: AlarmState,
    cause: AlarmCause,
    time: number,
    seq: number | undefined,
    action = '',
  ): void {
    const { rule, evidence, escalated, shown, parts } = alarm;
    let priority = evidence.priority;
    if (shown >= 0) priority = priorityOf(rule, parts[shown]!.limit);
    if (escalated > 0) priority = Math.min(priority, rule.escalation[escalated - 1]?.priority ?? priority);
    const others = this.#alarms.filter((other) => other !== alarm && other.rule.group === rule.group);
    const standing = ['unacknowledged', 'acknowledged', 'returned_unacknowledged'];
    const state = stateOf(alarm);
    alarm.number++;
    this.transitions.push({
      rule: rule.id,
      version: rule.version,
      number: alarm.number,
      state,
      previous,
      cause,
      limit: evidence.limit,
      priority,
      time,
      seq: seq === undefined || seq < 0 ? undefined : seq,
      activatedSeq: alarm.activatedSeq,
      value: evidence.value,
      firstOut:
        cause === 'raised' && rule.group !== undefined && !others.some((other) => standing.includes(stateOf(other))),
      until: state === 'shelved' ? alarm.shelf : undefined,
      action,
    });
  }
}

function stateOf({ out, shelf, suppressed, active, acked, needsReset }: Alarm): AlarmState {
  if (out) return 'out_of_service';
  if (shelf !== undefined) return 'shelved';
  if (suppressed) return 'suppressed';
  if (active) return acked ? 'acknowledged' : 'unacknowledged';
  if (!acked) return 'returned_unacknowledged';
  return needsReset ? 'latched' : 'normal';
}

function isHidden({ out, shelf, suppressed }: Alarm): boolean {
  return out || shelf !== undefined || suppressed;
}

/** Takes a signal, and changes the part at once if there is nothing to wait for. */
function take(alarm: Alarm, part: Part, signal: Signal): void {
  part.signals.push(signal);
  const start = runStart(part);
  if (start !== signal) return;
  const isGraced = part !== alarm.inhibition && !part.active && alarm.graceTime > signal.time;
  if ((part.active ? part.offDelay : part.onDelay) > 0 || isGraced) return;
  part.active = !part.active;
  part.changed = { time: signal.time, seq: signal.seq };
  part.signals = [];
}

/** The first of the signals that have contradicted the part without interruption up to now. */
function runStart(part: Part): Signal | undefined {
  let start: Signal | undefined;
  for (const signal of part.signals) {
    if (signal.holds === undefined || signal.holds === part.active) start = undefined;
    else start ??= signal;
  }
  return start;
}

function eventDue(alarm: Alarm, part: Part): number {
  const start = runStart(part);
  if (start === undefined) return Number.POSITIVE_INFINITY;
  if (alarm.rule.condition.kind === 'stale' && part !== alarm.inhibition && !part.active)
    return Number.POSITIVE_INFINITY;
  return flipTime(alarm, part, start);
}

function flipTime(alarm: Alarm, part: Part, start: Signal): number {
  if (part.active) return start.time + part.offDelay;
  return Math.max(start.time + part.onDelay, part === alarm.inhibition ? Number.NEGATIVE_INFINITY : alarm.graceTime);
}

function receivedDue(alarm: Alarm, part: Part): number {
  const start = runStart(part);
  if (start === undefined) return Number.POSITIVE_INFINITY;
  if (part.active) return start.received + part.offDelay + lateness;
  const grace = part === alarm.inhibition ? Number.NEGATIVE_INFINITY : alarm.graceReceived;
  return Math.max(start.received + part.onDelay, grace) + lateness;
}

function flip(alarm: Alarm, part: Part): void {
  const start = runStart(part)!;
  part.changed = { time: flipTime(alarm, part, start), seq: start.seq };
  part.active = !part.active;
  part.signals = [];
}

function staleDue(alarm: Alarm): number {
  const { condition } = alarm.rule;
  if (condition.kind !== 'stale' || alarm.isStale || alarm.seen === undefined) return Number.POSITIVE_INFINITY;
  return alarm.seen.received + condition.afterMs + lateness;
}

function lifeDue(alarm: Alarm): number {
  const { shelf, rule, since, escalated } = alarm;
  if (shelf !== undefined) return shelf;
  const state = stateOf(alarm);
  if (state === 'acknowledged' && rule.reAlarmMs !== undefined) return since + rule.reAlarmMs;
  const step = rule.escalation[escalated];
  return state === 'unacknowledged' && step !== undefined ? since + step.afterMs : Number.POSITIVE_INFINITY;
}

function partsOf(rule: Rule): Part[] {
  const { condition, onDelayMs, offDelayMs } = rule;
  const part = (
    limit: string,
    own: { onDelayMs?: number | undefined; offDelayMs?: number | undefined } = {},
  ): Part => ({
    limit,
    onDelay: own.onDelayMs ?? onDelayMs,
    offDelay: own.offDelayMs ?? offDelayMs,
    active: false,
    signals: [],
    changed: { time: 0, seq: 0 },
  });
  switch (condition.kind) {
    case 'limits':
      return order.flatMap((name) => (condition.limits[name] ? [part(name, condition.limits[name])] : []));
    case 'rate':
      return (['rise', 'fall'] as const).flatMap((name) => (condition[name] ? [part(name)] : []));
    default:
      return [part('')];
  }
}

function inhibitionOf(rule: Rule): Part {
  const offDelay = rule.inhibition?.releaseDelayMs ?? 0;
  return { limit: '', onDelay: 0, offDelay, active: false, signals: [], changed: { time: 0, seq: 0 } };
}

function priorityOf(rule: Rule, limit: string): number {
  const { condition } = rule;
  const own = condition.kind === 'limits' ? condition.limits[limit as 'H']?.priority : undefined;
  return own ?? rule.priority;
}

function conditionTags({ condition }: Rule): string[] {
  if (condition.kind === 'expression')
    return [...new Set([...condition.expression.matchAll(/\b(temp|on|mode|load)\b/g)].map(([tag]) => tag))];
  return condition.tag === undefined ? [] : [condition.tag];
}

function tagsOf(rule: Rule): string[] {
  const { inhibition } = rule;
  const text = inhibition?.expression ?? '';
  return [
    ...conditionTags(rule),
    ...(inhibition?.states.map(({ tag }) => tag) ?? []),
    ...[...text.matchAll(/\b(temp|on|mode|load)\b/g)].map(([tag]) => tag),
    ...rule.context,
  ];
}

function created(rule: Rule, number: number): Alarm {
  return {
    rule,
    parts: partsOf(rule),
    inhibition: inhibitionOf(rule),
    number,
    shown: -1,
    active: false,
    acked: true,
    needsReset: false,
    suppressed: false,
    out: false,
    shelf: undefined,
    first: '',
    since: 0,
    escalated: 0,
    activatedSeq: -1,
    evidence: { limit: '', priority: rule.priority, value: undefined },
    graceTime: Number.NEGATIVE_INFINITY,
    graceReceived: Number.NEGATIVE_INFINITY,
    seen: undefined,
    isStale: false,
    samples: [],
    rate: undefined,
  };
}
