import type { Listening, Transaction } from '@tailrace/database/database';
import type { Timer } from '@tailrace/platform/clock';
import { type TailraceError, tailraceErrorFrom } from '@tailrace/protocol/error';
import { controlItself } from '../audit/audit-entry.ts';
import { act, type ControlContext } from '../control-context.ts';
import type { Act } from '../journal.ts';
import { activeRunsOf, insertRuns, lockRun, type NewRun } from '../scenes/scene-store.ts';
import { assertRunsBelowLimit, cancelStoredRun, newRunId, sceneAct } from '../scenes/scenes.ts';
import { CronTimes } from './cron.ts';
import { type DueDecision, decideDue, type SkippedRuns, scheduleLimits } from './schedule.ts';
import {
  lockDueSchedules,
  nextDueMs,
  type ScheduleProgress,
  type StoredSchedule,
  scheduleChannel,
  storeDecisions,
} from './schedule-store.ts';
import { scheduleAct } from './schedules.ts';

export interface ScheduleRunnerOptions {
  readonly context: ControlContext;
  /** Called with how late a run has started, ms. */
  readonly onStarted?: (lateMs: number) => void;
  /** Called with the reason why runs were skipped. */
  readonly onSkipped?: (reason: SkippedRuns['reason']) => void;
}

/** At most between two polls, ms: a notification may be lost, and a queued run waits for the end of another one. */
const pollMs = 1_000;
/** Schedules of one transaction: its locks are held for some milliseconds. */
const batchMax = 64;

/**
 * Starts the runs of schedules at their times. Any process may start any run: a schedule is decided on under a lock of
 * its row, in the transaction that inserts the run, and the store refuses a second run of a scheduled time.
 */
export class ScheduleRunner {
  readonly #options: ScheduleRunnerOptions;
  /** By time zone and expression. */
  readonly #times = new Map<string, CronTimes>();
  #listening: Listening | undefined;
  #timer: Timer | undefined;
  #pass: Promise<void> | undefined;
  #isDue = false;
  #isStopped = false;

  constructor(options: ScheduleRunnerOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    const listener = { onNotification: () => this.#wake(), onReconnect: () => this.#wake() };
    this.#listening = await this.#options.context.database.listen(scheduleChannel, listener);
    this.#wake();
  }

  /** Starts no more runs, and waits for the pass in progress. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#timer?.cancel();
    await this.#listening?.stop();
    await this.#pass;
  }

  #wake(): void {
    if (this.#isStopped) return;
    if (this.#pass !== undefined) {
      this.#isDue = true;
      return;
    }
    this.#timer?.cancel();
    this.#pass = this.#run().then((waitMs) => {
      this.#pass = undefined;
      if (this.#isDue) {
        this.#isDue = false;
        this.#wake();
      } else if (!this.#isStopped) this.#timer = this.#options.context.clock.after(waitMs, () => this.#wake());
    });
  }

  /** Resolves with the time until the next pass, ms. Never rejects. */
  async #run(): Promise<number> {
    const { database, clock, logger } = this.#options.context;
    try {
      while (!this.#isStopped && (await this.#startBatch()) === batchMax);
      const nextMs = await nextDueMs(database);
      return Math.max(0, Math.min(pollMs, Math.ceil(nextMs - clock.now())));
    } catch (error) {
      const level = tailraceErrorFrom(error).retryable ? 'debug' : 'error';
      logger[level]({ error }, 'runs of schedules cannot start, retrying');
      return pollMs;
    }
  }

  /** Decides on schedules that are due and that no other process has. Resolves with their number. */
  async #startBatch(): Promise<number> {
    const { context, onStarted, onSkipped } = this.#options;
    let late: number[] = [];
    let skipped: SkippedRuns[] = [];
    const count = await act(context, async (transaction) => {
      late = [];
      skipped = [];
      const nowMs = context.clock.now();
      const schedules = await lockDueSchedules(transaction, nowMs, batchMax);
      if (schedules.length === 0) return { result: 0, acts: [] };
      const ids = schedules.map(({ id }) => id);
      const active = await activeRunsOf(transaction, ids);
      await assertRunsBelowLimit(transaction);
      const decided: Decided[] = [];
      for (const schedule of schedules) {
        const activeRuns = active.get(schedule.id) ?? [];
        const decision = this.#decisionOf(schedule, activeRuns.length, nowMs);
        if (decision === undefined) continue;
        decided.push({ schedule, decision, activeRuns });
        if ('error' in decision) continue;
        if (decision.start !== undefined) late.push(nowMs - decision.start.dueMs);
        skipped.push(...decision.skipped);
      }
      const acts = await applied(transaction, decided, nowMs);
      return { result: schedules.length, acts };
    });
    for (const lateMs of late) onStarted?.(lateMs);
    for (const { reason } of skipped) onSkipped?.(reason);
    return count;
  }

