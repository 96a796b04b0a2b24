import type { Database, Transaction } from '@tailrace/database/database';
import type { Clock, Timer } from '@tailrace/platform/clock';
import type { Logger } from '@tailrace/platform/logger';
import type { Metrics } from '@tailrace/platform/metrics';
import type { AlarmNotice } from './alarm-notice.ts';
import type { SendMail } from './mail-transport.ts';
import { targetsMax } from './notification-admin.ts';
import { NotificationAttempt } from './notification-attempt.ts';
import { createNotificationCounts, type NotificationCounts } from './notification-counts.ts';
import { NotificationSender } from './notification-sender.ts';
import {
  countWaiting,
  insertNotifications,
  readRouting,
  removeOld,
  targetsWith,
  trimWaiting,
} from './notification-store.ts';
import type { PostOutward } from './outward-request.ts';
import { deliveriesOf } from './route.ts';

/** Notifications that wait for one target. */
const waitingMax = 10_000;
/** How long targets and routes may be older than the store, ms. */
const routingMsMax = 1_000;
const countEveryMs = 5_000;
const removeEveryMs = 60_000;
/** An older transition is none that a person has to act on: the log was read again, or a device was without a link. */
const ageMsMax = 86_400_000;
/** How long the store has what was sent, and dead letters, ms. */
const sentMs = 7 * 86_400_000;
const deadMs = 30 * 86_400_000;

/** What control has; of `ControlContext`. */
export interface NotificationContext {
  readonly database: Database;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly random: () => number;
  readonly worker: string;
}

export interface NotificationsOptions {
  readonly context: NotificationContext;
  readonly post: PostOutward;
  /** Undefined: no mail server is configured. */
  readonly mail: SendMail | undefined;
}

/**
 * Notifications of alarms to people and programs outside: `take` → routes → rows of the store → `NotificationSender` →
 * webhook, Alertmanager or mail.
 */
export class Notifications {
  readonly #context: NotificationContext;
  readonly #counts: NotificationCounts;
  readonly #sender: NotificationSender;
  #routing: { readonly value: Awaited<ReturnType<typeof readRouting>>; readonly readMs: number } | undefined;
  #waiting: Awaited<ReturnType<typeof countWaiting>> = { rows: 0, ofOne: 0, oldestMs: undefined };
  #timers: Timer[] = [];
  #maintenance: Promise<void> = Promise.resolve();

  constructor({ context, post, mail }: NotificationsOptions) {
    this.#context = context;
    const { metrics, clock } = context;
    const usage = () => {
      const { rows, ofOne, oldestMs } = this.#waiting;
      const oldestSeconds = oldestMs === undefined ? 0 : Math.max(0, clock.now() - oldestMs) / 1_000;
      return { rows, ofOne, oldestSeconds, busy: this.#sender.busy };
    };
    this.#counts = createNotificationCounts(metrics, usage, { waitingMax, targetsMax });
    const attempt = new NotificationAttempt({ post, mail });
    const { database, random, worker, logger } = context;
    const counts = this.#counts;
    this.#sender = new NotificationSender({
      ...{ database, attempt, counts, targetsMax, worker, clock, random, logger },
    });
  }

  async start(): Promise<void> {
    const { clock } = this.#context;
    await this.#sender.start();
    this.#timers = [
      clock.every(countEveryMs, () => this.#maintain(() => this.#count())),
      clock.every(removeEveryMs, () => this.#maintain(() => this.#remove())),
    ];
  }

  async stop(): Promise<void> {
    for (const timer of this.#timers) timer.cancel();
    await this.#sender.stop();
    await this.#maintenance;
  }

  /**
   * Adds the notifications of transitions, in the transaction that records them. A transition that came before adds
   * none. Call `wake` after the commit. Rejects as the database does.
   */
  async take(transaction: Transaction, notices: readonly AlarmNotice[]): Promise<void> {
    const { clock } = this.#context;
    const { targets, routes } = await this.#currentRouting(transaction);
    if (targets.length === 0) return;
    const kinds = new Map(targets.map(({ id, kind }) => [id, kind]));
    const hasAlertmanager = targets.some(({ kind }) => kind === 'alertmanager');
    const nowMs = clock.now();
    for (const notice of notices) {
      if (nowMs - notice.time > ageMsMax) {
        this.#counts.late.add();
        continue;
      }
      const deliveries = deliveriesOf(notice, routes, (id) => kinds.get(id), nowMs);
      // It has the alarm, and is to receive its end, although no route leads there any more.
      for (const target of hasAlertmanager ? await targetsWith(transaction, notice) : [])
        if (!deliveries.some((each) => each.target === target))
          deliveries.push({ target, dueMs: nowMs, isHeld: false });
      if (deliveries.length === 0) continue;
      const { dropped } = await insertNotifications(transaction, notice, deliveries, nowMs);
      this.#counts.dropped.add(dropped);
    }
  }

  /** Sends now what was taken. */
  wake(): void {
    this.#sender.wake();
  }

  /** Targets or routes have changed: they are read again. */
  changed(): void {
    this.#routing = undefined;
    this.#sender.wake();
  }

  async #currentRouting(transaction: Transaction) {
    const nowMs = this.#context.clock.monotonic();
    if (this.#routing !== undefined && nowMs - this.#routing.readMs <= routingMsMax) return this.#routing.value;
    const value = await readRouting(transaction);
    this.#routing = { value, readMs: nowMs };
    return value;
  }

  /** One at a time. Never rejects. */
  #maintain(work: () => Promise<void>): void {
    this.#maintenance = this.#maintenance.then(work).catch((error: unknown) => {
      this.#counts.failures.add();
      this.#context.logger.debug({ error }, 'notifications cannot be counted or removed, retrying');
    });
  }

  async #count(): Promise<void> {
    const { database, clock } = this.#context;
    this.#waiting = await countWaiting(database);
    if (this.#waiting.ofOne <= waitingMax) return;
    const trimmed = await trimWaiting(database, waitingMax, clock.now());
    const { logger } = this.#context;
    logger.error(
      { notifications: trimmed, waitingMax },
      'too many notifications wait for a target; the oldest are dead',
    );
  }

  async #remove(): Promise<void> {
    const { database, clock } = this.#context;
    const nowMs = clock.now();
    await removeOld(database, { sentBeforeMs: nowMs - sentMs, deadBeforeMs: nowMs - deadMs });
  }
}
