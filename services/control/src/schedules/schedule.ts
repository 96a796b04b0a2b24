import { createHash } from 'node:crypto';
import { z } from 'zod';
import { idSchema, labelSchema, noteSchema } from '../registry/fields.ts';
import { sceneValuesSchema } from '../scenes/scene.ts';
import type { CronTimes } from './cron.ts';

/*
 * A schedule runs a scene at the times of a cron expression. This file decides what to start at a time; it starts
 * nothing.
 *
 * Overlap policies and the catch-up window are those of Temporal's schedules, and the latter also of
 * `startingDeadlineSeconds` of a Kubernetes CronJob. Of the times that passed while no process ran, only the newest is
 * started, as by `Persistent=` of a systemd timer: a scene sets states, and an older one would only set what the newer
 * one replaces.
 */

export const scheduleLimits = {
  /** Of an installation. */
  schedulesMax: 1_000,
  jitterMsMax: 3_600_000,
  /** Below it, the start would depend on how busy the process is. */
  catchUpMsMin: 10_000,
  catchUpMsMax: 86_400_000,
  /** Runs of a schedule with the policy `parallel` at once. */
  parallelRunsMax: 10,
  /** Times that are shown in advance. */
  shownTimes: 5,
} as const;

export const overlapPolicies = ['skip', 'queue', 'parallel', 'replace'] as const;

export const scheduleSchema = z.strictObject({
  name: labelSchema.describe('For people.'),
  scene: idSchema.describe('ID of the scene to run.'),
  params: sceneValuesSchema.default({}).describe('Values for the parameters of the scene.'),
  cron: z
    .string()
    .min(1)
    .describe(
      'Minute, hour, day of the month, month and day of the week, such as `0 22 * * MON-FRI`; optionally after seconds.',
    ),
  timeZone: z.string().min(1).describe('A name of the IANA database, such as `Europe/Berlin`.'),
  overlap: z
    .enum(overlapPolicies)
    .default('skip')
    .describe(
      'If the run before is active: `skip` the new run, `queue` it (one at most), run both in `parallel`, or `replace` the former run, which is canceled.',
    ),
  catchUpMs: z
    .int()
    .min(scheduleLimits.catchUpMsMin)
    .max(scheduleLimits.catchUpMsMax)
    .default(60_000)
    .describe('How late a run may start, ms. A later one is skipped.'),
  jitterMs: z
    .int()
    .min(0)
    .max(scheduleLimits.jitterMsMax)
    .default(0)
    .describe('Each run is delayed by a part of this time, ms, which is always the same one for the same run.'),
  paused: z.boolean().default(false).describe('No runs start. Those of this time are not caught up.'),
  note: noteSchema.default(''),
});

export type ScheduleFields = z.output<typeof scheduleSchema>;
export type OverlapPolicy = (typeof overlapPolicies)[number];

/** One run of a schedule. */
export interface ScheduledRun {
  /** The time that the expression names, epoch ms. It identifies the run. */
  readonly timeMs: number;
  /** When it starts, with its jitter, epoch ms. Before the time of the next run. */
  readonly dueMs: number;
}

/** Runs of a schedule that are not started. */
export interface SkippedRuns {
  /** Of the first and the last of them, epoch ms. */
  readonly firstMs: number;
  readonly lastMs: number;
  /** `late`: outside the catch-up window, or before a newer one within it. `overlap`: by the policy. */
  readonly reason: 'late' | 'overlap';
}

export interface DueSchedule {
  readonly id: string;
  readonly overlap: OverlapPolicy;
  readonly catchUpMs: number;
  readonly jitterMs: number;
  readonly times: CronTimes;
  /** The run that is started next. */
  readonly next: ScheduledRun;
  /** Active runs. */
  readonly active: number;
  /** The time of the run that waits for the active one, epoch ms. */
  readonly queuedMs?: number | undefined;
}

export interface DueDecision {
  readonly start?: ScheduledRun;
  /** Waits until no run is active. */
  readonly queue?: ScheduledRun;
  /** Whether the active runs are canceled first. */
  readonly cancelsActive: boolean;
  readonly skipped: readonly SkippedRuns[];
  /** Undefined: the expression has no more times. */
  readonly next: ScheduledRun | undefined;
}

/** Returns the first run with a time after `afterMs`; undefined: there is none. */
export function runAfter(
  schedule: Pick<DueSchedule, 'id' | 'jitterMs' | 'times'>,
  afterMs: number,
): ScheduledRun | undefined {
  const timeMs = schedule.times.after(afterMs);
  return timeMs === undefined ? undefined : withJitter(schedule, timeMs);
}

/** Returns what to do at `nowMs` about a schedule whose next run is due, or undefined if it is not. */
export function decideDue(schedule: DueSchedule, nowMs: number): DueDecision | undefined {
  const { next, catchUpMs, times } = schedule;
  if (next.dueMs > nowMs) return undefined;
  const newest = newestDue(schedule, nowMs);
  const skipped: SkippedRuns[] = [];
  const following = runAfter(schedule, newest.timeMs);
  const isLate = nowMs - newest.dueMs > catchUpMs;
  if (isLate || newest.timeMs > next.timeMs) {
    const lastMs = isLate ? newest.timeMs : times.last(newest.timeMs - 1)!;
    skipped.push({ firstMs: next.timeMs, lastMs, reason: 'late' });
  }
  const decision = { cancelsActive: false, skipped, next: following };
  if (isLate) return decision;
  return { ...decision, ...overlapped(schedule, newest, skipped) };
}

function overlapped(
  schedule: DueSchedule,
  run: ScheduledRun,
  skipped: SkippedRuns[],
): Pick<DueDecision, 'start' | 'queue'> & { cancelsActive?: boolean } {
  const { active, overlap, queuedMs } = schedule;
  if (active === 0 && queuedMs === undefined) return { start: run };
  const skip = (timeMs: number) => skipped.push({ firstMs: timeMs, lastMs: timeMs, reason: 'overlap' });
  switch (overlap) {
    case 'parallel':
      if (active < scheduleLimits.parallelRunsMax) return { start: run };
      break;
    case 'replace':
      return { start: run, cancelsActive: true };
    case 'queue':
      // The newest one waits.
      if (queuedMs !== undefined) skip(queuedMs);
      return { queue: run };
    case 'skip':
      break;
  }
  skip(run.timeMs);
  return {};
}

/** Returns the newest run that is due. The next run of the schedule is, so there is one. */
function newestDue(schedule: DueSchedule, nowMs: number): ScheduledRun {
  const { next, times } = schedule;
  const lastMs = times.last(nowMs) ?? next.timeMs;
  const last = withJitter(schedule, Math.max(lastMs, next.timeMs));
  if (last.dueMs <= nowMs) return last;
  // A run is due before the time of the one after it.
  const before = times.last(last.timeMs - 1) ?? next.timeMs;
  return before <= next.timeMs ? next : withJitter(schedule, before);
}

/** The jitter follows from schedule and time, so that each process computes the same one. */
function withJitter({ id, jitterMs, times }: Pick<DueSchedule, 'id' | 'jitterMs' | 'times'>, timeMs: number) {
  if (jitterMs === 0) return { timeMs, dueMs: timeMs };
  const share = createHash('sha256').update(`${id}/${timeMs}`).digest().readUInt32BE() / 2 ** 32;
  const followingMs = times.after(timeMs) ?? Number.POSITIVE_INFINITY;
  return { timeMs, dueMs: timeMs + Math.floor(share * Math.min(jitterMs, followingMs - timeMs)) };
}
