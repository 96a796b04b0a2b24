import type { Database, Listening, Queryable } from '@tailrace/database/database';
import type { Clock, Timer } from '@tailrace/platform/clock';
import { LimitedWarning } from '@tailrace/platform/limited-warning';
import type { Logger } from '@tailrace/platform/logger';
import { type AlarmNotice, isActive } from './alarm-notice.ts';
import { alertKey, alertsMax, resendMs } from './alertmanager.ts';
import { type NotificationAttempt, noticesMax } from './notification-attempt.ts';
import type { NotificationCounts } from './notification-counts.ts';
import {
  claimTargets,
  delayTarget,
  deleteStanding,
  dueNotifications,
  dueStanding,
  endTarget,
  finishNotifications,
  holdTarget,
  notificationChannel,
  putStanding,
  releaseTarget,
  standingNotices,
  type WaitingNotification,
} from './notification-store.ts';
import { type Outcome, retryWaitMs } from './retry-plan.ts';
import type { Target } from './target.ts';

/** Between two polls, ms: for notifications that become due, and those of a process that has stopped. */
const pollMs = 500;
/** How long a process may send to a target without renewing that, ms: longer than the deadline of an attempt. */
const holdMs = 60_000;
/** A notification that could not be sent for this long is given up, ms. */
const ageMsMax = 86_400_000;
const errorCharactersMax = 500;
const warningEveryMs = 60_000;

export interface NotificationSenderOptions {
  readonly database: Database;
  readonly attempt: Pick<NotificationAttempt, 'send'>;
  readonly counts: NotificationCounts;
  /** Targets of the installation at most: each has its own place, so that a slow one delays no other. */
  readonly targetsMax: number;
  /** Name of this process, unique in the installation. */
  readonly worker: string;
  readonly clock: Clock;
  readonly random: () => number;
  readonly logger: Logger;
}

/**
 * Sends what waits: to each target in order and at least once, to all targets side by side. A process claims a target
 * for a minute at a time, and no transaction is open while it sends. A process that is paused between sending and
 * recording may send a second time: so each notification has an ID that its receiver can recognize.
 */
export class NotificationSender {
  readonly #options: NotificationSenderOptions;
  /** IDs of the targets. */
  readonly #working = new Set<string>();
  readonly #tasks = new Set<Promise<void>>();
  readonly #stopping = new AbortController();
  readonly #warning: LimitedWarning;
  readonly #refusals: LimitedWarning;
  #timer: Timer | undefined;
  #listening: Listening | undefined;
  #pass: Promise<void> | undefined;
  #isAgain = false;

  constructor(options: NotificationSenderOptions) {
    this.#options = options;
    const { logger, clock } = options;
    const warning = (sentence: string) =>
      new LimitedWarning(logger.warn.bind(logger), sentence, warningEveryMs, () => clock.monotonic());
    this.#warning = warning('notifications cannot be read or recorded, retrying');
    this.#refusals = warning('a notification could not be sent');
  }

  /** Targets to which this process sends now. */
  get busy(): number {
    return this.#working.size;
  }

  async start(): Promise<void> {
    const { database, clock } = this.#options;
    const listener = { onNotification: () => this.wake(), onReconnect: () => this.wake() };
    this.#listening = await database.listen(notificationChannel, listener);
    this.#timer = clock.every(pollMs, () => this.wake());
    this.wake();
  }

  /** Cancels what is being sent, which another process sends again. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#timer?.cancel();
    await this.#listening?.stop();
    await this.#pass;
    await Promise.all(this.#tasks);
  }

  /** Sends what is due now. Never throws. */
  wake(): void {
    if (this.#stopping.signal.aborted) return;
    this.#isAgain = true;
    this.#pass ??= this.#claim().finally(() => {
      this.#pass = undefined;
      // It came after the last check of the pass.
      if (this.#isAgain) this.wake();
    });
  }

  /** Never rejects. */
  async #claim(): Promise<void> {
    const { database, worker, clock, counts, targetsMax } = this.#options;
    try {
      while (this.#isAgain && !this.#stopping.signal.aborted) {
        this.#isAgain = false;
        const nowMs = clock.now();
        const places = targetsMax - this.#working.size;
        // The first target that is finished wakes it.
        if (places <= 0) return;
        const claim = { nowMs, untilMs: nowMs + holdMs, targetsMax: places };
        for (const target of await claimTargets(database, worker, claim)) {
          // The claim has expired during an attempt, which goes on.
          if (this.#working.has(target.id)) continue;
          const task = this.#sendTo(target).finally(() => this.#tasks.delete(task));
          this.#tasks.add(task);
        }
      }
    } catch (error) {
      counts.failures.add();
      this.#warning.write(() => ({ error }));
    }
  }

