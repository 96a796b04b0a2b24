import type { Report } from '@tailrace/protocol/report';
import { effectiveTimeOf } from '@tailrace/protocol/source-time';
import { type AlarmNames, type AlarmOutput, alarmOf, outputOfRemoval, transitionOf } from './alarm-output.ts';
import { AlarmPoint, type Occurrence } from './alarm-point.ts';
import type { CompiledRule } from './evaluation/compiled-rule.ts';
import { latenessMs } from './evaluation/delayed-condition.ts';
import { DuplicateReports } from './evaluation/duplicate-reports.ts';
import {
  type DeviceState,
  decodePointState,
  type EvaluatedTo,
  encodePointState,
  type PointState,
} from './evaluation/point-state.ts';
import { TagSlot } from './evaluation/tag-table.ts';
import { act, lifeCycleDueMs, lifeCycleTimer, stateOf } from './lifecycle/alarm-life-cycle.ts';
import type { AlarmAction, AlarmActionRefused, AlarmTransition } from './lifecycle/alarm-transition.ts';

const never = Number.POSITIVE_INFINITY;
/** Actions that are recognized when they are read again. Control sends each one again until the log has taken it. */
const actionsKnownMax = 16;
/** More than the resolution of a number for the time of now in ms. */
const placeStepMs = 0.001;

export type { AlarmOutput } from './alarm-output.ts';

const nothing: readonly AlarmOutput[] = [];

/** Counts for metrics, shared by all devices. */
export interface AlarmCounts {
  /** Evaluations of a rule at a device. */
  evaluated: number;
  /** Readings that are older than the last value of their tag, and were not evaluated. */
  lateReadings: number;
  /** Duplicates of earlier reports, which were not evaluated. */
  duplicateReports: number;
}

export interface DeviceAlarmsOptions {
  readonly device: string;
  /** Of the telemetry topic. */
  readonly epoch: string;
  readonly counts: AlarmCounts;
  /** From the checkpoint. Positions of another epoch are dropped, alarms stay. */
  readonly state?: DeviceState;
}

interface Change {
  readonly point: AlarmPoint;
  readonly transition: AlarmTransition;
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
 * Takeover: `new DeviceAlarms({ state })` of the last checkpoint; `adopt` for each transition and refusal in the log
 * since then, in their order; `setRules` with all rules that match; then all reports after the checkpoint; then actions
 * in the log without a result. A transition has the state of its rule and what was evaluated for it, so that none is
 * written twice or is missing, even if the former owner stopped between two transitions of one report. Before the
 * reports are passed, `advance` must not be called.
 *
 * Cost: a report evaluates the rules of its tags. `nextDueMs` is for a heap of the caller; there are no timers here.
 */
export class DeviceAlarms {
  readonly device: string;
  readonly #epoch: string;
  readonly #names: AlarmNames;
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
  /** Of the last timer by the clock of ingest; see `#placeOf`. */
  #firedMs = 0;
  #numberFloor = 0;
  #actions: string[] = [];
  /** Undefined: the device has sent no report to which it applies. */
  #duplicates: DuplicateReports | undefined;
  /** Of the last transition that was adopted: what came with it may be unwritten. */
  #unfinished: EvaluatedTo | undefined;
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
    this.#names = { device, epoch };
    this.#counts = counts;
    if (state !== undefined) this.#restore(state);
  }

