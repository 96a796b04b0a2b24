import type { Report } from '@tailrace/protocol/report';
import { effectiveTimeOf } from '@tailrace/protocol/source-time';
import { type AlarmNames, type AlarmOutput, outputOfRemoval, transitionOf } from './alarm-output.ts';
import { AlarmPoint, type Occurrence } from './alarm-point.ts';
import { DeviceTimers, type NextTimer } from './device-timers.ts';
import type { CompiledRule } from './evaluation/compiled-rule.ts';
import { latenessMs } from './evaluation/delayed-condition.ts';
import { DuplicateReports } from './evaluation/duplicate-reports.ts';
import { EvaluationPlaces } from './evaluation/evaluation-places.ts';
import {
  type DeviceState,
  decodePointState,
  type EvaluatedTo,
  encodePointState,
  type PointState,
} from './evaluation/point-state.ts';
import { TagTable } from './evaluation/tag-table.ts';
import { Inhibitions } from './inhibitions.ts';
import { KnownActions, mismatchOf } from './known-actions.ts';
import { act, lifeCycleDueMs, lifeCycleTimer, stateOf } from './lifecycle/alarm-life-cycle.ts';
import type { AlarmAction, AlarmActionRefused, AlarmTransition } from './lifecycle/alarm-transition.ts';

