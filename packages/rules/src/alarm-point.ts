import type { CompiledDeviceRule } from './evaluation/compiled-rule.ts';
import { DelayedCondition, latenessMs } from './evaluation/delayed-condition.ts';
import type { EvaluatedTo, Evidence, PointState } from './evaluation/point-state.ts';
import type { Signals } from './evaluation/rule-signals.ts';
import type { ConditionSpec } from './evaluation/signals.ts';
import type { TagSlot, TagValues } from './evaluation/tag-table.ts';
import {
  changeLimit,
  changeRule,
  initialLifeCycle,
  type LifeCycleState,
  lifeCycleDueMs,
  raise,
  returnToNormal,
  stateOf,
  suppress,
} from './lifecycle/alarm-life-cycle.ts';
import type { AlarmCause, AlarmReading, AlarmState } from './lifecycle/alarm-transition.ts';
import type { TagValue } from './rule-condition.ts';
import { messageFrom } from './rule-message.ts';

const never = Number.POSITIVE_INFINITY;

/** Why a transition happens: its cause, event time, and the position of the report. */
export interface Occurrence {
  readonly cause: AlarmCause;
  readonly time: number;
  readonly seq: number | undefined;
}

interface MessageFacts {
  readonly unit: string;
  readonly value: TagValue | undefined;
  readonly limit: string;
  readonly limitValue: number | undefined;
  readonly priority: number;
}

/** Returns the last value of a tag, with its unit and time; undefined: there is none. */
export type SlotOf = (tag: string) => TagSlot<AlarmPoint> | undefined;

/**
 * One rule at one device: its conditions with delays, its inhibition, and its life cycle. The device passes what has
 * happened in this order: `evaluate` or `fire` of all its points, then `settle` of those that have changed.
 */
export class AlarmPoint {
  readonly id: string;
  readonly device: string;
  readonly compiled: CompiledDeviceRule;
  readonly signals: Signals;
  readonly conditions: readonly DelayedCondition[];
  readonly inhibition: DelayedCondition | undefined;
  readonly life: LifeCycleState;
  /** State of the last transition. */
  shown: AlarmState;
  number: number;
  /** Index of the worst condition that is active; -1: none. */
  activeIndex = -1;
  activatedTime = 0;
  /** Position of the report that has activated the alarm; -1: it was never active. */
  activatedSeq = -1;
  evidence: Evidence | undefined;
  /** Nothing becomes active before this event time, and this time by the clock of ingest. */
  #graceTime = -never;
  #graceReceived = -never;
  /** Of a stale rule: the last report that counts. -1: there was none. */
  #seenSeq = -1;
  #seenTime = 0;
  #seenReceived = 0;
  #isStale = false;
  #evaluatedTo: EvaluatedTo = { seq: -1 };
  /** For the device: the point waits for its evaluation, or for `settle`. */
  isDirty = false;
  hasChanged = false;

