import type { Report } from '@tailrace/protocol/report';
import { effectiveTimeOf } from '@tailrace/protocol/source-time';
import { AlarmPoint, type Occurrence } from './alarm-point.ts';
import type { CompiledRule } from './evaluation/compiled-rule.ts';
import {
  type DeviceState,
  decodePointState,
  type EvaluatedTo,
  encodePointState,
  type PointState,
} from './evaluation/point-state.ts';
import { TagSlot } from './evaluation/tag-table.ts';
import { alarmId, transitionId } from './lifecycle/alarm-identity.ts';
import { act, initialLifeCycle, lifeCycleDueMs, lifeCycleTimer, stateOf } from './lifecycle/alarm-life-cycle.ts';
import type { AlarmAction, AlarmActionRefused, AlarmTransition } from './lifecycle/alarm-transition.ts';

const never = Number.POSITIVE_INFINITY;
/** Actions that are recognized when they are read again. Control sends each one again until the log has taken it. */
const actionsKnownMax = 16;

/** What is to be written, in this order. */
export type AlarmOutput =
  | {
      readonly transition: AlarmTransition;
      /** State of the rule at the device after the transition, for `adopt`. */
      readonly state: Uint8Array;
    }
  | { readonly refused: AlarmActionRefused };

const nothing: readonly AlarmOutput[] = [];

/** Counts for metrics, shared by all devices. */
export interface AlarmCounts {
  /** Evaluations of a rule at a device. */
  evaluated: number;
  /** Readings that are older than the last value of their tag, and were not evaluated. */
  lateReadings: number;
}

export interface DeviceAlarmsOptions {
  readonly device: string;
  /** Of the telemetry topic. */
  readonly epoch: string;
  readonly counts: AlarmCounts;
  /** From the checkpoint. Positions of another epoch are dropped, alarms stay. */
  readonly state?: DeviceState;
}

/**
 * The alarms of one device: all its rules, in a pure state machine. The caller passes reports in the order of their
 * positions, and writes what is returned in the order in which it is returned.
 *
 * Two clocks. Conditions and delays are in event time, the clock of the device. What happens without reports is by the
 * clock of ingest: `advance(w)` states that all reports received before `w` were passed. A report also advances the
 * clock to the time at which it was received. So the result does not depend on when `advance` is called, and is the
 * same if the reports are evaluated again.
 *
 * Take-over: `new DeviceAlarms({ state })` of the last checkpoint; `adopt` for each transition and refusal in the log
 * since then, in their order; `setRules` with all rules that match; actions in the log without a result; then all
 * reports after the checkpoint. A transition has the state of its rule up to that report, so that none is written
 * twice, even if the former owner stopped between two transitions of one report. Before the reports are passed,
 * `advance` must not be called.
 *
 * Cost: a report evaluates the rules of its tags. `nextDueMs` is for a heap of the caller; there are no timers here.
 */
export class DeviceAlarms {
  readonly device: string;
  readonly #epoch: string;
  readonly #counts: AlarmCounts;
  /** In the order of the IDs of rules, so that transitions have one order. */
  #points: AlarmPoint[] = [];
  /** Those with an inhibition. */
  #inhibited: AlarmPoint[] = [];
  /** Those of a stale rule for any report, and of rules with a grace. */
  #anyReport: AlarmPoint[] = [];
  #graced: AlarmPoint[] = [];
  readonly #slots = new Map<string, TagSlot<AlarmPoint>>();
  /** Restored states of rules that are not set yet. */
  readonly #restored = new Map<string, PointState>();
  #seq = -1;
  #time = 0;
  #received = 0;
  #numberFloor = 0;
  #actions: string[] = [];
  /** Reports up to here are evaluated by some points, although the device has not received them yet. */
  #coveredSeq = -1;
  /** Lower bounds of the next timers. */
  #eventDueMs = never;
  #receivedDueMs = never;
  #dirty: AlarmPoint[] = [];
  #isInhibitionDirty = false;
  #output: AlarmOutput[] = [];

