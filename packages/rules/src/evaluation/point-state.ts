import type { LifeCycleState } from '../lifecycle/alarm-life-cycle.ts';
import type { AlarmReading } from '../lifecycle/alarm-transition.ts';
import type { TagValue } from '../rule-condition.ts';
import type { DelayedConditionState } from './delayed-condition.ts';
import type { DuplicateReportsState } from './duplicate-reports.ts';
import type { SignalsState } from './rule-signals.ts';
import type { TagSlotState } from './tag-table.ts';

/** What a transition shows of the condition, as of its last change. */
export interface Evidence {
  readonly limit: string;
  readonly priority: number;
  readonly tag: string;
  readonly value?: TagValue;
  readonly limitValue?: number;
  readonly context: readonly AlarmReading[];
  readonly message: string;
}

/**
 * What had been evaluated when a transition was written, in this order: reports by position; in a report, the timers by
 * event time before each of its times, then the readings of that time; after a report, the timers by the clock of
 * ingest.
 */
export interface EvaluatedTo {
  /** Position of the report. */
  readonly seq: number;
  /** Index of the time in the report, from 1; absent: the whole report. */
  readonly batch?: number;
  /** After that, timers up to this time; absent: none. */
  readonly timersMs?: number;
  /**
   * The transition is of such a timer, or of an action. Others that follow from it may not be written. Absent: it is of
   * the readings.
   */
  readonly cause?: 'event_timer' | 'received_timer' | 'action' | 'rules';
  /** Time of the action, or of the timer by the clock of ingest. */
  readonly atMs?: number;
}

/** The whole state of a rule at a device, as plain data that survives JSON. Absent fields have their initial value. */
export interface PointState {
  /** Of the rule. */
  readonly version: number;
  /** Of the last transition. */
  readonly number: number;
  /** By limit; those that are neither active nor pending are absent. */
  readonly conditions?: Readonly<Record<string, DelayedConditionState>>;
  readonly inhibition?: DelayedConditionState;
  /** The limit that the life cycle knows as active; absent: none. The conditions may have changed since. */
  readonly activeLimit?: string;
  readonly life?: LifeCycleState;
  /** Event time and position of the last activation. */
  readonly activated?: readonly [time: number, seq: number];
  readonly evidence?: Evidence;
  /** Nothing is raised before: event time, and time by the clock of ingest. */
  readonly grace?: readonly [time: number, received: number];
  /** Of a stale rule: the last report, and whether it is stale. */
  readonly seen?: readonly [time: number, received: number, seq: number, isStale: 0 | 1];
  readonly signals?: SignalsState;
  /** The rule has been removed from the device: only `number` counts. */
  readonly isRemoved?: true;
  /** Reports up to here are evaluated, although the device's state is older. */
  readonly evaluatedTo?: EvaluatedTo;
}

/** The whole state of a device, as plain data that survives JSON. */
export interface DeviceState {
  /** Of the telemetry topic; positions of another epoch mean nothing. */
  readonly epoch: string;
  /** Position of the last report; -1: none. */
  readonly seq: number;
  /** Event time of the last report, and its time by the clock of ingest. */
  readonly time: number;
  readonly received: number;
  /** Of the last timer by the clock of ingest. */
  readonly fired: number;
  /** No transition of a rule that is new to the device has a number up to this one. */
  readonly numberFloor: number;
  /** IDs of the last actions that were applied or refused, oldest first. */
  readonly actions: readonly string[];
  /** Message IDs of reports that would be evaluated again. */
  readonly ids?: DuplicateReportsState;
  readonly tags: Readonly<Record<string, TagSlotState>>;
  /** By rule. */
  readonly points: Readonly<Record<string, PointState>>;
  /** Of the last transition that was adopted, while the reports up to it are evaluated again. */
  readonly unfinished?: EvaluatedTo;
}

/** Encodes the state of a device for the topic of checkpoints. */
export function encodeDeviceState(state: DeviceState): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(state));
}

/** Decodes what `encodeDeviceState` has written. */
export function decodeDeviceState(bytes: Uint8Array): DeviceState {
  return JSON.parse(new TextDecoder().decode(bytes)) as DeviceState;
}

interface EncodedPointState {
  readonly state: PointState;
  readonly inhibited: Readonly<Record<string, PointState>>;
}

/**
 * Encodes the state of a rule at a device, which accompanies its transition. With the states of the rules that its
 * alarm inhibits, by rule: they may have changed without a transition of their own.
 */
export function encodePointState(state: PointState, inhibited: EncodedPointState['inhibited']): Uint8Array {
  const encoded: EncodedPointState = { state, inhibited };
  return new TextEncoder().encode(JSON.stringify(encoded));
}

export function decodePointState(bytes: Uint8Array): EncodedPointState {
  return JSON.parse(new TextDecoder().decode(bytes)) as EncodedPointState;
}
