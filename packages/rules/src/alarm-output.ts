import type { AlarmPoint, Occurrence } from './alarm-point.ts';
import { encodePointState, type PointState } from './evaluation/point-state.ts';
import { alarmId, transitionId } from './lifecycle/alarm-identity.ts';
import { initialLifeCycle, stateOf } from './lifecycle/alarm-life-cycle.ts';
import type { AlarmAction, AlarmActionRefused, AlarmTransition } from './lifecycle/alarm-transition.ts';

/** What is to be written, in this order. */
export type AlarmOutput =
  | {
      readonly transition: AlarmTransition;
      /** State of the rule at the device after the transition, for `DeviceAlarms.adopt`. */
      readonly state: Uint8Array;
    }
  | { readonly refused: AlarmActionRefused };

/** What is the same for all transitions of a device. */
export interface AlarmNames {
  readonly device: string;
  /** Of the telemetry topic. */
  readonly epoch: string;
  /** Of the topic of events. */
  readonly eventsEpoch: string;
}

/** Returns the ID of the activation by the report at this position; empty: there was none. */
export function alarmOf(
  rule: string,
  activatedSeq: number,
  { device, epoch }: Pick<AlarmNames, 'device' | 'epoch'>,
): string {
  return activatedSeq < 0 ? '' : alarmId(rule, device, epoch, activatedSeq);
}

export interface TransitionContext extends AlarmNames {
  readonly isFirstOut: boolean;
  readonly action: AlarmAction | undefined;
}

/** Returns the next transition of the rule at the device, and counts it. */
export function transitionOf(
  point: AlarmPoint,
  { cause, time, seq }: Occurrence,
  context: TransitionContext,
): AlarmTransition {
  const { rule } = point.compiled;
  const { device, epoch, eventsEpoch, isFirstOut, action } = context;
  point.number++;
  const state = stateOf(point.life);
  const transition: AlarmTransition = {
    id: transitionId(point.id, device, eventsEpoch, point.number),
    alarm: alarmOf(point.id, point.activatedSeq, context),
    rule: point.id,
    ruleVersion: rule.version,
    device,
    number: point.number,
    state,
    previous: point.shown,
    cause,
    alarmClass: rule.class?.name ?? '',
    time,
    activated: point.activatedTime,
    epoch,
    ...(seq === undefined || seq < 0 ? {} : { seq }),
    ...(point.evidence ?? noEvidence),
    priority: point.priority,
    ...(state === 'shelved' ? { until: point.life.shelvedUntil } : {}),
    by: action?.by ?? '',
    note: action?.note ?? '',
    firstOut: isFirstOut,
    action: action?.id ?? '',
  };
  point.shown = state;
  return transition;
}

const noEvidence = { limit: '', priority: 3, tag: '', context: [], message: '' };

/** Returns the last transition of a rule that was removed from the device; undefined: its alarm is normal. */
export function outputOfRemoval(
  rule: string,
  { life = initialLifeCycle(), version, number, evidence, activated: [activated, seq] = [0, -1] }: PointState,
  { device, epoch, eventsEpoch }: AlarmNames,
  atMs: number,
): AlarmOutput | undefined {
  const previous = stateOf(life);
  if (previous === 'normal') return undefined;
  const next = number + 1;
  const transition: AlarmTransition = {
    ...{ device, epoch },
    id: transitionId(rule, device, eventsEpoch, next),
    alarm: alarmOf(rule, seq, { device, epoch }),
    rule,
    ruleVersion: version,
    number: next,
    state: 'normal',
    previous,
    cause: 'rule_changed',
    alarmClass: '',
    time: atMs,
    activated,
    ...(evidence ?? noEvidence),
    by: '',
    note: '',
    firstOut: false,
    action: '',
  };
  return { transition, state: encodePointState({ version, number: next, isRemoved: true }, {}) };
}
