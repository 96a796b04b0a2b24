import { patternMatches } from '@tailrace/protocol/pattern';
import { ruleId } from '@tailrace/rules/rule';
import { z } from 'zod';
import { type AlarmNotice, lowestPriority } from '../notifications/alarm-notice.ts';
import { idSchema, labelSchema, noteSchema, patternSchema } from '../registry/fields.ts';
import { sceneValuesSchema } from '../scenes/scene.ts';

/*
 * A trigger runs a scene when an alarm is raised. It is an object of its own, and not a field of the rule: its author
 * needs other rights than the author of the rule, several rules share one scene, and rules are evaluated where nothing
 * is known of scenes. Automations of Home Assistant and alarm pipelines of Ignition are separated from the sensor and
 * the alarm, too; of the former's modes this has `single`. This file decides; it starts nothing.
 */

export const triggerLimits = {
  /** Of an installation: all of them are compared with each raised alarm. */
  triggersMax: 200,
  /** Control reads an alarm a second or two after it was raised; with less time it would start nothing. */
  catchUpMsMin: 5_000,
  catchUpMsMax: 3_600_000,
  /** Bounds how often a scene runs that raises its own alarm. */
  cooldownMsMin: 1_000,
  cooldownMsMax: 86_400_000,
} as const;

export const triggerSchema = z.strictObject({
  name: labelSchema.describe('For people.'),
  scene: idSchema.describe('ID of the scene to run.'),
  params: sceneValuesSchema.default({}).describe('Values for the parameters of the scene.'),
  devices: z.array(patternSchema).min(1).max(100).describe('Devices whose alarms run the scene.'),
  rules: z.array(ruleId).max(100).default([]).describe('IDs of the rules; empty: all rules.'),
  priorityMax: z.int().min(1).max(5).default(5).describe('Alarms of this priority and higher ones; 1 is the highest.'),
  catchUpMs: z
    .int()
    .min(triggerLimits.catchUpMsMin)
    .max(triggerLimits.catchUpMsMax)
    .default(30_000)
    .describe('How long after the alarm a run may start, ms. After an outage, older alarms start none.'),
  cooldownMs: z
    .int()
    .min(triggerLimits.cooldownMsMin)
    .max(triggerLimits.cooldownMsMax)
    .default(60_000)
    .describe('After the start of a run, further alarms start none for this time, ms.'),
  paused: z.boolean().default(false).describe('No runs start, and none is caught up later.'),
  note: noteSchema.default(''),
});

export type TriggerFields = z.output<typeof triggerSchema>;

/** An alarm that was raised. */
export interface RaisedAlarm {
  readonly notice: AlarmNotice;
  /** When alarms has appended it to the log, epoch ms. */
  readonly appendedMs: number;
}

export const skipReasons = ['late', 'cooldown', 'active', 'limit'] as const;

/** Why an alarm starts no run: too old, soon after a run, while its trigger has an active run, at the limit of runs. */
export type SkipReason = (typeof skipReasons)[number];

export interface TriggerState {
  readonly fields: Pick<TriggerFields, 'catchUpMs' | 'cooldownMs'>;
  /** When the last run was started, epoch ms; undefined: none was. */
  readonly startedMs?: number | undefined;
  readonly hasActiveRun: boolean;
}

/** Returns whether a transition raises an alarm of the trigger. */
export function isTriggeredBy(
  { devices, rules, priorityMax }: Pick<TriggerFields, 'devices' | 'rules' | 'priorityMax'>,
  { device, rule, cause, priority = lowestPriority }: AlarmNotice,
): boolean {
  if (cause !== 'raised' || priority > priorityMax) return false;
  if (rules.length > 0 && !rules.includes(rule)) return false;
  return devices.some((pattern) => patternMatches(pattern, device));
}

/**
 * Returns what an alarm starts: `run`, or why not. Its age counts by the clock of its device and by that of alarms,
 * whichever is older, so that a device whose clock is ahead starts no late run.
 */
export function decideTrigger(
  { fields, startedMs, hasActiveRun }: TriggerState,
  { notice, appendedMs }: RaisedAlarm,
  nowMs: number,
): 'run' | Exclude<SkipReason, 'limit'> {
  if (nowMs - Math.min(notice.time, appendedMs) > fields.catchUpMs) return 'late';
  if (hasActiveRun) return 'active';
  return startedMs !== undefined && nowMs - startedMs < fields.cooldownMs ? 'cooldown' : 'run';
}
