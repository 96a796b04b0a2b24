import type { Database, Transaction } from '@tailrace/database/database';
import { readCheckpointedAlarms } from '@tailrace/eventlog/alarm-checkpoints';
import { boundsOf, type EventLog, type LogRecord, type PartitionBounds, recordEnd } from '@tailrace/eventlog/event-log';
import type { Clock, Timer } from '@tailrace/platform/clock';
import { LimitedWarning } from '@tailrace/platform/limited-warning';
import type { Logger } from '@tailrace/platform/logger';
import type { Metrics } from '@tailrace/platform/metrics';
import { AlarmOrder } from '@tailrace/protocol/alarm-order';
import { TailraceError } from '@tailrace/protocol/error';
import type { Notifications } from '../notifications/notifications.ts';
import type { TriggerOutcome, TriggerRuns } from '../triggers/trigger-runs.ts';
import {
  type AlarmEvent,
  acceptEvents,
  alarmEventFrom,
  type StoredTransition,
  storedTransitions,
} from './alarm-event.ts';
import { type AlarmReaderCounts, createAlarmReaderCounts } from './alarm-reader-metrics.ts';
import {
  type AlarmPosition,
  claimPositions,
  createPositions,
  knownNumbers,
  lockPosition,
  releasePositions,
  removeOldAlarms,
  removeOtherEpochs,
  storePosition,
  storeRefused,
  storeTransitions,
} from './alarm-store.ts';
import { refusedActs } from './refused-actions.ts';

export const readerTimes = {
  /** Between two polls of the end of the log, ms. */
  pollMs: 500,
  /** How long a process has a partition without renewing that, ms; and when it renews. */
  holdMs: 10_000,
  renewMs: 3_000,
  /** How long the stored position may be behind events that are not about alarms, ms. */
  skippedMs: 60_000,
  /** Between two deletions of what is too old, ms. */
  removeMs: 60_000,
} as const;

/** Of one transaction. */
const recordsMax = 1_000;
const removedRowsMax = 10_000;
const warningEveryMs = 60_000;

export interface AlarmReaderOptions {
  readonly database: Database;
  readonly eventLog: Pick<EventLog, 'describeTopic' | 'bounds' | 'read'>;
  readonly eventsTopic: string;
  /** The compacted topic of the checkpoints of alarms. It may be missing: then there are none. */
  readonly alarmsTopic: string;
  readonly partitions: number;
  readonly notifications: Pick<Notifications, 'take' | 'wake'>;
  readonly triggers: Pick<TriggerRuns, 'take' | 'committed'>;
  /** How long transitions and refusals are kept, ms. */
  readonly retentionMs: number;
  /** Name of this process, unique in the installation. */
  readonly worker: string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

/** A partition that this process reads. */
interface Claim {
  /** As the store has it. */
  stored: AlarmPosition;
  /** Events up to here were read; those since `stored.next` are not about alarms. */
  next: number;
  /** Records that are not read, at the last poll. */
  lag: number;
  /** When the position was stored or read, monotonic ms. */
  storedMs: number;
}

/** Another process has stored the events meanwhile, or has the partition: this one starts from the store again. */
class ClaimLost extends TailraceError {
  constructor() {
    super('conflict', 'alarms: expected the position that this process has stored, got another one');
  }
}

/**
 * Stores the transitions of alarms and the refused actions of people, from the topic of events, and passes them to the
 * notifications and the triggers: each exactly once.
 *
 * - **One process** reads a partition: it has its row of `alarm_positions` for 10 s, and another one takes it after
 *   that. A process that was stopped for some time, and goes on, stores nothing: the transaction moves the position on
 *   from the value that this process knows, and fails if it is another one.
 * - **Exactly once.** Events, notifications and position are one transaction ("Storing Offsets Outside Kafka" of
 *   Kafka's KafkaConsumer). After an error, even of a commit that has happened, the process reads the position again.
 * - **Which events count** is decided by `AlarmOrder`, from the stored numbers and the last owner.
 * - **A gap.** If the log has removed events that were not read, as after a day without PostgreSQL, or if the topic was
 *   re-created, current alarms come from the checkpoints of alarms: those are read before the end of the events is, and
 *   are applied after all events before it, so that they only add what the topic no longer has. They trigger nothing.
 */
export class AlarmReader {
  readonly #options: AlarmReaderOptions;
  readonly #warning: LimitedWarning;
  readonly #counts: AlarmReaderCounts;
  readonly #claims = new Map<number, Claim>();
  #claimedMs = Number.NEGATIVE_INFINITY;
  #hasPositions = false;
  #pass: Promise<void> | undefined;
  #timers: Timer[] = [];
  #isStopped = true;
  #readMs: number | undefined;

