import type { Listening, Transaction } from '@tailrace/database/database';
import type { Timer } from '@tailrace/platform/clock';
import { tailraceErrorFrom } from '@tailrace/protocol/error';
import { controlItself } from '../audit/audit-entry.ts';
import { act, type ControlContext } from '../control-context.ts';
import type { Act } from '../journal.ts';
import { activeRunsOf, insertRun, lockRun, runChannel } from '../scenes/scene-store.ts';
import { assertRunsBelowLimit, cancelStoredRun, newRunId, sceneAct } from '../scenes/scenes.ts';
import { CronTimes } from './cron.ts';
import { type DueDecision, decideDue, type SkippedRuns } from './schedule.ts';
import {
  dueSchedules,
  type StoredSchedule,
  scheduleChannel,
  storeDecision,
  tryLockSchedule,
} from './schedule-store.ts';
import { scheduleAct } from './schedules.ts';

export interface ScheduleRunnerOptions {
  readonly context: ControlContext;
  /** Called with how late a run has started, ms. */
  readonly onStarted?: (lateMs: number) => void;
  /** Called with the reason why runs were skipped. */
  readonly onSkipped?: (reason: SkippedRuns['reason']) => void;
}

/** At most between two polls, ms: another process may have changed a schedule while a notification was lost. */
const pollMs = 1_000;
const batchMax = 32;

/**
 * Starts the runs of schedules at their times. Any process may start any run: a schedule is decided on under a lock of
 * its row, in the transaction that inserts the run, and the store refuses a second run of a scheduled time.
 */
export class ScheduleRunner {
  readonly #options: ScheduleRunnerOptions;
  readonly #listenings: Listening[] = [];
  #timer: Timer | undefined;
  #pass: Promise<void> | undefined;
  #isDue = false;
  #isStopped = false;

  constructor(options: ScheduleRunnerOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    const { database } = this.#options.context;
    const listener = { onNotification: () => this.#wake(), onReconnect: () => this.#wake() };
    // A run that has finished may let a queued one start.
    for (const channel of [scheduleChannel, runChannel])
      this.#listenings.push(await database.listen(channel, listener));
    this.#wake();
  }

  /** Starts no more runs, and waits for the pass in progress. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#timer?.cancel();
    await Promise.all(this.#listenings.map((each) => each.stop()));
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
      const { due, nextMs } = await dueSchedules(database, clock.now(), batchMax);
      // One that fails does not delay the others.
      const results = await Promise.allSettled(due.map((id) => this.#startDue(id)));
      for (const [n, result] of results.entries())
        if (result.status === 'rejected')
          logger[levelOf(result.reason)]({ error: result.reason, schedule: due[n] }, 'a run cannot start, retrying');
      if (due.length === batchMax && results.some(({ status }) => status === 'fulfilled')) return 0;
      return Math.max(0, Math.min(pollMs, Math.ceil(nextMs - clock.now())));
    } catch (error) {
      logger[levelOf(error)]({ error }, 'schedules cannot be read, retrying');
      return pollMs;
    }
  }

  async #startDue(id: string): Promise<void> {
    const { context, onStarted, onSkipped } = this.#options;
    let started: { readonly dueMs: number; readonly nowMs: number } | undefined;
    let skipped: readonly SkippedRuns[] = [];
    await act(context, async (transaction) => {
      started = undefined;
      skipped = [];
      const schedule = await tryLockSchedule(transaction, id);
      if (schedule === undefined || schedule.paused) return { result: undefined, acts: [] };
      const nowMs = context.clock.now();
      const active = await activeRunsOf(transaction, id);
      const decision = decisionOf(schedule, active.length, nowMs);
      if (decision === undefined) return { result: undefined, acts: [] };
      const acts: Act[] = decision.skipped.map((each) =>
        scheduleAct(controlItself, nowMs, 'schedule.skipped', id, { ...each }),
      );
      if (decision.cancelsActive)
        for (const run of active) acts.push(...(await cancelRun(transaction, run, schedule, nowMs)));
      if (decision.start !== undefined) {
        const { timeMs, dueMs } = decision.start;
        acts.push(...(await insertScheduled(transaction, schedule, timeMs, nowMs)));
        started = { dueMs, nowMs };
      }
      skipped = decision.skipped;
      await storeDecision(transaction, {
        id,
        next: decision.next,
        queuedMs: decision.queue?.timeMs,
        skipped: [...decision.skipped, ...schedule.skipped],
      });
      return { result: undefined, acts };
    });
    if (started !== undefined) onStarted?.(started.nowMs - started.dueMs);
    for (const { reason } of skipped) onSkipped?.(reason);
  }
}

/** While the store is away, nothing is wrong with a schedule. */
function levelOf(error: unknown): 'debug' | 'error' {
  return tailraceErrorFrom(error).retryable ? 'debug' : 'error';
}

/** Returns what to do about a schedule; undefined: nothing. */
function decisionOf(schedule: StoredSchedule, active: number, nowMs: number): DueDecision | undefined {
  const { id, overlap, catchUpMs, jitterMs, next, queuedMs } = schedule;
  const isQueuedFree = queuedMs !== undefined && active === 0;
  if (next !== undefined && next.dueMs <= nowMs) {
    const times = new CronTimes(schedule.cron, schedule.timeZone, nowMs);
    const due = { id, overlap, catchUpMs, jitterMs, times, next, active, queuedMs };
    const decision = decideDue(due, nowMs);
    // The queued run has waited until the next one is due: it is that one which starts.
    if (decision?.queue === undefined || active > 0) return decision;
    const { queue, ...rest } = decision;
    return { ...rest, start: queue };
  }
  if (!isQueuedFree) return undefined;
  return { start: { timeMs: queuedMs, dueMs: queuedMs }, cancelsActive: false, skipped: [], next };
}

async function insertScheduled(
  transaction: Transaction,
  schedule: StoredSchedule,
  timeMs: number,
  nowMs: number,
): Promise<readonly Act[]> {
  await assertRunsBelowLimit(transaction);
  const { id, scene, tenant, requester, params } = schedule;
  const run = newRunId();
  const isInserted = await insertRun(transaction, {
    ...{ id: run, scene, tenant, cause: 'schedule', requester, params, createdMs: nowMs },
    ...{ schedule: id, scheduleTimeMs: timeMs },
  });
  if (!isInserted) return [];
  const details = { run, cause: 'schedule', schedule: id, time: timeMs, subject: requester.subject };
  return [sceneAct(controlItself, nowMs, 'scene.run_started', scene, details)];
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
