import type { Queryable } from '@tailrace/database/database';
import { TailraceError } from '@tailrace/protocol/error';
import { type ActContext, act } from '../control-context.ts';
import { actsAbout } from '../journal.ts';
import { assertRole, type Requester } from '../requester.ts';
import type { Scenes } from '../scenes/scenes.ts';
import { assertVersion, lockId, ownOf } from '../stored-by-id.ts';
import { CronTimes } from './cron.ts';
import { runAfter, type ScheduledRun, type ScheduleFields, scheduleLimits } from './schedule.ts';
import {
  countSchedules,
  deleteSchedule,
  findSchedule,
  listSchedules,
  lockSchedule,
  type StoredSchedule,
  storeSchedule,
} from './schedule-store.ts';

export interface SchedulesOptions {
  readonly context: ActContext;
  readonly scenes: Pick<Scenes, 'plan'>;
}

/** Schedules: what people request. `ScheduleRunner` starts the runs. */
export class Schedules {
  readonly #options: SchedulesOptions;

  constructor(options: SchedulesOptions) {
    this.#options = options;
  }

  async list({ tenant }: Requester): Promise<readonly StoredSchedule[]> {
    return await listSchedules(this.#options.context.database, tenant);
  }

  /** Rejects with `not_found`, also for a schedule of another tenant. */
  async schedule(requester: Requester, id: string): Promise<StoredSchedule> {
    return ownOf(requester, 'schedule', id, await findSchedule(this.#options.context.database, id));
  }

  /**
   * Creates or changes a schedule; its runs have the rights of the requester from then on. Rejects with
   * `invalid_message` for a cron expression or a time zone, and as `Scenes.plan` does for a scene that could not run
   * now.
   */
  async store(requester: Requester, id: string, fields: ScheduleFields, version?: number): Promise<StoredSchedule> {
    assertRole(requester, 'engineer');
    const { context, scenes } = this.#options;
    const times = new CronTimes(fields.cron, fields.timeZone, context.clock.now());
    return await act(context, async (transaction) => {
      await scenes.plan(requester, fields.scene, fields.params, transaction);
      await lockId(transaction, 'schedule', id);
      const before = await lockSchedule(transaction, id);
      if (before !== undefined) ownOf(requester, 'schedule', id, before);
      assertVersion('schedule', id, version, before?.version);
      if (before === undefined) await assertBelowLimit(transaction);
      const nowMs = context.clock.now();
      const schedule: StoredSchedule = {
        ...fields,
        id,
        tenant: before?.tenant ?? requester.tenant,
        version: (before?.version ?? 0) + 1,
        requester,
        changedBy: requester.subject,
        changedMs: nowMs,
        // From now on: no time before the change is caught up.
        next: fields.paused ? undefined : runAfter({ id, jitterMs: fields.jitterMs, times }, nowMs),
        skipped: before?.skipped ?? [],
      };
      await storeSchedule(transaction, schedule);
      const action = before === undefined ? 'schedule.created' : 'schedule.changed';
      return {
        result: schedule,
        acts: [scheduleAct(requester, nowMs, action, id, { version: schedule.version, fields })],
      };
    });
  }

  /**
   * Pauses a schedule, or continues it: times of the pause are not caught up. Rejects with `conflict` for one that is
   * paused because its token was revoked.
   */
  async setPaused(requester: Requester, id: string, paused: boolean): Promise<StoredSchedule> {
    assertRole(requester, 'engineer');
    const { context } = this.#options;
    return await act(context, async (transaction) => {
      const before = ownOf(requester, 'schedule', id, await lockSchedule(transaction, id));
      if (before.paused === paused) return { result: before, acts: [] };
      if (before.pauseReason !== undefined)
        throw new TailraceError('conflict', `schedule ${id}: expected one with a valid token. ${before.pauseReason}`);
      const nowMs = context.clock.now();
      const times = new CronTimes(before.cron, before.timeZone, nowMs);
      const next = paused ? undefined : runAfter({ id, jitterMs: before.jitterMs, times }, nowMs);
      const { queuedMs, ...rest } = before;
      const schedule = { ...rest, paused, version: before.version + 1, next };
      await storeSchedule(transaction, schedule);
      const action = paused ? 'schedule.paused' : 'schedule.continued';
      return { result: schedule, acts: [scheduleAct(requester, nowMs, action, id, { version: schedule.version })] };
    });
  }

  /** Its active runs continue. */
  async delete(requester: Requester, id: string): Promise<void> {
    assertRole(requester, 'engineer');
    const { context } = this.#options;
    await act(context, async (transaction) => {
      const { version } = ownOf(requester, 'schedule', id, await lockSchedule(transaction, id));
      await deleteSchedule(transaction, id);
      const nowMs = context.clock.now();
      return { result: undefined, acts: [scheduleAct(requester, nowMs, 'schedule.deleted', id, { version })] };
    });
  }

  /** Returns the next runs of a schedule, also of one that is not stored. Throws `invalid_message` as `store` does. */
  nextRuns(schedule: Pick<ScheduleFields, 'cron' | 'timeZone' | 'jitterMs'>, id: string): readonly ScheduledRun[] {
    const nowMs = this.#options.context.clock.now();
    const times = new CronTimes(schedule.cron, schedule.timeZone, nowMs);
    const runs: ScheduledRun[] = [];
    let run = runAfter({ id, jitterMs: schedule.jitterMs, times }, nowMs);
    while (run !== undefined && runs.length < scheduleLimits.shownTimes) {
      runs.push(run);
      run = runAfter({ id, jitterMs: schedule.jitterMs, times }, run.timeMs);
    }
    return runs;
  }
}

/** Returns the audit entry about a schedule. */
export const scheduleAct = actsAbout('schedule');

async function assertBelowLimit(queryable: Queryable): Promise<void> {
  const { schedulesMax } = scheduleLimits;
  if ((await countSchedules(queryable)) < schedulesMax) return;
  throw new TailraceError('limit_reached', `schedules: expected at most ${schedulesMax}, got one more`);
}