  constructor(options: AlarmReaderOptions) {
    this.#options = options;
    const { logger, clock, metrics } = options;
    const sentence = 'alarms cannot be stored, retrying';
    this.#warning = new LimitedWarning(logger.warn.bind(logger), sentence, warningEveryMs, () => clock.monotonic());
    this.#counts = createAlarmReaderCounts(metrics, {
      partitions: () => this.#claims.size,
      lag: () => [...this.#claims.values()].reduce((sum, { lag }) => sum + lag, 0),
      ageSeconds: () => (this.#readMs === undefined ? Number.NaN : (clock.monotonic() - this.#readMs) / 1_000),
    });
  }

  start(): void {
    this.#isStopped = false;
    const { clock } = this.#options;
    this.#timers = [
      clock.every(readerTimes.pollMs, () => void this.poll()),
      clock.every(readerTimes.removeMs, () => void this.#remove()),
    ];
    void this.poll();
  }

  /** Stops after the transaction in progress, and lets another process read at once. */
  async stop(): Promise<void> {
    if (this.#isStopped) return;
    this.#isStopped = true;
    for (const timer of this.#timers) timer.cancel();
    await this.#pass;
    const { database, worker } = this.#options;
    if (this.#claims.size > 0) await releasePositions(database, worker).catch(() => undefined);
    this.#claims.clear();
  }

  /** Stores what the log has now, unless that is in progress. Never rejects. */
  poll(): Promise<void> {
    this.#pass ??= this.#readAll().finally(() => {
      this.#pass = undefined;
    });
    return this.#pass;
  }

  async #readAll(): Promise<void> {
    const { eventLog, eventsTopic, clock } = this.#options;
    try {
      await this.#claim();
      if (this.#claims.size === 0) return;
      const { epoch } = await eventLog.describeTopic(eventsTopic);
      const bounds = await eventLog.bounds(eventsTopic, [...this.#claims.keys()]);
      for (const [partition, claim] of [...this.#claims]) {
        if (this.#isStopped) return;
        const found = bounds[partition];
        if (found === undefined) continue;
        claim.lag = Math.max(0, found.next - claim.next);
        await this.#readPartition(claim, epoch, found);
        await this.#claim();
      }
      this.#readMs = clock.monotonic();
    } catch (error) {
      // What was committed is known by the store alone.
      this.#claims.clear();
      this.#claimedMs = Number.NEGATIVE_INFINITY;
      // Notifications may be part of it.
      this.#options.notifications.wake();
      if (error instanceof ClaimLost) return;
      this.#counts.failures.add();
      if (!this.#isStopped) this.#warning.write(() => ({ error }));
    }
  }

  /** Renews the claims of this process if it is time, and adds those that no other process has. */
  async #claim(): Promise<void> {
    const { database, worker, partitions, clock } = this.#options;
    if (clock.monotonic() - this.#claimedMs < readerTimes.renewMs) return;
    if (!this.#hasPositions) await createPositions(database, partitions);
    this.#hasPositions = true;
    const claimedMs = clock.monotonic();
    const nowMs = clock.now();
    const times = { nowMs, untilMs: nowMs + readerTimes.holdMs };
    const positions = await claimPositions(database, worker, partitions, times);
    this.#claimedMs = claimedMs;
    const held = new Set(positions.map(({ partition }) => partition));
    for (const partition of this.#claims.keys()) if (!held.has(partition)) this.#claims.delete(partition);
    for (const stored of positions) {
      const known = this.#claims.get(stored.partition);
      if (known === undefined)
        this.#claims.set(stored.partition, { stored, next: stored.next, lag: 0, storedMs: claimedMs });
      else if (known.stored.epoch !== stored.epoch || known.stored.next !== stored.next) throw new ClaimLost();
    }
  }

  async #readPartition(claim: Claim, epoch: string, bounds: PartitionBounds): Promise<void> {
    const { logger } = this.#options;
    const { stored } = claim;
    const { partition } = stored;
    const { first } = bounds;
    let end = bounds.next;
    const isOther = stored.epoch !== epoch;
    if (isOther || claim.next < first) {
      if (stored.epoch !== '') {
        this.#counts.gaps.add();
        logger.warn({ partition, epoch, expected: stored.epoch, next: claim.next, first }, 'events of alarms are lost');
      }
      const to = { ...stored, epoch, next: first, owner: isOther ? 0 : stored.owner, isRestored: false };
      await this.#store(claim, to, async () => {});
    }
    let checkpoints: readonly StoredTransition[] | undefined;
    if (!claim.stored.isRestored) {
      checkpoints = await this.#checkpoints(partition);
      // Alarms writes a transition before the checkpoint that has it.
      const { eventLog, eventsTopic } = this.#options;
      end = boundsOf(await eventLog.bounds(eventsTopic, [partition]), partition).next;
    }
    if (!(await this.#readEvents(claim, end))) return;
    if (checkpoints === undefined) return await this.#storeSkipped(claim);
    const restored = checkpoints;
    const to = { ...claim.stored, next: claim.next, isRestored: true };
    await this.#store(claim, to, async (transaction) => {
      for (let from = 0; from < restored.length; from += recordsMax)
        await this.#apply(transaction, to, await newerOf(transaction, epoch, restored.slice(from, from + recordsMax)));
      await removeOtherEpochs(transaction, to);
    });
  }

  /** Stores the position once a minute, also without alarms: the log removes what is before it. */
  async #storeSkipped(claim: Claim): Promise<void> {
    const { stored, next, storedMs } = claim;
    if (next === stored.next || this.#options.clock.monotonic() - storedMs < readerTimes.skippedMs) return;
    await this.#store(claim, { ...stored, next }, async () => {});
  }

  /** Stores the events before `end`. Resolves with whether it has. */
  async #readEvents(claim: Claim, end: number): Promise<boolean> {
    if (claim.next >= end) return true;
    const { eventLog, eventsTopic } = this.#options;
    const { partition, epoch } = claim.stored;
    for await (const batch of eventLog.read(eventsTopic, partition, { from: claim.next, until: end })) {
      // Before anything of it is stored: a topic that was re-created meanwhile has other events at these positions.
      if ((await eventLog.describeTopic(eventsTopic)).epoch !== epoch) throw new ClaimLost();
      for (let from = 0; from < batch.length; from += recordsMax)
        await this.#storeEvents(claim, batch.slice(from, from + recordsMax));
      claim.lag = Math.max(0, end - claim.next);
      await this.#claim();
      if (this.#isStopped || this.#claims.get(partition) !== claim) return false;
    }
    return true;
  }

  async #storeEvents(claim: Claim, records: readonly LogRecord[]): Promise<void> {
    const next = recordEnd(records.at(-1)!);
    const events: AlarmEvent[] = [];
    const appended = new Map<string, number>();
    for (const { seq, timeMs, value } of records) {
      const event = alarmEventFrom(seq, value);
      if (event === 'invalid') this.#counts.invalid.add();
      else if (event !== undefined) events.push(event);
      if (typeof event === 'object' && event.kind === 'transition') appended.set(event.transition.id, timeMs);
    }
    claim.next = next;
    // Most records are of sessions. The position is stored with the next event of alarms.
    if (events.length === 0) return;
    const { notifications, triggers, clock } = this.#options;
    const order = new AlarmOrder(claim.stored.owner);
    const { epoch } = claim.stored;
    const transitions = events.flatMap((event) => (event.kind === 'transition' ? [event.transition] : []));
    let accepted = acceptEvents([], order);
    let to = claim.stored;
    let triggered: TriggerOutcome | undefined;
    await this.#store(
      claim,
      () => to,
      async (transaction) => {
        const known = await knownNumbers(transaction, epoch, transitions);
        for (const { device, rule, number } of known) order.restore(device, rule, number);
        accepted = acceptEvents(events, order);
        to = { ...claim.stored, next, owner: order.owner };
        await this.#apply(transaction, to, accepted.transitions);
        const refused = await storeRefused(transaction, accepted.refused, clock.now());
        const acts = await refusedActs(transaction, refused, clock.now());
        const raised = accepted.transitions.filter(({ cause }) => cause === 'raised');
        triggered = await triggers.take(
          transaction,
          raised.map((notice) => ({ notice, appendedMs: appended.get(notice.id)! })),
          acts,
        );
      },
    );
    this.#counts.duplicates.add(accepted.duplicates);
    this.#counts.transitions.add(accepted.transitions.length);
    this.#counts.refused.add(accepted.refused.length);
    if (accepted.transitions.length > 0) notifications.wake();
    if (triggered !== undefined) triggers.committed(triggered);
  }

  async #apply(
    transaction: Transaction,
    position: AlarmPosition,
    transitions: readonly StoredTransition[],
  ): Promise<void> {
    if (transitions.length === 0) return;
    const { notifications, clock } = this.#options;
    await storeTransitions(transaction, position, transitions, clock.now());
    await notifications.take(
      transaction,
      transitions.map(({ action: _, ...notice }) => notice),
    );
  }

  /** Stores something and the position after it, if the position is still the one that this process knows. */
  async #store(
    claim: Claim,
    position: AlarmPosition | (() => AlarmPosition),
    work: (transaction: Transaction) => Promise<void>,
  ): Promise<void> {
    const { database } = this.#options;
    const to = await database.transaction(async (transaction) => {
      // Locks it first: of two processes one waits, and then finds another position.
      if (!(await lockPosition(transaction, claim.stored))) throw new ClaimLost();
      await work(transaction);
      const after = typeof position === 'function' ? position() : position;
      await storePosition(transaction, after);
      return after;
    });
    claim.stored = to;
    claim.next = to.next;
    claim.storedMs = this.#options.clock.monotonic();
  }

  /** Resolves with the last transition of each alarm of a partition that the checkpoints have. */
  async #checkpoints(partition: number): Promise<readonly StoredTransition[]> {
    const { eventLog, alarmsTopic } = this.#options;
    return storedTransitions((await readCheckpointedAlarms(eventLog, alarmsTopic, partition)).transitions);
  }

  /** Never rejects. */
  async #remove(): Promise<void> {
    const { database, clock, retentionMs } = this.#options;
    try {
      while (!this.#isStopped) {
        const removed = await removeOldAlarms(database, clock.now() - retentionMs, removedRowsMax);
        if (removed < removedRowsMax) return;
      }
    } catch (error) {
      this.#counts.failures.add();
      this.#warning.write(() => ({ error }));
    }
  }
}

/** Resolves with the transitions that are later than the stored ones. */
async function newerOf(
  transaction: Transaction,
  epoch: string,
  transitions: readonly StoredTransition[],
): Promise<readonly StoredTransition[]> {
  const order = new AlarmOrder();
  for (const { device, rule, number } of await knownNumbers(transaction, epoch, transitions))
    order.restore(device, rule, number);
  return transitions.filter(({ device, rule, number }) => number > order.numberOf(device, rule));
}
