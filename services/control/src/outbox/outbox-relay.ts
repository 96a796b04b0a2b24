import type { Database, Listening } from '@tailrace/database/database';
import type { EventLog, NewRecord } from '@tailrace/eventlog/event-log';
import type { Clock, Timer } from '@tailrace/platform/clock';
import { LimitedWarning } from '@tailrace/platform/limited-warning';
import type { Logger } from '@tailrace/platform/logger';
import type { Metrics } from '@tailrace/platform/metrics';
import { isTailraceError } from '@tailrace/protocol/error';

/** Between two checks without a wake-up, ms: for rows of a process that has stopped between commit and wake-up. */
const pollMs = 1_000;
/** How long a process may move rows without renewing that, ms. */
const holdMs = 5_000;
/** After this time the row is renewed before the next read, ms: what was read is appended well within `holdMs`. */
const renewMs = 1_000;
/** Rows of one append. */
const batchRowsMax = 500;
/** Between two counts of all rows, ms. */
const countEveryMs = 5_000;
const warningEveryMs = 60_000;
const channel = 'tailrace_outbox';

function firstRowsSql(condition: string): string {
  return `(SELECT position, topic, key, value, traceparent FROM outbox
    WHERE ${condition} AND position <> ALL ($1::bigint[]) ORDER BY position LIMIT ${batchRowsMax})`;
}

/** Deletes rows that were moved, and reads the first ones of the others. */
const nextRowsSql = `WITH moved AS (DELETE FROM outbox WHERE position = ANY ($1::bigint[]))
  SELECT * FROM (${firstRowsSql(`topic <> 'devices'`)} UNION ALL ${firstRowsSql(`topic = 'devices'`)}) AS waiting
   ORDER BY topic = 'devices', position LIMIT ${batchRowsMax}`;

export interface OutboxRelayOptions {
  readonly database: Database;
  readonly eventLog: Pick<EventLog, 'append'>;
  readonly topicPrefix: string;
  /** Name of this process, unique in the installation. */
  readonly worker: string;
  /** Beyond it `isFull`. */
  readonly rowsMax: number;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

interface OutboxRow {
  readonly position: number;
  readonly topic: string;
  readonly key: string;
  readonly value: Uint8Array;
  readonly traceparent: string;
}

/**
 * Moves the rows of the outbox to the log: at least once, in order per key, by one process at a time.
 *
 * A process holds the row of `outbox_relay` for 5 s at a time by the clock of the database, and renews that after a
 * second. It reads the first rows, appends them, and deletes them when they are durable, in the statement that reads
 * the next ones. No transaction is open meanwhile. A process that is paused between reading and appending may append
 * rows that the next holder has appended, too: so consumers drop a transition whose number they know.
 *
 * Records of the topic of devices come last, and do not count for the limit: an import has up to 200,000 of them, and
 * neither commands nor alarms wait for it.
 *
 * Rows that were committed are there before later ones of their key (`Journal`), so that reading the first rows cannot
 * overtake any.
 */
export class OutboxRelay {
  readonly #options: OutboxRelayOptions;
  readonly #warning: LimitedWarning;
  readonly #counts = { moved: 0, failures: 0, dropped: 0 };
  #timer: Timer | undefined;
  #listening: Listening | undefined;
  #pumping: Promise<void> | undefined;
  #isAgain = false;
  #isHolder = false;
  /** Before the last statement that has made this process the holder, by the monotonic clock, ms. */
  #heldMs = Number.NEGATIVE_INFINITY;
  #isNotifying = false;
  #isStopped = true;
  #rows = 0;
  #deviceRows = 0;
  #oldestMs: number | undefined;
  #countedMs = Number.NEGATIVE_INFINITY;

  constructor(options: OutboxRelayOptions) {
    this.#options = options;
    const { logger, clock, metrics } = options;
    const sentence = 'records of the outbox cannot be moved to the log, retrying';
    this.#warning = new LimitedWarning(logger.warn.bind(logger), sentence, warningEveryMs, () => clock.monotonic());
    this.#register(metrics);
  }

  /** Whether the log is so far behind that nothing new is accepted. */
  get isFull(): boolean {
    return this.#rows >= this.#options.rowsMax;
  }