  /** Never rejects. */
  async #sendTo(target: Target): Promise<void> {
    const { database, worker } = this.#options;
    this.#working.add(target.id);
    await this.#work(target);
    // Before the release: from then on it may be claimed again, also by this process.
    this.#working.delete(target.id);
    // Otherwise the claim expires by itself.
    await releaseTarget(database, worker, target.id).catch(() => undefined);
    // What came since the last check found the target claimed.
    this.wake();
  }

  /** Sends to one target until nothing is due. Never rejects. */
  async #work(target: Target): Promise<void> {
    const { database, worker, clock, counts } = this.#options;
    const { signal } = this.#stopping;
    try {
      do {
        const nowMs = clock.now();
        if (!(await holdTarget(database, worker, target.id, { nowMs, untilMs: nowMs + holdMs }))) return;
      } while (!signal.aborted && (await this.#step(target)));
    } catch (error) {
      if (!signal.aborted) {
        counts.failures.add();
        this.#warning.write(() => ({ error, target: target.id }));
      }
    }
  }

  /** Resolves with whether more may be due. */
  async #step(target: Target): Promise<boolean> {
    const { database, attempt, clock } = this.#options;
    const rows = await dueNotifications(database, target.id, clock.now(), noticesMax[target.kind]);
    if (rows.length === 0) return await this.#sendAgain(target);
    const notices = rows.map(({ notice }) => notice);
    const former =
      target.kind === 'alertmanager'
        ? await standingNotices(database, target.id, notices.map(alertKey))
        : new Map<string, AlarmNotice>();
    const outcome = await attempt.send(target, notices, former, clock.now(), this.#stopping.signal);
    return await this.#record(target, rows, outcome);
  }

  /** Sends standing alarms to an Alertmanager again. Resolves with whether more may be due. */
  async #sendAgain(target: Target): Promise<boolean> {
    if (target.kind !== 'alertmanager') return false;
    const { database, attempt, clock } = this.#options;
    const notices = await dueStanding(database, target.id, clock.now(), alertsMax);
    if (notices.length === 0) return false;
    const former = new Map(notices.map((notice) => [alertKey(notice), notice]));
    const outcome = await attempt.send(target, notices, former, clock.now(), this.#stopping.signal);
    if (outcome.kind === 'sent') {
      await recordSentAgain(database, target.id, notices, clock.now() + resendMs);
      return true;
    }
    return await this.#record(target, [], outcome);
  }

  /** Resolves with whether more may be sent now. */
  async #record(target: Target, rows: readonly WaitingNotification[], outcome: Outcome): Promise<boolean> {
    const { database, worker, clock, counts } = this.#options;
    const counted = counts.outcomes[target.kind];
    const nowMs = clock.now();
    const positions = rows.map(({ position }) => position);
    if (outcome.kind === 'sent') {
      await database.transaction(async (transaction) => {
        await finishNotifications(transaction, target.id, { positions, state: 'sent', error: '' }, nowMs);
        if (target.kind === 'alertmanager') await recordStanding(transaction, target.id, rows, nowMs + resendMs);
      });
      counted.sent.add(rows.length);
      for (const { dueMs } of rows) counts.delaySeconds[target.kind].observe(Math.max(0, nowMs - dueMs) / 1_000);
      return true;
    }
    const error = outcome.message.slice(0, errorCharactersMax);
    this.#refusals.write(() => ({ target: target.id, kind: target.kind, reason: error }));
    if (outcome.kind === 'gone') {
      counted.dead.add(await database.transaction((transaction) => endTarget(transaction, target.id, error, nowMs)));
      return false;
    }
    const waitMs = this.#waitMs(rows, outcome, nowMs);
    if (waitMs === undefined) {
      await finishNotifications(database, target.id, { positions, state: 'dead', error }, nowMs);
      counted.dead.add(rows.length);
      return true;
    }
    counted.retried.add(Math.max(1, rows.length));
    const untilMs = nowMs + holdMs;
    await database.transaction(async (transaction) => {
      if (!(await holdTarget(transaction, worker, target.id, { nowMs, untilMs }))) return;
      await delayTarget(transaction, target.id, positions, { error, retryMs: nowMs + waitMs });
    });
    return false;
  }

  #waitMs(
    rows: readonly WaitingNotification[],
    outcome: Exclude<Outcome, { kind: 'sent' }>,
    nowMs: number,
  ): number | undefined {
    if (rows.some(({ dueMs }) => nowMs - dueMs > ageMsMax)) return undefined;
    const attempts = Math.max(0, ...rows.map((row) => row.attempts)) + 1;
    return retryWaitMs(outcome, attempts, this.#options.random);
  }
}

/** The Alertmanager has the last transition of each alarm, and receives it again. */
async function recordStanding(
  transaction: Queryable,
  target: string,
  rows: readonly WaitingNotification[],
  resendAtMs: number,
): Promise<void> {
  const last = new Map(rows.map(({ notice }) => [alertKey(notice), notice]));
  await putStanding(transaction, target, [...last.values()], resendAtMs);
}

/** Standing alarms were sent again: those that are resolved for the last time. */
async function recordSentAgain(
  transaction: Queryable,
  target: string,
  notices: readonly AlarmNotice[],
  resendAtMs: number,
): Promise<void> {
  await putStanding(transaction, target, notices.filter(isActive), resendAtMs);
  const resolved = notices.filter((notice) => !isActive(notice));
  await deleteStanding(transaction, target, resolved.map(alertKey));
}