  /** Returns what to do about a schedule; undefined: nothing. */
  #decisionOf(schedule: StoredSchedule, active: number, nowMs: number): DueDecision | InvalidSchedule | undefined {
    const { id, overlap, catchUpMs, jitterMs, next, queuedMs } = schedule;
    if (next !== undefined && next.dueMs <= nowMs) {
      let times: CronTimes;
      try {
        times = this.#timesOf(schedule, nowMs);
      } catch (error) {
        return { error: tailraceErrorFrom(error) };
      }
      const decision = decideDue({ id, overlap, catchUpMs, jitterMs, times, next, active, queuedMs }, nowMs);
      // The queued run has waited until the next one is due: it is that one which starts.
      if (decision?.queue === undefined || active > 0) return decision;
      const { queue, ...rest } = decision;
      return { ...rest, start: queue };
    }
    if (queuedMs === undefined || active > 0) return undefined;
    return { start: { timeMs: queuedMs, dueMs: queuedMs }, cancelsActive: false, skipped: [], next };
  }

  /** Parsing takes a millisecond, and more for a time zone that is new: too long for each run of many schedules. */
  #timesOf({ cron, timeZone }: StoredSchedule, nowMs: number): CronTimes {
    const key = `${timeZone} ${cron}`;
    const known = this.#times.get(key);
    if (known !== undefined) return known;
    if (this.#times.size >= scheduleLimits.schedulesMax) this.#times.clear();
    const times = new CronTimes(cron, timeZone, nowMs);
    this.#times.set(key, times);
    return times;
  }
}

/** Its expression is invalid now: the time zone was removed from the database of this program. */
interface InvalidSchedule {
  readonly error: TailraceError;
}

interface Decided {
  readonly schedule: StoredSchedule;
  readonly decision: DueDecision | InvalidSchedule;
  /** IDs of the active runs. */
  readonly activeRuns: readonly string[];
}

/** Writes decisions: all runs in one statement, so that many schedules of one instant start together. */
async function applied(transaction: Transaction, decided: readonly Decided[], nowMs: number): Promise<readonly Act[]> {
  const acts: Act[] = [];
  const runs: ScheduledStart[] = [];
  const progress: ScheduleProgress[] = [];
  for (const { schedule, decision, activeRuns } of decided) {
    const { id } = schedule;
    if ('error' in decision) {
      progress.push({ id, next: undefined, queuedMs: undefined, skipped: schedule.skipped });
      const { code, message } = decision.error;
      acts.push(scheduleAct(controlItself, nowMs, 'schedule.stopped', id, { code, message }));
      continue;
    }
    for (const each of decision.skipped)
      acts.push(scheduleAct(controlItself, nowMs, 'schedule.skipped', id, { ...each }));
    if (decision.cancelsActive)
      for (const run of activeRuns) acts.push(...(await cancelRun(transaction, run, schedule, nowMs)));
    if (decision.start !== undefined) runs.push({ run: newRunId(), schedule, timeMs: decision.start.timeMs });
    progress.push({
      ...{ id, next: decision.next, queuedMs: decision.queue?.timeMs },
      skipped: [...decision.skipped, ...schedule.skipped],
    });
  }
  acts.push(...(await insertScheduled(transaction, runs, nowMs)));
  await storeDecisions(transaction, progress);
  return acts;
}

interface ScheduledStart {
  readonly run: string;
  readonly schedule: StoredSchedule;
  /** The time that the expression names, epoch ms. */
  readonly timeMs: number;
}

async function insertScheduled(
  transaction: Transaction,
  starts: readonly ScheduledStart[],
  nowMs: number,
): Promise<readonly Act[]> {
  const runs = starts.map(({ run, schedule, timeMs }): NewRun => {
    const { id, scene, tenant, requester, params } = schedule;
    return {
      ...{ id: run, scene, tenant, cause: 'schedule', requester, params, createdMs: nowMs },
      ...{ schedule: id, scheduleTimeMs: timeMs },
    };
  });
  const inserted = await insertRuns(transaction, runs);
  return starts
    .filter(({ run }) => inserted.has(run))
    .map(({ run, schedule, timeMs }) => {
      const { id, scene, requester } = schedule;
      const details = { run, cause: 'schedule', schedule: id, time: timeMs, subject: requester.subject };
      return sceneAct(controlItself, nowMs, 'scene.run_started', scene, details);
    });
}

/** Cancels the run that a newer one replaces. The runner does what follows. */
async function cancelRun(
  transaction: Transaction,
  id: string,
  schedule: StoredSchedule,
  nowMs: number,
): Promise<readonly Act[]> {
  const stored = await lockRun(transaction, id);
  if (stored === undefined) return [];
  const by = `schedule/${schedule.id}`;
  await cancelStoredRun(transaction, stored, by, nowMs);
  return [sceneAct(controlItself, nowMs, 'scene.run_canceled', schedule.scene, { run: id, by })];
}