  constructor({ device, epoch, counts, state }: DeviceAlarmsOptions) {
    this.device = device;
    this.#epoch = epoch;
    this.#counts = counts;
    if (state !== undefined) this.#restore(state);
  }

  #restore(state: DeviceState): void {
    const isSameEpoch = state.epoch === this.#epoch;
    this.#seq = isSameEpoch ? state.seq : -1;
    this.#time = state.time;
    this.#received = state.received;
    this.#numberFloor = state.numberFloor;
    this.#actions = [...state.actions];
    for (const [tag, [value, isTrusted, unit, time, received, seq]] of Object.entries(state.tags)) {
      const slot = this.#slot(tag);
      Object.assign(slot, { value, isTrusted: isTrusted === 1, unit, time, received, seq });
    }
    for (const [rule, { evaluatedTo, ...point }] of Object.entries(state.points)) {
      this.#restored.set(rule, isSameEpoch && evaluatedTo !== undefined ? { ...point, evaluatedTo } : point);
    }
  }

  /** Position of the last report; -1: none. */
  get seq(): number {
    return this.#seq;
  }

  /** Number of rules. */
  get size(): number {
    return this.#points.length;
  }

  /** Number of alarms that are not normal. */
  get standing(): number {
    return this.#points.filter(({ life }) => stateOf(life) !== 'normal').length;
  }

  /**
   * Takes a transition or a refusal that a former owner has written. Its number or action is not used again. Expected
   * before `setRules`.
   */
  adopt(
    output: { transition: { rule: string; action: string }; state: Uint8Array } | { refused: { action: string } },
  ): void {
    if ('refused' in output) {
      this.#remember(output.refused.action);
      return;
    }
    const { rule, action } = output.transition;
    if (action !== '') this.#remember(action);
    const state = decodePointState(output.state);
    if (state.number <= (this.#restored.get(rule)?.number ?? this.#numberFloor)) return;
    if (state.isRemoved) {
      this.#restored.delete(rule);
      this.#numberFloor = Math.max(this.#numberFloor, state.number);
    } else {
      this.#restored.set(rule, state);
    }
  }

  /**
   * Sets the rules that match the device: all of them, also after a change of one. An alarm of a rule that is gone, or
   * whose condition the new version does not have, becomes normal. Nothing else is raised again. `atMs`: now, by the
   * clock of ingest.
   */
  setRules(rules: readonly CompiledRule[], atMs: number): readonly AlarmOutput[] {
    for (const point of this.#points) this.#restored.set(point.id, point.state(this.#evaluatedTo(point)));
    const compiled = rules.map((rule) => rule.forDevice(this.device)).sort((a, b) => (a.rule.id < b.rule.id ? -1 : 1));
    const states = compiled.map(({ rule }) => this.#restored.get(rule.id));
    for (const { rule } of compiled) this.#restored.delete(rule.id);
    this.#retire(atMs);
    this.#points = compiled.map((each, index) => new AlarmPoint(this.device, each, states[index], this.#numberFloor));
    this.#index();
    this.#points.forEach((point, index) => {
      const state = states[index];
      if (state?.version === point.compiled.rule.version) return;
      const wasActive = Object.values(state?.conditions ?? {}).some(([active]) => active === 1);
      // The last values of a point that is ahead of the device are not known yet: its next report counts.
      if (point.evaluatedSeq <= this.#seq) point.evaluateNewVersion(this.#valueOf, this.#lastOf(point));
      this.#emit(point, point.settleNewVersion(atMs, wasActive), undefined);
      point.hasChanged = true;
    });
    this.#inhibit(this.#time, this.#received, this.#seq, never);
    this.#settle(atMs, undefined);
    this.#findDue();
    return this.#taken();
  }

  /** Alarms of rules that do not match any more become normal, and leave only their number. */
  #retire(atMs: number): void {
    for (const [rule, state] of this.#restored) {
      const previous = stateOf(state.life ?? initialLifeCycle());
      this.#numberFloor = Math.max(this.#numberFloor, state.number);
      if (previous === 'normal') continue;
      const number = state.number + 1;
      this.#numberFloor = Math.max(this.#numberFloor, number);
      const { limit = '', priority = 3, tag = '', context = [], message = '' } = state.evidence ?? {};
      const [activated, seq] = state.activated ?? [0, -1];
      this.#output.push({
        transition: {
          ...{ id: transitionId(rule, this.device, number), alarm: this.#alarmOf(rule, seq), rule },
          ...{ ruleVersion: state.version, device: this.device, number, state: 'normal', previous },
          ...{ cause: 'rule_changed', limit, priority, alarmClass: '', time: atMs, activated, epoch: this.#epoch },
          ...{ tag, context, by: '', note: '', firstOut: false, message, action: '' },
        },
        state: encodePointState({ version: state.version, number, isRemoved: true }),
      });
    }
    this.#restored.clear();
  }

  #index(): void {
    for (const slot of this.#slots.values()) {
      slot.readers.length = 0;
      slot.inhibited.length = 0;
    }
    const used = new Set<string>();
    const slot = (tag: string) => {
      used.add(tag);
      return this.#slot(tag);
    };
    for (const point of this.#points) {
      const { kind, inhibition, rule } = point.compiled;
      for (const tag of kind.tags) slot(tag).readers.push(point);
      for (const tag of inhibition?.tags ?? []) slot(tag).inhibited.push(point);
      for (const tag of rule.context) slot(tag);
    }
    for (const tag of this.#slots.keys()) if (!used.has(tag)) this.#slots.delete(tag);
    this.#inhibited = this.#points.filter(({ inhibition }) => inhibition !== undefined);
    this.#graced = this.#points.filter(({ compiled }) => compiled.rule.grace !== undefined);
    this.#anyReport = this.#points.filter(
      ({ compiled: { kind } }) => kind.staleAfterMs !== undefined && kind.tags.length === 0,
    );
    this.#coveredSeq = Math.max(-1, ...this.#points.map(({ evaluatedSeq }) => evaluatedSeq));
  }

  /**
   * Evaluates a report with its position in the telemetry topic. One with an earlier position than the last one is
   * ignored. Historical readings were taken some time ago, and are not evaluated. Readings that are older than the last
   * value of their tag are late, and are not evaluated.
   */
  report(report: Report, seq: number): readonly AlarmOutput[] {
    if (seq <= this.#seq) return nothing;
    const { received = report.time, readings } = report;
    if (this.#receivedDueMs <= received) this.#fireReceived(received, seq);
    if (report.historical === true) {
      this.#seq = seq;
      return this.#taken();
    }
    const isAhead = report.clock === 'ahead';
    const time = effectiveTimeOf(report.time, isAhead, received);
    if (this.#graced.length > 0 && received - this.#received > 0) this.#startGrace(time, received, seq);
    let hasOwnTimes = false;
    for (const reading of readings) if (reading.time !== undefined) hasOwnTimes = true;
    if (hasOwnTimes) {
      this.#reportWithTimes(report, isAhead, received, seq);
    } else {
      if (this.#eventDueMs <= time) this.#fireEvents(time, received, seq, 1);
      for (const reading of readings) this.#take(reading, time, received, seq);
      this.#evaluate(time, received, seq, 1);
    }
    this.#seq = seq;
    this.#time = Math.max(this.#time, time);
    this.#received = Math.max(this.#received, received);
    return this.#taken();
  }

  /** A gateway collects readings of several times in a report: each time is evaluated by itself: no peak is lost. */
  #reportWithTimes(report: Report, isAhead: boolean, received: number, seq: number): void {
    const timed = report.readings
      .map((reading) => ({ reading, time: effectiveTimeOf(reading.time ?? report.time, isAhead, received) }))
      .sort((a, b) => a.time - b.time);
    let batch = 1;
    for (let index = 0; index < timed.length; batch++) {
      const { time } = timed[index]!;
      if (this.#eventDueMs <= time) this.#fireEvents(time, received, seq, batch);
      for (; index < timed.length && timed[index]!.time === time; index++)
        this.#take(timed[index]!.reading, time, received, seq);
      this.#evaluate(time, received, seq, batch);
    }
  }

  #take(reading: Report['readings'][number], time: number, received: number, seq: number): void {
    const slot = this.#slots.get(reading.tag);
    if (slot === undefined) return;
    if (!slot.take(reading, time, received, seq)) {
      this.#counts.lateReadings++;
      return;
    }
    const { readers, inhibited } = slot;
    for (let index = 0; index < readers.length; index++) this.#soil(readers[index]!);
    if (inhibited.length > 0) this.#isInhibitionDirty = true;
  }

  #soil(point: AlarmPoint): void {
    if (point.isDirty) return;
    point.isDirty = true;
    this.#dirty.push(point);
  }

  #startGrace(time: number, received: number, seq: number): void {
    const idleMs = this.#received === 0 ? never : received - this.#received;
    for (const point of this.#graced) if (!this.#isCovered(point, seq, 1)) point.startGrace(idleMs, time, received);
  }

  #isCovered(point: AlarmPoint, seq: number, batch: number): boolean {
    return seq <= this.#coveredSeq && point.covers(seq, batch);
  }

  #evaluate(time: number, received: number, seq: number, batch: number): void {
    if (batch === 1) for (const point of this.#anyReport) this.#soil(point);
    const dirty = this.#dirty;
    let hasChanged = false;
    for (let index = 0; index < dirty.length; index++) {
      const point = dirty[index]!;
      if (this.#isCovered(point, seq, batch)) continue;
      this.#counts.evaluated++;
      point.evaluate(this.#valueOf, time, received, seq);
      this.#arm(point);
      if (point.hasChanged) hasChanged = true;
    }
    if (hasChanged || this.#isInhibitionDirty) {
      this.#inhibit(time, received, seq, batch);
      this.#settle(received, [seq, batch]);
    }
    for (let index = 0; index < dirty.length; index++) dirty[index]!.isDirty = false;
    dirty.length = 0;
  }

  /** Finds out which points are inhibited as of a time of a report; `causeSeq`: the report that is the reason. */
  #inhibit(time: number, received: number, seq: number, batch: number, causeSeq = seq): void {
    this.#isInhibitionDirty = false;
    for (const point of this.#inhibited) {
      if (this.#isCovered(point, seq, batch)) continue;
      const signal = this.#isInhibited(point, seq, batch);
      if (signal === 'later') continue;
      point.inhibit(signal, time, received, causeSeq);
      this.#arm(point);
    }
  }

  /** `later`: an inhibiting alarm was already evaluated beyond this report, so that its state is not that of now. */
  #isInhibited(point: AlarmPoint, seq: number, batch: number): boolean | undefined | 'later' {
    const inhibition = point.compiled.inhibition!;
    for (const id of inhibition.alarms) {
      const other = this.#point(id);
      if (other === undefined) continue;
      if (seq <= this.#coveredSeq && other.isBeyond(seq, batch)) return 'later';
      if (other.conditions.some(({ isActive }) => isActive) && !other.life.isOutOfService) return true;
    }
    return inhibition.holds(this.#valueOf);
  }

  /** Writes the transitions of all points that have changed. */
  #settle(atMs: number, evaluatedTo: EvaluatedTo | undefined): void {
    for (const point of this.#points) {
      if (!point.hasChanged) continue;
      this.#emit(point, point.settle(atMs, this.#slotOf), evaluatedTo);
      this.#arm(point);
    }
  }

  /** The clock of ingest has reached this time: all reports received before were passed. */
  advance(watermarkMs: number): readonly AlarmOutput[] {
    if (this.#receivedDueMs > watermarkMs) return nothing;
    this.#fireReceived(watermarkMs, this.#seq + 1);
    return this.#taken();
  }

  /**
   * A lower bound of the watermark at which `advance` has something to do; infinite: never. It falls only with a
   * report, an action or new rules. So an entry of a heap may come too early, and is put back; it never comes too late.
   */
  nextDueMs(): number {
    return this.#receivedDueMs;
  }

  #fireReceived(untilMs: number, seq: number): void {
    for (;;) {
      let due = never;
      for (const point of this.#points) {
        if (!this.#isCovered(point, seq, 0)) due = Math.min(due, point.receivedDue());
      }
      this.#receivedDueMs = due;
      if (due > untilMs) return;
      this.#fireAt(due, seq);
    }
  }

  #fireAt(atMs: number, seq: number): void {
    for (const point of this.#points) {
      if (!this.#isCovered(point, seq, 0) && point.receivedDue() <= atMs) point.fireReceived(atMs);
    }
    if (this.#points.some(({ hasChanged }) => hasChanged)) {
      this.#inhibit(this.#time, this.#received, seq, 0, this.#seq);
      this.#settle(atMs, undefined);
    }
    for (const point of this.#points) {
      if (this.#isCovered(point, seq, 0) || lifeCycleDueMs(point.life, point.compiled.lifeCycle) > atMs) continue;
      const cause = lifeCycleTimer(point.life, atMs);
      this.#emit(point, { cause, time: atMs, seq: undefined }, undefined);
    }
  }

  #fireEvents(untilMs: number, received: number, seq: number, batch: number): void {
    for (;;) {
      let due = never;
      for (const point of this.#points) {
        if (!this.#isCovered(point, seq, batch)) due = Math.min(due, point.eventDue());
      }
      this.#eventDueMs = due;
      if (due > untilMs) return;
      for (const point of this.#points) {
        if (!this.#isCovered(point, seq, batch) && point.eventDue() <= due) point.fireEvents(due);
      }
      this.#inhibit(due, received, seq, batch, this.#seq);
      this.#settle(received, [seq, batch - 1]);
    }
  }

  /** Keeps the lower bounds of the next timers. */
  #arm(point: AlarmPoint): void {
    this.#eventDueMs = Math.min(this.#eventDueMs, point.eventDue());
    this.#receivedDueMs = Math.min(this.#receivedDueMs, point.receivedDue());
  }

  #findDue(): void {
    this.#eventDueMs = never;
    this.#receivedDueMs = never;
    for (const point of this.#points) this.#arm(point);
  }

  /**
   * Reports that were received before this time, by the clock of ingest, may be missing: the log or ingest was away. No
   * device is stale for lack of them; its time without reports counts from here.
   */
  excuse(untilMs: number): void {
    for (const point of this.#points) point.excuse(untilMs);
    this.#findDue();
  }

  /** Applies what a person does: the result is one transition or one refusal. Nothing if it was applied before. */
  action(action: AlarmAction): readonly AlarmOutput[] {
    if (this.#actions.includes(action.id)) return nothing;
    this.#remember(action.id);
    const point = this.#point(action.rule);
    if (point === undefined) {
      return this.#refuse(
        action,
        'not_found',
        `rule: expected a rule of the device ${this.device}, got ${action.rule}`,
      );
    }
    const alarm = this.#alarmOf(point.id, point.activatedSeq);
    if (action.alarm !== '' && action.alarm !== alarm) {
      return this.#refuse(
        action,
        'conflict',
        `${action.kind}: expected the present alarm ${alarm}, got ${action.alarm}`,
      );
    }
    if (action.number !== 0 && action.number !== point.number) {
      const message = `${action.kind}: expected the last transition ${point.number} of the alarm, got ${action.number}`;
      return this.#refuse(action, 'conflict', message);
    }
    const result = act(point.life, point.compiled.lifeCycle, action);
    if (typeof result !== 'string') return this.#refuse(action, result.code, result.message);
    this.#emit(point, { cause: result, time: action.time, seq: undefined }, undefined, action);
    // A rule that is out of service does not inhibit others.
    this.#inhibit(this.#time, this.#received, this.#seq, never);
    this.#settle(action.time, undefined);
    this.#arm(point);
    return this.#taken();
  }

  #refuse({ id, rule }: AlarmAction, code: AlarmActionRefused['code'], message: string): readonly AlarmOutput[] {
    this.#output.push({ refused: { action: id, device: this.device, rule, code, message } });
    return this.#taken();
  }

  #remember(action: string): void {
    if (this.#actions.includes(action)) return;
    this.#actions.push(action);
    if (this.#actions.length > actionsKnownMax) this.#actions.shift();
  }

  #emit(
    point: AlarmPoint,
    occurrence: Occurrence | undefined,
    evaluatedTo: EvaluatedTo | undefined,
    action?: AlarmAction,
  ): void {
    if (occurrence === undefined) return;
    const { cause, time, seq } = occurrence;
    const { rule } = point.compiled;
    point.number++;
    const state = stateOf(point.life);
    const transition: AlarmTransition = {
      id: transitionId(point.id, this.device, point.number),
      alarm: this.#alarmOf(point.id, point.activatedSeq),
      rule: point.id,
      ruleVersion: rule.version,
      device: this.device,
      number: point.number,
      state,
      previous: point.shown,
      cause,
      alarmClass: rule.class?.name ?? '',
      time,
      activated: point.activatedTime,
      epoch: this.#epoch,
      ...(seq === undefined || seq < 0 ? {} : { seq }),
      ...(point.evidence ?? { limit: '', tag: '', context: [], message: '' }),
      priority: point.priority,
      ...(state === 'shelved' ? { until: point.life.shelvedUntil } : {}),
      by: action?.by ?? '',
      note: action?.note ?? '',
      firstOut: cause === 'raised' && this.#isFirstOut(point),
      action: action?.id ?? '',
    };
    point.shown = state;
    // Without a place in the present report, the state includes all reports so far.
    const to = evaluatedTo ?? this.#evaluatedTo(point) ?? [this.#seq];
    this.#output.push({ transition, state: encodePointState(point.state(to)) });
  }

  #isFirstOut(point: AlarmPoint): boolean {
    const { group } = point.compiled.rule;
    if (group === undefined) return false;
    return !this.#points.some((other) => other !== point && other.compiled.rule.group === group && other.isStanding);
  }

  #alarmOf(rule: string, activatedSeq: number): string {
    return activatedSeq < 0 ? '' : alarmId(rule, this.device, this.#epoch, activatedSeq);
  }

  /** The whole state, for the checkpoint. */
  state(): DeviceState {
    const tags: Record<string, DeviceState['tags'][string]> = {};
    for (const { tag, value, isTrusted, unit, time, received, seq } of this.#slots.values()) {
      if (value !== undefined) tags[tag] = [value, isTrusted ? 1 : 0, unit, time, received, seq];
    }
    const points: Record<string, PointState> = Object.fromEntries(this.#restored);
    for (const point of this.#points) points[point.id] = point.state(this.#evaluatedTo(point));
    return {
      epoch: this.#epoch,
      seq: this.#seq,
      time: this.#time,
      received: this.#received,
      numberFloor: this.#numberFloor,
      actions: this.#actions,
      tags,
      points,
    };
  }

  /** Undefined unless the point is ahead of the device. */
  #evaluatedTo(point: AlarmPoint): EvaluatedTo | undefined {
    return point.evaluatedSeq > this.#seq ? point.evaluatedTo : undefined;
  }

  #taken(): readonly AlarmOutput[] {
    if (this.#output.length === 0) return nothing;
    const output = this.#output;
    this.#output = [];
    return output;
  }

  #point(id: string): AlarmPoint | undefined {
    return this.#points.find((point) => point.id === id);
  }

  #slot(tag: string): TagSlot<AlarmPoint> {
    let slot = this.#slots.get(tag);
    if (slot === undefined) {
      slot = new TagSlot(tag);
      this.#slots.set(tag, slot);
    }
    return slot;
  }

  #lastOf(point: AlarmPoint): { time: number; received: number; seq: number } {
    const { tags } = point.compiled.kind;
    let last = { time: this.#time, received: this.#received, seq: this.#seq };
    if (tags.length > 0) {
      const slots = tags.map((tag) => this.#slot(tag));
      last = slots.reduce((a, b) => (b.time > a.time ? b : a), slots[0]!);
    }
    return last;
  }

  readonly #slotOf = (tag: string): TagSlot<AlarmPoint> | undefined => this.#slots.get(tag);

  readonly #valueOf = (tag: string) => {
    const slot = this.#slots.get(tag);
    return slot?.isTrusted ? slot.value : undefined;
  };
}