const never = Number.POSITIVE_INFINITY;

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
  /** Of the topic of events, to which the transitions go. */
  readonly eventsEpoch: string;
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
  /** Those of a stale rule for any report, and of rules with a grace. */
  #anyReport: AlarmPoint[] = [];
  #graced: AlarmPoint[] = [];
  readonly #tags: TagTable<AlarmPoint>;
  readonly #places = new EvaluationPlaces();
  readonly #timers = new DeviceTimers(this.#places);
  #inhibitions: Inhibitions;
  /** Restored states of rules that are not set yet. */
  readonly #restored = new Map<string, PointState>();
  #seq = -1;
  #time = 0;
  #received = 0;
  #numberFloor = 0;
  readonly #actions: KnownActions;
  /** Undefined: the device has sent no report to which it applies. */
  #duplicates: DuplicateReports | undefined;
  #dirty: AlarmPoint[] = [];
  #isInhibitionDirty = false;
  #output: AlarmOutput[] = [];

  constructor({ device, epoch, eventsEpoch, counts, state }: DeviceAlarmsOptions) {
    this.device = device;
    this.#epoch = epoch;
    this.#names = { device, epoch, eventsEpoch };
    this.#counts = counts;
    this.#actions = new KnownActions(state?.actions);
    this.#tags = new TagTable(state?.tags);
    this.#inhibitions = new Inhibitions([], this.#tags.valueOf);
    if (state !== undefined) this.#restore(state);
  }

  #restore(state: DeviceState): void {
    const isSameEpoch = state.epoch === this.#epoch;
    this.#seq = isSameEpoch ? state.seq : -1;
    this.#time = state.time;
    this.#received = state.received;
    this.#places.firedMs = state.fired;
    this.#numberFloor = state.numberFloor;
    if (state.ids !== undefined) this.#duplicates = new DuplicateReports(state.ids);
    if (isSameEpoch) this.#places.unfinished = state.unfinished;
    for (const [rule, { evaluatedTo, ...point }] of Object.entries(state.points)) {
      this.#restored.set(rule, isSameEpoch && evaluatedTo !== undefined ? { ...point, evaluatedTo } : point);
    }
  }

  /** Position of the last report; -1: none. */
  get seq(): number {
    return this.#seq;
  }

  /** Event time of the newest report, epoch ms; 0: none. */
  get time(): number {
    return this.#time;
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
      this.#actions.add(output.refused.action);
      return;
    }
    const { rule, action } = output.transition;
    if (action !== '') this.#actions.add(action);
    const { state, inhibited } = decodePointState(output.state);
    if (state.number <= (this.#restored.get(rule)?.number ?? this.#numberFloor)) return;
    this.#places.adopt(state.evaluatedTo);
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
    const to: EvaluatedTo = { ...this.#places.next(this.#seq, this.#points), cause: 'rules' };
    this.#points.forEach((point, index) => {
      const state = states[index];
      if (state?.version === point.compiled.rule.version) return;
      const wasActive = Object.values(state?.conditions ?? {}).some(([active]) => active === 1);
      // The last values of a point that is ahead of the device are not known yet: its next report counts.
      if (point.evaluatedSeq <= this.#seq) point.evaluateNewVersion(this.#tags.valueOf, this.#lastOf(point));
      const occurrence = point.settleNewVersion(atMs, wasActive);
      if (occurrence !== undefined) this.#emit(point, occurrence, to);
      point.hasChanged = true;
    });
    this.#inhibitAt(to, atMs);
    this.#settle(atMs, to);
    this.#timers.findDue();
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
    this.#tags.setReaders(
      this.#points.map((point) => {
        const { kind, inhibition, rule } = point.compiled;
        return { reader: point, condition: kind.tags, inhibition: inhibition?.tags ?? [], context: rule.context };
      }),
    );
    this.#inhibitions = new Inhibitions(this.#points, this.#tags.valueOf);
    this.#graced = this.#points.filter(({ compiled }) => compiled.rule.grace !== undefined);
    this.#anyReport = this.#points.filter(
      ({ compiled: { kind } }) => kind.staleAfterMs !== undefined && kind.tags.length === 0,
    );
    this.#places.setRules(this.#points);
    this.#timers.setPoints(this.#points);
  }

  /**
   * Evaluates a report with its position in the telemetry topic. One with an earlier position than the last one is
   * ignored. Historical readings were taken some time ago, and are not evaluated. Readings that are older than the last
   * value of their tag are late, and are not evaluated. Nor is a report that was sent again; see `DuplicateReports`.
   */
  report(report: Report, seq: number): readonly AlarmOutput[] {
    if (seq <= this.#seq) return nothing;
    const { received = report.time, readings } = report;
    if (this.#timers.receivedDueMs <= received) this.#fireReceived(received);
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
      if (this.#timers.eventDueMs <= time) this.#fireEvents(time, received, seq, 1);
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
      if (this.#timers.eventDueMs <= time) this.#fireEvents(time, received, seq, batch);
      for (; index < timed.length && timed[index]!.time === time; index++)
        this.#take(timed[index]!.reading, time, received, seq);
      this.#evaluate(time, received, seq, batch);
    }
  }

  #take(reading: Report['readings'][number], time: number, received: number, seq: number): void {
    const slot = this.#tags.slotOf(reading.tag);
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
      if (!this.#places.isCovered(point, seq, 0, -never)) point.startGrace(idleMs, time, received);
    }
  }

  #evaluate(time: number, received: number, seq: number, batch: number): void {
    if (batch === 1) for (const point of this.#anyReport) this.#soil(point);
    const dirty = this.#dirty;
    let hasChanged = false;
    for (let index = 0; index < dirty.length; index++) {
      const point = dirty[index]!;
      if (this.#places.isCovered(point, seq, batch, -never)) continue;
      this.#counts.evaluated++;
      point.evaluate(this.#tags.valueOf, time, received, seq);
      this.#timers.arm(point);
      if (point.hasChanged) hasChanged = true;
    }
    const isUnfinished = this.#places.isUnfinished(undefined, seq, batch);
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
    for (const point of this.#inhibitions.inhibited) {
      if (this.#places.isCovered(point, seq, batch, timersMs)) continue;
      point.inhibit(this.#inhibitions.isInhibited(point), time, received, reasonSeq);
      this.#timers.arm(point);
    }
  }

  /** `#inhibit` between two reports. The clock of the device goes on as that of ingest. */
  #inhibitAt(place: EvaluatedTo, atMs: number): void {
    const sinceMs = Math.max(0, atMs - this.#received);
    this.#inhibit(place, this.#time + sinceMs, this.#received + sinceMs, this.#seq);
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
      const occurrence = point.settle(atMs, this.#tags.slotOf);
      this.#timers.arm(point);
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
    this.#places.unfinished = undefined;
    for (const point of this.#points) point.hasChanged = true;
    this.#settle(atMs, evaluatedTo);
  }

  /** The clock of ingest has reached this time: all reports received before were passed. */
  advance(watermarkMs: number): readonly AlarmOutput[] {
    if (this.#timers.receivedDueMs > watermarkMs) return nothing;
    this.#fireReceived(watermarkMs);
    return this.#taken();
  }

  /**
   * A lower bound of the watermark at which `advance` has something to do; infinite: never. It falls only with a
   * report, an action or new rules. So an entry of a heap may come too early, and is put back; it never comes too late.
   */
  nextDueMs(): number {
    return this.#timers.receivedDueMs;
  }

  #fireReceived(untilMs: number): void {
    for (;;) {
      const next = this.#timers.nextReceived(this.#seq);
      if (next === 'unfinished_action') {
        this.#finishAction();
        continue;
      }
      if (next.dueMs > untilMs) return;
      this.#fireAt(next);
    }
  }

  #fireAt({ dueMs: atMs, timersMs, isUnfinished }: NextTimer): void {
    this.#places.firedMs = timersMs;
    const to: EvaluatedTo = { seq: this.#seq, timersMs, cause: 'received_timer', atMs };
    const open = this.#points.filter((point) => !this.#places.isCovered(point, this.#seq, never, timersMs));
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
      const { dueMs, isUnfinished } = this.#timers.nextEvent(seq, before);
      if (dueMs > untilMs) return;
      for (const point of this.#points) {
        if (point.eventDue() <= dueMs && !this.#places.isCovered(point, seq, before, dueMs)) point.fireEvents(dueMs);
      }
      const to: EvaluatedTo = { seq, batch: before, timersMs: dueMs, cause: 'event_timer' };
      this.#inhibit(to, dueMs, received, this.#seq);
      if (isUnfinished) this.#settleAll(received, to);
      else this.#settle(received, to);
    }
  }

  /** The former owner may have stopped after the transition of an action, and before those that follow from it. */
  #finishAction(): void {
    const { atMs = 0 } = this.#places.unfinished!;
    const to: EvaluatedTo = { ...this.#places.next(this.#seq, this.#points), cause: 'action', atMs };
    this.#inhibitAt(to, atMs);
    this.#settleAll(atMs, to);
  }

  /**
   * Reports that were received before this time, by the clock of ingest, may be missing: the log or ingest was away. No
   * device is stale for lack of them; its time without reports counts from here.
   */
  excuse(untilMs: number): void {
    for (const point of this.#points) point.excuse(untilMs);
    this.#timers.findDue();
  }

  /** Applies what a person does: the result is one transition or one refusal. Nothing if it was applied before. */
  action(action: AlarmAction): readonly AlarmOutput[] {
    if (this.#actions.has(action.id)) return nothing;
    const { unfinished } = this.#places;
    if (unfinished !== undefined) this.#fireReceived(unfinished.atMs ?? 0);
    this.#actions.add(action.id);
    const point = this.#point(action.rule);
    if (point === undefined) {
      const message = `rule: expected a rule of the device ${this.device}, got ${action.rule}`;
      return this.#refuse(action, { code: 'not_found', message });
    }
    const mismatch = mismatchOf(action, point, this.#names);
    if (mismatch !== undefined) return this.#refuse(action, mismatch);
    const result = act(point.life, point.compiled.lifeCycle, action);
    if (typeof result !== 'string') return this.#refuse(action, result);
    const to: EvaluatedTo = { ...this.#places.next(this.#seq, this.#points), cause: 'action', atMs: action.time };
    const transition = this.#transition(point, { cause: result, time: action.time, seq: undefined }, action);
    // A rule that is out of service does not inhibit others.
    this.#inhibitAt(to, action.time);
    this.#settle(action.time, to, { point, transition });
    this.#timers.arm(point);
    return this.#taken();
  }

  #refuse(
    { id, rule }: AlarmAction,
    { code, message }: Pick<AlarmActionRefused, 'code' | 'message'>,
  ): readonly AlarmOutput[] {
    this.#output.push({ refused: { action: id, device: this.device, rule, code, message } });
    return this.#taken();
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
    const inhibited = this.#inhibitions
      .inhibitedBy(point.id)
      .map((other) => [other.id, before.get(other.id) ?? this.#stateAt(other, place)] as const);
    const state = this.#stateAt(point, place);
    this.#output.push({ transition, state: encodePointState(state, Object.fromEntries(inhibited)) });
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
    const points: Record<string, PointState> = Object.fromEntries(this.#restored);
    for (const point of this.#points) points[point.id] = point.state(this.#evaluatedTo(point));
    const { unfinished } = this.#places;
    return {
      epoch: this.#epoch,
      seq: this.#seq,
      time: this.#time,
      received: this.#received,
      fired: this.#places.firedMs,
      numberFloor: this.#numberFloor,
      actions: this.#actions.state(),
      tags: this.#tags.state(),
      points,
      ...(this.#duplicates === undefined ? {} : { ids: this.#duplicates.state() }),
      ...(unfinished === undefined ? {} : { unfinished }),
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

  #lastOf(point: AlarmPoint): { time: number; received: number; seq: number } {
    const { tags } = point.compiled.kind;
    if (tags.length > 0) return this.#tags.newestOf(tags);
    return { time: this.#time, received: this.#received, seq: this.#seq };
  }
}