  /** `numberFloor`: of a rule that is new to the device, the first transition has the number after it. */
  constructor(device: string, compiled: CompiledDeviceRule, state: PointState | undefined, numberFloor: number) {
    this.id = compiled.rule.id;
    this.device = device;
    this.compiled = compiled;
    const isSameVersion = state?.version === compiled.rule.version;
    this.signals = compiled.kind.create(isSameVersion ? state.signals : undefined);
    this.conditions = compiled.kind.specs.map(({ limit }) => conditionFrom(state?.conditions?.[limit], isSameVersion));
    this.inhibition = compiled.inhibition === undefined ? undefined : conditionFrom(state?.inhibition, true);
    this.life = { ...(state?.life ?? initialLifeCycle()) };
    this.shown = stateOf(this.life);
    this.number = state?.number ?? numberFloor;
    this.activeIndex = isSameVersion
      ? compiled.kind.specs.findIndex(({ limit }) => limit === state.activeLimit)
      : this.conditions.findIndex(({ isActive }) => isActive);
    if (state?.activated !== undefined) [this.activatedTime, this.activatedSeq] = state.activated;
    this.evidence = state?.evidence;
    if (state?.grace !== undefined) [this.#graceTime, this.#graceReceived] = state.grace;
    if (state?.seen !== undefined) {
      const [time, received, seq, isStale] = state.seen;
      this.#seenTime = time;
      this.#seenReceived = received;
      this.#seenSeq = seq;
      this.#isStale = isStale === 1;
    }
    if (state?.evaluatedTo !== undefined) this.#evaluatedTo = state.evaluatedTo;
  }

  /** Up to here the state was evaluated by the process that wrote it; -1: as the state of the device. */
  get evaluatedTo(): EvaluatedTo {
    return this.#evaluatedTo;
  }

  get evaluatedSeq(): number {
    return this.#evaluatedTo.seq;
  }

  /** Compares what was evaluated with this place: 0 or more, if the state includes it. */
  compareTo(seq: number, batch: number, timersMs: number): number {
    const { seq: toSeq, batch: toBatch = never, timersMs: toTimersMs = -never } = this.#evaluatedTo;
    if (toSeq !== seq) return toSeq - seq;
    if (toBatch !== batch) return toBatch - batch;
    return toTimersMs === timersMs ? 0 : toTimersMs - timersMs;
  }

  /** The device reports again after a time without reports. */
  startGrace(idleMs: number, time: number, received: number): void {
    const { grace } = this.compiled.rule;
    if (grace === undefined || idleMs < grace.idleMs) return;
    this.#graceTime = time + grace.forMs;
    this.#graceReceived = received + grace.forMs;
  }

  /** Evaluates the conditions after readings with this time. */
  evaluate(values: TagValues, time: number, received: number, seq: number): void {
    if (this.compiled.kind.staleAfterMs !== undefined) {
      this.see(time, received, seq);
      return;
    }
    this.signals.observe(values, time);
    this.#input(values, time, received, seq);
  }

  #input(values: TagValues, time: number, received: number, seq: number): void {
    const { conditions } = this;
    for (let index = 0; index < conditions.length; index++) {
      const condition = conditions[index]!;
      const signal = this.signals.signal(index, values, condition.isActive);
      if (condition.input(signal, this.#spec(index), this.#graceTime, time, received, seq)) this.hasChanged = true;
    }
  }

  /** Of a stale rule: there is a report that counts. */
  see(time: number, received: number, seq: number): void {
    this.#seenTime = time;
    this.#seenReceived = Math.max(this.#seenReceived, received);
    this.#seenSeq = seq;
    this.#isStale = false;
    if (this.conditions[0]!.input(false, this.#spec(0), this.#graceTime, time, received, seq)) this.hasChanged = true;
  }

  /** Reports before this time by the clock of ingest could not be received: nothing is stale for lack of them. */
  excuse(untilMs: number): void {
    if (!this.#isStale && this.#seenSeq >= 0) this.#seenReceived = Math.max(this.#seenReceived, untilMs);
  }

  /** Takes whether the alarm is inhibited. */
  inhibit(signal: boolean | undefined, time: number, received: number, seq: number): void {
    const { inhibition } = this;
    if (inhibition?.input(signal, this.compiled.inhibition!.delays, -never, time, received, seq))
      this.hasChanged = true;
  }

  /** Evaluates a new version of the rule by the last values. What does not hold any more is inactive without delay. */
  evaluateNewVersion(values: TagValues, last: { time: number; received: number; seq: number }): void {
    const { staleAfterMs } = this.compiled.kind;
    if (staleAfterMs !== undefined) {
      if (this.#seenSeq < 0 && last.seq >= 0) this.see(last.time, last.received, last.seq);
      return;
    }
    this.conditions.forEach((condition, index) => {
      if (condition.isActive && this.signals.signal(index, values, true) === false) condition.isActive = false;
    });
    if (last.seq >= 0) this.#input(values, last.time, last.received, last.seq);
  }

  /** The earliest event time at which something that is pending is due. */
  eventDue(): number {
    let due = this.#inhibitionDue();
    const { conditions } = this;
    if (this.#isStaleByReceivedOnly()) return due;
    for (let index = 0; index < conditions.length; index++)
      due = Math.min(due, conditions[index]!.eventDue(this.#spec(index), this.#graceTime));
    return due;
  }

  /** That a device does not report is proven by the clock of ingest alone. */
  #isStaleByReceivedOnly(): boolean {
    return this.compiled.kind.staleAfterMs !== undefined && !this.conditions[0]!.isActive;
  }

  #inhibitionDue(): number {
    return this.inhibition?.eventDue(this.compiled.inhibition!.delays, -never) ?? never;
  }

  /** The earliest time by the clock of ingest at which something is due. */
  receivedDue(): number {
    let due = lifeCycleDueMs(this.life, this.compiled.lifeCycle);
    const { conditions, inhibition } = this;
    for (let index = 0; index < conditions.length; index++)
      due = Math.min(due, conditions[index]!.receivedDue(this.#spec(index), this.#graceReceived));
    if (inhibition !== undefined) due = Math.min(due, inhibition.receivedDue(this.compiled.inhibition!.delays, -never));
    return Math.min(due, this.#staleDue());
  }

  #staleDue(): number {
    const { staleAfterMs } = this.compiled.kind;
    if (staleAfterMs === undefined || this.#isStale || this.#seenSeq < 0) return never;
    return this.#seenReceived + staleAfterMs + latenessMs;
  }

  /** What is due by this event time changes. */
  fireEvents(time: number): void {
    this.conditions.forEach((condition, index) => {
      if (!this.#isStaleByReceivedOnly() && condition.eventDue(this.#spec(index), this.#graceTime) <= time)
        this.#fire(condition, index);
    });
    if (this.#inhibitionDue() <= time) this.#fireInhibition();
  }

  /** What is due by this time of the clock of ingest changes, except the life cycle. */
  fireReceived(atMs: number): void {
    if (this.#staleDue() <= atMs) {
      const { staleAfterMs = 0 } = this.compiled.kind;
      this.#isStale = true;
      const time = this.#seenTime + staleAfterMs;
      if (this.conditions[0]!.input(true, this.#spec(0), this.#graceTime, time, atMs - latenessMs, this.#seenSeq))
        this.hasChanged = true;
    }
    this.conditions.forEach((condition, index) => {
      if (condition.receivedDue(this.#spec(index), this.#graceReceived) <= atMs) this.#fire(condition, index);
    });
    const { inhibition } = this;
    if (inhibition !== undefined && inhibition.receivedDue(this.compiled.inhibition!.delays, -never) <= atMs)
      this.#fireInhibition();
  }

  #fire(condition: DelayedCondition, index: number): void {
    condition.fire(this.#spec(index), this.#graceTime);
    this.hasChanged = true;
  }

  #fireInhibition(): void {
    this.inhibition!.fire(this.compiled.inhibition!.delays, -never);
    this.hasChanged = true;
  }

  /**
   * Brings the life cycle in line with conditions and inhibition. Returns why there is a transition; undefined: there
   * is none. At most one: a suppression that starts hides a change of the condition, and one that stops comes after it.
   */
  settle(atMs: number, slotOf: SlotOf): Occurrence | undefined {
    this.hasChanged = false;
    const isInhibited = this.inhibition?.isActive ?? false;
    const suppressed = isInhibited ? this.#suppress(true, atMs) : undefined;
    const changed = this.#settleCondition(atMs, slotOf);
    return suppressed ?? changed ?? (isInhibited ? undefined : this.#suppress(false, atMs));
  }

  #suppress(isInhibited: boolean, atMs: number): Occurrence | undefined {
    const cause = suppress(this.life, isInhibited, atMs);
    if (cause === undefined) return undefined;
    const { changedTime = atMs, changedSeq } = this.inhibition ?? {};
    return { cause, time: changedTime, seq: changedSeq };
  }

  #settleCondition(atMs: number, slotOf: SlotOf): Occurrence | undefined {
    const before = this.activeIndex;
    const after = this.conditions.findIndex(({ isActive }) => isActive);
    if (after === before) return undefined;
    this.activeIndex = after;
    const isWorse = after !== -1 && (before === -1 || after < before);
    const { changedTime, changedSeq } = this.conditions[isWorse ? after : before]!;
    let cause: AlarmCause | undefined;
    if (before === -1) {
      this.activatedTime = changedTime;
      this.activatedSeq = changedSeq;
      cause = raise(this.life, atMs);
    } else {
      cause =
        after === -1 ? returnToNormal(this.life, this.compiled.lifeCycle, atMs) : changeLimit(this.life, isWorse, atMs);
    }
    this.#keepEvidence(after === -1 ? before : after, slotOf);
    return cause === undefined ? undefined : { cause, time: changedTime, seq: changedSeq };
  }

  /** After a new version of the rule: what was active and is not any more. */
  settleNewVersion(atMs: number, wasActive: boolean): Occurrence | undefined {
    if (!wasActive || this.conditions.some(({ isActive }) => isActive)) return undefined;
    this.activeIndex = -1;
    const cause = changeRule(this.life, atMs);
    return cause === undefined ? undefined : { cause, time: atMs, seq: undefined };
  }

  #keepEvidence(index: number, slotOf: SlotOf): void {
    const { rule, kind } = this.compiled;
    const explained = this.signals.explain?.();
    const { priority } = this.#spec(index);
    const { limit, limitValue } = explained ?? this.#spec(index);
    const slot = kind.tag === '' ? undefined : slotOf(kind.tag);
    const context = rule.context.flatMap((tag): AlarmReading[] => {
      const each = slotOf(tag);
      if (each?.value === undefined) return [];
      return [{ tag, value: each.value, unit: each.unit, time: each.time }];
    });
    const unit = slot?.unit ?? '';
    const value = slot?.value;
    this.evidence = {
      limit,
      priority,
      tag: kind.tag,
      ...(value === undefined ? {} : { value }),
      ...(limitValue === undefined ? {} : { limitValue }),
      context,
      message:
        rule.message === undefined
          ? (explained?.message ?? '')
          : this.#message(rule.message, { unit, value, limit, limitValue, priority }, slotOf),
    };
  }

  #message(template: string, { unit, value, limit, limitValue, priority }: MessageFacts, slotOf: SlotOf): string {
    const { rule, kind } = this.compiled;
    const text = (each: unknown) => (each === undefined ? '' : String(each));
    return messageFrom(
      template,
      {
        device: this.device,
        rule: rule.name === '' ? rule.id : rule.name,
        tag: kind.tag,
        value: text(value),
        unit,
        limit,
        limitValue: text(limitValue),
        priority: text(priority),
      },
      (tag) => {
        const each = slotOf(tag)?.value;
        return each === undefined ? undefined : String(each);
      },
    );
  }

  #spec(index: number): ConditionSpec {
    return this.compiled.kind.specs[index]!;
  }

  /** Of the transition: that of the limit, or of the last escalation, whichever is higher. 1 is the highest. */
  get priority(): number {
    const { rule } = this.compiled;
    const own = this.activeIndex >= 0 ? this.#spec(this.activeIndex).priority : this.evidence?.priority;
    const escalated = rule.escalation[this.life.escalated - 1]?.priority;
    return Math.min(own ?? rule.priority, escalated ?? never);
  }

  /** Whether another alarm of its group is not the first one any more. */
  get isStanding(): boolean {
    const state = stateOf(this.life);
    return state === 'unacknowledged' || state === 'acknowledged' || state === 'returned_unacknowledged';
  }

  /** `evaluatedTo`: reports up to here are included; undefined: those of the device's state are. */
  state(evaluatedTo: EvaluatedTo | undefined): PointState {
    const conditions: Record<string, ReturnType<DelayedCondition['state']>> = {};
    this.conditions.forEach((condition, index) => {
      if (condition.isActive || condition.isPending || this.hasChanged)
        conditions[this.#spec(index).limit] = condition.state();
    });
    const { inhibition, life } = this;
    const signals = this.signals.state();
    return {
      version: this.compiled.rule.version,
      number: this.number,
      ...(Object.keys(conditions).length === 0 ? {} : { conditions }),
      ...(inhibition !== undefined && (inhibition.isActive || inhibition.isPending || this.hasChanged)
        ? { inhibition: inhibition.state() }
        : {}),
      ...(this.activeIndex < 0 ? {} : { activeLimit: this.#spec(this.activeIndex).limit }),
      ...(isInitial(life) ? {} : { life: { ...life } }),
      ...(this.activatedSeq < 0 ? {} : { activated: [this.activatedTime, this.activatedSeq] as const }),
      ...(this.evidence === undefined ? {} : { evidence: this.evidence }),
      ...(this.#graceTime === -never ? {} : { grace: [this.#graceTime, this.#graceReceived] as const }),
      ...(this.#seenSeq < 0
        ? {}
        : { seen: [this.#seenTime, this.#seenReceived, this.#seenSeq, this.#isStale ? 1 : 0] as const }),
      ...(signals === undefined ? {} : { signals }),
      ...(evaluatedTo === undefined ? {} : { evaluatedTo }),
    };
  }
}

/** What is pending of an older version of the rule does not count: its delay or its limit may be another one. */
function conditionFrom(
  state: NonNullable<PointState['conditions']>[string] | undefined,
  withPending: boolean,
): DelayedCondition {
  const condition = new DelayedCondition();
  if (state !== undefined) condition.restore(withPending ? state : [state[0], state[1], state[2]]);
  return condition;
}

function isInitial(life: LifeCycleState): boolean {
  const initial = initialLifeCycle();
  return (Object.keys(initial) as (keyof LifeCycleState)[]).every((key) => life[key] === initial[key]);
}