  #restore(state: DeviceState): void {
    const isSameEpoch = state.epoch === this.#epoch;
    this.#seq = isSameEpoch ? state.seq : -1;
    this.#time = state.time;
    this.#received = state.received;
    this.#firedMs = state.fired;
    this.#numberFloor = state.numberFloor;
    this.#actions = [...state.actions];
    if (state.ids !== undefined) this.#duplicates = new DuplicateReports(state.ids);
    for (const [tag, [value, isTrusted, unit, time, received, seq]] of Object.entries(state.tags)) {
      const slot = this.#slot(tag);
      Object.assign(slot, { value, isTrusted: isTrusted === 1, unit, time, received, seq });
    }
    if (isSameEpoch) this.#unfinished = state.unfinished;
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
    const { state, inhibited } = decodePointState(output.state);
    if (state.number <= (this.#restored.get(rule)?.number ?? this.#numberFloor)) return;
    this.#unfinished = state.evaluatedTo?.cause === 'rules' ? undefined : state.evaluatedTo;
    if (state.isRemoved) {
      this.#restored.delete(rule);
      this.#numberFloor = Math.max(this.#numberFloor, state.number);
    } else {
      this.#restored.set(rule, state);
      for (const [id, other] of Object.entries(inhibited)) this.#restored.set(id, other);
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
    const to: EvaluatedTo = { ...this.#place(), cause: 'rules' };
    this.#points.forEach((point, index) => {
      const state = states[index];
      if (state?.version === point.compiled.rule.version) return;
      const wasActive = Object.values(state?.conditions ?? {}).some(([active]) => active === 1);
      // The last values of a point that is ahead of the device are not known yet: its next report counts.
      if (point.evaluatedSeq <= this.#seq) point.evaluateNewVersion(this.#valueOf, this.#lastOf(point));
      const occurrence = point.settleNewVersion(atMs, wasActive);
      if (occurrence !== undefined) this.#emit(point, occurrence, to);
      point.hasChanged = true;
    });
    this.#inhibitAt(to, atMs);
    this.#settle(atMs, to);
    this.#findDue();
    return this.#taken();
  }

  /** Alarms of rules that do not match any more become normal, and leave only their number. */
  #retire(atMs: number): void {
    for (const [rule, state] of this.#restored) {
      this.#numberFloor = Math.max(this.#numberFloor, state.number);
      const output = outputOfRemoval(rule, state, this.#names, atMs);
      if (output === undefined) continue;
      this.#numberFloor = Math.max(this.#numberFloor, state.number + 1);
      this.#output.push(output);
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
   * value of their tag are late, and are not evaluated. Nor is a report that was sent again; see `DuplicateReports`.
   */
  report(report: Report, seq: number): readonly AlarmOutput[] {
    if (seq <= this.#seq) return nothing;
    const { received = report.time, readings } = report;
    if (this.#receivedDueMs <= received) this.#fireReceived(received);
    if (report.historical === true || this.#isDuplicate(report, received)) {
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

  #isDuplicate({ id, clock }: Report, received: number): boolean {
    if (id === undefined || clock === undefined) return false;
    this.#duplicates ??= new DuplicateReports();
    if (!this.#duplicates.isDuplicate(id, received)) return false;
    this.#counts.duplicateReports++;
    return true;
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
    for (const point of this.#graced) {
      if (!this.#isCovered(point, seq, 0, -never)) point.startGrace(idleMs, time, received);
    }
  }

  /** Returns whether the state of the point includes this place; see `EvaluatedTo`. */
  #isCovered(point: AlarmPoint, seq: number, batch: number, timersMs: number): boolean {
    return seq <= this.#coveredSeq && point.compareTo(seq, batch, timersMs) >= 0;
  }

  #evaluate(time: number, received: number, seq: number, batch: number): void {
    if (batch === 1) for (const point of this.#anyReport) this.#soil(point);
    const dirty = this.#dirty;
    let hasChanged = false;
    for (let index = 0; index < dirty.length; index++) {
      const point = dirty[index]!;
      if (this.#isCovered(point, seq, batch, -never)) continue;
      this.#counts.evaluated++;
      point.evaluate(this.#valueOf, time, received, seq);
      this.#arm(point);
      if (point.hasChanged) hasChanged = true;
    }
    const isUnfinished = this.#unfinished !== undefined && this.#isUnfinished(undefined, seq, batch);
    if (hasChanged || this.#isInhibitionDirty || isUnfinished) {
      this.#inhibit({ seq, batch }, time, received, seq);
      if (isUnfinished) this.#settleAll(received, { seq, batch });
      else this.#settle(received, { seq, batch });
    }
    for (let index = 0; index < dirty.length; index++) dirty[index]!.isDirty = false;
    dirty.length = 0;
  }

  /** Finds out which points are inhibited at this place, for the reason of a report. */
  #inhibit(place: EvaluatedTo, time: number, received: number, reasonSeq: number): void {
    this.#isInhibitionDirty = false;
    const { seq, batch = never, timersMs = -never } = place;
    for (const point of this.#inhibited) {
      if (this.#isCovered(point, seq, batch, timersMs)) continue;
      point.inhibit(this.#isInhibited(point), time, received, reasonSeq);
      this.#arm(point);
    }
  }

  /** `#inhibit` between two reports. The clock of the device goes on as that of ingest. */
  #inhibitAt(place: EvaluatedTo, atMs: number): void {
    const sinceMs = Math.max(0, atMs - this.#received);
    this.#inhibit(place, this.#time + sinceMs, this.#received + sinceMs, this.#seq);
  }

  /** `later`: an inhibiting alarm was already evaluated beyond this report, so that its state is not that of now. */
  #isInhibited(point: AlarmPoint): boolean | undefined {
    const inhibition = point.compiled.inhibition!;
    for (const id of inhibition.alarms) {
      const other = this.#point(id);
      if (other === undefined) continue;
      if (other.conditions.some(({ isActive }) => isActive) && !other.life.isOutOfService) return true;
    }
    return inhibition.holds(this.#valueOf);
  }

  /**
   * Writes the transitions of all points that have changed, in their order, after `first`. The state with a transition
   * has those of the alarms that it inhibits: as they are afterwards, or before, if they have a transition that comes
   * later.
   */
  #settle(atMs: number, place: EvaluatedTo, first?: Change): void {
    const before = new Map<string, PointState>();
    const changes: Change[] = first === undefined ? [] : [first];
    for (const point of this.#points) {
      if (!point.hasChanged) continue;
      const state = point.inhibition === undefined ? undefined : this.#stateAt(point, place);
      const occurrence = point.settle(atMs, this.#slotOf);
      this.#arm(point);
      if (occurrence === undefined) continue;
      if (state !== undefined) before.set(point.id, state);
      changes.push({ point, transition: this.#transition(point, occurrence) });
    }
    for (const { point, transition } of changes) {
      before.delete(point.id);
      this.#write(point, transition, place, before);
    }
  }

  /** `#settle` at the place of the last adopted transition: what was not written of it. */
  #settleAll(atMs: number, evaluatedTo: EvaluatedTo): void {
    this.#unfinished = undefined;
    for (const point of this.#points) point.hasChanged = true;
    this.#settle(atMs, evaluatedTo);
  }

  /** The clock of ingest has reached this time: all reports received before were passed. */
  advance(watermarkMs: number): readonly AlarmOutput[] {
    if (this.#receivedDueMs > watermarkMs) return nothing;
    this.#fireReceived(watermarkMs);
    return this.#taken();
  }

  /**
   * A lower bound of the watermark at which `advance` has something to do; infinite: never. It falls only with a
   * report, an action or new rules. So an entry of a heap may come too early, and is put back; it never comes too late.
   */
  nextDueMs(): number {
    return this.#receivedDueMs;
  }

  #fireReceived(untilMs: number): void {
    for (;;) {
      const isTimer = this.#isUnfinished('received_timer', this.#seq, never);
      const isAction = this.#isUnfinished('action', this.#seq, never);
      let due = never;
      let laterDue = this.#unfinishedDue('received_timer', 'action');
      for (const point of this.#points) {
        const each = point.receivedDue();
        if (this.#isCovered(point, this.#seq, never, this.#placeOf(each))) laterDue = Math.min(laterDue, each);
        else due = Math.min(due, each);
      }
      const { timersMs = 0, atMs = 0 } = this.#unfinished ?? {};
      if (isAction && this.#placeOf(due) > timersMs) {
        this.#finishAction();
        continue;
      }
      const isLast = isTimer && this.#placeOf(due) >= timersMs;
      if (isLast) due = atMs;
      this.#receivedDueMs = Math.min(due, laterDue);
      if (due > untilMs) return;
      this.#fireAt(due, isLast ? timersMs : this.#placeOf(due), isLast);
    }
  }

  /**
   * Returns the time of a timer for `EvaluatedTo`, which rises with each one. A timer may be due before the last one:
   * a new rule finds that its delay has passed long ago.
   */
  #placeOf(due: number): number {
    return due > this.#firedMs ? due : this.#firedMs + placeStepMs;
  }

  #fireAt(atMs: number, timersMs: number, isUnfinished: boolean): void {
    this.#firedMs = timersMs;
    const to: EvaluatedTo = { seq: this.#seq, timersMs, cause: 'received_timer', atMs };
    const open = this.#points.filter((point) => !this.#isCovered(point, this.#seq, never, timersMs));
    for (const point of open) if (point.receivedDue() <= atMs) point.fireReceived(atMs);
    if (isUnfinished || open.some(({ hasChanged }) => hasChanged)) {
      this.#inhibitAt(to, atMs - latenessMs);
      if (isUnfinished) this.#settleAll(atMs, to);
      else this.#settle(atMs, to);
    }
    for (const point of open) {
      if (lifeCycleDueMs(point.life, point.compiled.lifeCycle) > atMs) continue;
      const cause = lifeCycleTimer(point.life, atMs);
      this.#emit(point, { cause, time: atMs, seq: undefined }, to);
    }
  }

  #fireEvents(untilMs: number, received: number, seq: number, batch: number): void {
    const before = batch - 1;
    for (;;) {
      const isUnfinished = this.#isUnfinished('event_timer', seq, before);
      let due = isUnfinished ? (this.#unfinished?.timersMs ?? never) : never;
      let laterDue = this.#unfinishedDue('event_timer');
      for (const point of this.#points) {
        const each = point.eventDue();
        if (this.#isCovered(point, seq, before, each)) laterDue = Math.min(laterDue, each);
        else due = Math.min(due, each);
      }
      this.#eventDueMs = Math.min(due, laterDue);
      if (due > untilMs) return;
      const isLast = isUnfinished && due === this.#unfinished?.timersMs;
      for (const point of this.#points) {
        if (point.eventDue() <= due && !this.#isCovered(point, seq, before, due)) point.fireEvents(due);
      }
      const to: EvaluatedTo = { seq, batch: before, timersMs: due, cause: 'event_timer' };
      this.#inhibit(to, due, received, this.#seq);
      if (isLast) this.#settleAll(received, to);
      else this.#settle(received, to);
    }
  }

  /** Returns whether this place has a transition that was adopted, and possibly others that were not written. */
  #isUnfinished(cause: EvaluatedTo['cause'], seq: number, batch: number): boolean {
    const last = this.#unfinished;
    return last !== undefined && last.cause === cause && last.seq === seq && (last.batch ?? never) === batch;
  }

  #unfinishedDue(...causes: readonly EvaluatedTo['cause'][]): number {
    const last = this.#unfinished;
    return last !== undefined && causes.includes(last.cause) ? (last.timersMs ?? 0) : never;
  }

  /** The former owner may have stopped after the transition of an action, and before those that follow from it. */
  #finishAction(): void {
    const { atMs = 0 } = this.#unfinished!;
    const to: EvaluatedTo = { ...this.#place(), cause: 'action', atMs };
    this.#inhibitAt(to, atMs);
    this.#settleAll(atMs, to);
  }

  /** The place of an action or of new rules: after all timers so far, unless the former owner's are still to come. */
  #place(): EvaluatedTo {
    if (this.#unfinished === undefined) {
      for (const { evaluatedTo } of this.#points) {
        const { seq, batch, timersMs = 0 } = evaluatedTo;
        if (seq === this.#seq && batch === undefined) this.#firedMs = Math.max(this.#firedMs, timersMs);
      }
      this.#firedMs += placeStepMs;
    }
    return { seq: this.#seq, timersMs: this.#firedMs };
  }

  /** Keeps the lower bounds of the next timers. */
  #arm(point: AlarmPoint): void {
    this.#eventDueMs = Math.min(this.#eventDueMs, point.eventDue());
    this.#receivedDueMs = Math.min(this.#receivedDueMs, point.receivedDue());
  }

  #findDue(): void {
    this.#eventDueMs = this.#unfinishedDue('event_timer');
    this.#receivedDueMs = this.#unfinishedDue('received_timer', 'action');
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
    if (this.#unfinished !== undefined) this.#fireReceived(this.#unfinished.atMs ?? 0);
    this.#remember(action.id);
    const point = this.#point(action.rule);
    if (point === undefined) {
      return this.#refuse(
        action,
        'not_found',
        `rule: expected a rule of the device ${this.device}, got ${action.rule}`,
      );
    }
    const alarm = alarmOf(point.id, point.activatedSeq, this.#names);
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
    const to: EvaluatedTo = { ...this.#place(), cause: 'action', atMs: action.time };
    const transition = this.#transition(point, { cause: result, time: action.time, seq: undefined }, action);
    // A rule that is out of service does not inhibit others.
    this.#inhibitAt(to, action.time);
    this.#settle(action.time, to, { point, transition });
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

  /** Writes a transition that is no change of a condition. */
  #emit(point: AlarmPoint, occurrence: Occurrence, place: EvaluatedTo): void {
    this.#write(point, this.#transition(point, occurrence), place, new Map());
  }

  #transition(point: AlarmPoint, occurrence: Occurrence, action?: AlarmAction): AlarmTransition {
    const isFirstOut = occurrence.cause === 'raised' && this.#isFirstOut(point);
    return transitionOf(point, occurrence, { ...this.#names, isFirstOut, action });
  }

  #write(
    point: AlarmPoint,
    transition: AlarmTransition,
    place: EvaluatedTo,
    before: ReadonlyMap<string, PointState>,
  ): void {
    const inhibited = this.#inhibitedBy(point.id).map(
      (other) => [other.id, before.get(other.id) ?? this.#stateAt(other, place)] as const,
    );
    const state = this.#stateAt(point, place);
    this.#output.push({ transition, state: encodePointState(state, Object.fromEntries(inhibited)) });
  }

  /** Returns the points that this alarm inhibits, and those that they inhibit in turn. */
  #inhibitedBy(id: string): readonly AlarmPoint[] {
    const found: AlarmPoint[] = [];
    const search = (inhibiting: string): void => {
      for (const point of this.#inhibited) {
        if (!point.compiled.inhibition!.alarms.includes(inhibiting) || point.id === id || found.includes(point))
          continue;
        found.push(point);
        search(point.id);
      }
    };
    search(id);
    return found;
  }

  /** The state of a point with its place. A point that is ahead of the device stays so. */
  #stateAt(point: AlarmPoint, place: EvaluatedTo): PointState {
    const { seq, batch = never, timersMs = -never } = place;
    return point.state(point.compareTo(seq, batch, timersMs) > 0 ? point.evaluatedTo : place);
  }

  #isFirstOut(point: AlarmPoint): boolean {
    const { group } = point.compiled.rule;
    if (group === undefined) return false;
    return !this.#points.some((other) => other !== point && other.compiled.rule.group === group && other.isStanding);
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
      fired: this.#firedMs,
      numberFloor: this.#numberFloor,
      actions: this.#actions,
      tags,
      points,
      ...(this.#duplicates === undefined ? {} : { ids: this.#duplicates.state() }),
      ...(this.#unfinished === undefined ? {} : { unfinished: this.#unfinished }),
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