  /** Resolves when notifications of other processes are received. Moves rows from now on. */
  async start(): Promise<void> {
    this.#isStopped = false;
    const { database, clock } = this.#options;
    this.#listening = await database.listen(channel, {
      onNotification: () => this.#pump(),
      onReconnect: () => this.#pump(),
    });
    this.#timer = clock.every(pollMs, () => this.#pump());
    this.#pump();
  }

  /** Moves rows now, in this process or in the one that does. Call it after a commit. Never throws. */
  wake(): void {
    if (this.#isStopped) return;
    if (this.#isHolder) this.#pump();
    else void this.#notify();
  }

  /** Stops after the append in progress, and lets another process move rows at once. */
  async stop(): Promise<void> {
    if (this.#isStopped) return;
    this.#isStopped = true;
    this.#timer?.cancel();
    await this.#listening?.stop();
    await this.#pumping;
    if (!this.#isHolder) return;
    const sql = 'UPDATE outbox_relay SET until_ms = 0 WHERE holder = $1';
    await this.#options.database.query(sql, [this.#options.worker]).catch(() => undefined);
  }

  /**
   * Notifies the process that moves rows, after the commit and not in it: a transaction with NOTIFY locks all others of
   * its kind until it is durable. Wake-ups meanwhile are one notification.
   */
  async #notify(): Promise<void> {
    if (this.#isNotifying) return;
    this.#isNotifying = true;
    await Promise.resolve();
    this.#isNotifying = false;
    // The poll follows.
    await this.#options.database.notify(channel, '').catch(() => undefined);
  }

  #pump(): void {
    this.#isAgain = true;
    this.#pumping ??= this.#moveAll().finally(() => {
      this.#pumping = undefined;
      // It came after the last check of the pass.
      if (this.#isAgain && !this.#isStopped) this.#pump();
    });
  }

  /** Never rejects. */
  async #moveAll(): Promise<void> {
    try {
      while (this.#isAgain && !this.#isStopped) {
        this.#isAgain = false;
        await this.#count();
        if (!(await this.#hold())) return;
        let rows = await this.#nextRows([]);
        while (rows.length > 0) {
          await this.#appendAll(rows);
          // The read that follows is after all wake-ups so far.
          this.#isAgain = false;
          rows = await this.#nextRows(rows);
          if (this.#isStopped || !(await this.#hold())) return;
          await this.#count();
        }
      }
    } catch (error) {
      this.#counts.failures++;
      if (!this.#isStopped) this.#warning.write(() => ({ error }));
    }
  }

  /** Resolves with whether this process moves rows now. */
  async #hold(): Promise<boolean> {
    const { database, worker, clock } = this.#options;
    const startedMs = clock.monotonic();
    if (this.#isHolder && startedMs - this.#heldMs < renewMs) return true;
    const now = 'extract(epoch FROM clock_timestamp()) * 1000';
    const sql = `UPDATE outbox_relay SET holder = $1, until_ms = ${now} + $2 WHERE holder = $1 OR until_ms < ${now}`;
    const { rowCount } = await database.query(sql, [worker, holdMs]);
    this.#isHolder = rowCount === 1;
    this.#heldMs = startedMs;
    return this.#isHolder;
  }

  /** Deletes rows that are in the log. Resolves with the next ones, those of devices last. */
  async #nextRows(moved: readonly OutboxRow[]): Promise<readonly OutboxRow[]> {
    const { rows } = await this.#options.database.query<OutboxRow>(nextRowsSql, [moved.map((row) => row.position)]);
    this.#counts.moved += moved.length;
    return rows;
  }

  async #appendAll(rows: readonly OutboxRow[]): Promise<void> {
    const topics = new Map<string, NewRecord[]>();
    for (const { topic, key, value, traceparent } of rows) {
      const headers = traceparent === '' ? undefined : { traceparent };
      const records = topics.get(topic) ?? [];
      records.push({ key, value, headers });
      topics.set(topic, records);
    }
    const { topicPrefix } = this.#options;
    await Promise.all([...topics].map(([topic, records]) => this.#append(`${topicPrefix}.${topic}`, records)));
  }

  /** Appends in order. A record that the log refuses by its size is dropped: others would wait for it without end. */
  async #append(topic: string, records: readonly NewRecord[]): Promise<void> {
    const { eventLog, logger } = this.#options;
    try {
      await eventLog.append(topic, records, this);
    } catch (error) {
      if (!isTailraceError(error) || error.code !== 'too_large') throw error;
      if (records.length === 1) {
        this.#counts.dropped++;
        logger.error({ error, topic, key: records[0]!.key }, 'a record of the outbox is too large for the log');
        return;
      }
      for (const record of records) await this.#append(topic, [record]);
    }
  }

  async #count(): Promise<void> {
    const { database, clock, rowsMax } = this.#options;
    if (clock.monotonic() - this.#countedMs < countEveryMs) return;
    this.#countedMs = clock.monotonic();
    const sql = `SELECT count(*) AS rows, min(at_ms) AS oldest,
        (SELECT count(*) FROM outbox WHERE topic = 'devices') AS devices
      FROM (SELECT at_ms FROM outbox WHERE topic <> 'devices' LIMIT ${rowsMax}) AS counted`;
    const { rows } = await database.query<{ rows: number; oldest: number | null; devices: number }>(sql);
    this.#rows = rows[0]?.rows ?? 0;
    this.#deviceRows = rows[0]?.devices ?? 0;
    this.#oldestMs = rows[0]?.oldest ?? undefined;
  }

  #register(metrics: Metrics): void {
    const { clock, rowsMax } = this.#options;
    const name = (rest: string) => `tailrace_control_${rest}`;
    metrics.gauge(
      name('outbox_rows'),
      'Records that are committed and not in the log, every 5 s, without those of devices.',
      () => this.#rows,
    );
    metrics.gauge(
      name('outbox_device_rows'),
      'Records of the kind and labels of devices that are not in the log; they do not count for the limit.',
      () => this.#deviceRows,
    );
    metrics.gauge(name('limit_outbox_rows'), 'Beyond it nothing new is accepted.', () => rowsMax);
    metrics.gauge(name('outbox_age_seconds'), 'Age of the oldest record of outbox_rows.', () =>
      this.#oldestMs === undefined ? 0 : Math.max(0, clock.now() - this.#oldestMs) / 1_000,
    );
    metrics.gauge(name('outbox_held_relays'), '1 if this process moves records to the log, else 0.', () =>
      this.#isHolder ? 1 : 0,
    );
    metrics.total(name('outbox_records_total'), 'Records moved to the log by this process.', () => this.#counts.moved);
    metrics.total(name('outbox_failures_total'), 'Moves that failed, and are repeated.', () => this.#counts.failures);
    metrics.total(
      name('outbox_dropped_records_total'),
      'Records that are too large for the log.',
      () => this.#counts.dropped,
    );
  }
}
