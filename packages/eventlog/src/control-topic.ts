import type { Clock, Timer } from '@tailrace/platform/clock';
import type { DeviceCredential } from '@tailrace/platform/device-credentials';
import { LimitedWarning } from '@tailrace/platform/limited-warning';
import type { Logger } from '@tailrace/platform/logger';
import type { Metrics } from '@tailrace/platform/metrics';
import type { RevocationEntry } from '@tailrace/platform/revocation';
import { tailraceErrorFrom } from '@tailrace/protocol/error';
import type { tailrace } from '@tailrace/protocol/generated';
import {
  type CommandSwitchState,
  contentOf,
  credentialFrom,
  credentialMessage,
  entryFrom,
  type Notice,
  noticeFrom,
  obsoleteKeys,
  recordFrom,
  switchFrom,
  switchMessage,
} from './control-record.ts';
import { boundsOf, type EventLog, type LogRecord, recordEnd, type TopicSpec } from './event-log.ts';

/** How often each process polls the topic, ms: the record of another process arrives within this time and one read. */
export const controlPollMs = 500;
/** How often a process checks whether a topic with an unchanged end was re-created. */
const epochCheckMs = 5_000;
const cleanupEveryMs = 3_600_000;
/** The first cleanup is at a random time below this, ms, so that one of many nodes does the work. */
const firstCleanupMs = 600_000;
const tombstonesPerAppend = 500;
/** Shortest time between two warnings that the end is before the position, ms. */
const warningEveryMs = 60_000;
/** Notices that are recognized when they are read again. Clients get none that is older than a minute. */
const knownNoticesMax = 1_000;

export interface ControlTopicOptions {
  readonly eventLog: Pick<EventLog, 'ensureTopic' | 'describeTopic' | 'append' | 'read' | 'bounds'>;
  /** Of the installation's topics. */
  readonly topicPrefix: string;
  readonly clock: Clock;
  readonly logger: Logger;
  /** For the age of the last complete read, under the name of the service. */
  readonly metrics?: Metrics;
  /** Called with new revocations in the topic, and with some of them again after an error of the log. */
  readonly onRevocations: (entries: readonly RevocationEntry[]) => void;
  /**
   * Called with new credentials in the topic, before `onRevocations` with revocations that follow them, and with some
   * of them again after an error of the log.
   */
  readonly onCredentials: (credentials: readonly DeviceCredential[]) => void;
  /** Called with the last state of the command switch, when it has changed, and again after an error of the log. */
  readonly onCommandSwitch?: (state: CommandSwitchState) => void;
  /** Called once with each notice. */
  readonly onNotice?: (notice: Notice) => void;
}

/**
 * The topic of records for every process of an installation: credentials of devices, revocations, the command switch
 * and operators' notices (docs/adr/0014-revocations-in-the-log.md). It is compacted and has one partition.
 *
 * A process reads all of it in `start`, before it accepts a client, and polls it afterwards. An append is durable when
 * it resolves, and this process has read it, unless the read failed. Other processes read it at their next poll.
 *
 * Readers ignore tombstones: a revocation or credential expires at its own time.
 */
export class ControlTopic {
  readonly counts = { appended: 0, received: 0, unreadable: 0, readFailures: 0, removed: 0 };
  readonly #options: ControlTopicOptions;
  readonly #name: string;
  readonly #onShorter: LimitedWarning;
  /** The position after the last record that was read. */
  #next = 0;
  /** The epoch of `#next`, and when it was checked. */
  #epoch = '';
  #epochAtMs = 0;
  /** Keys of the last notices, oldest first. */
  readonly #knownNotices = new Set<string>();
  /** The last one that was read, until the end is reached: those before it have no effect. */
  #commandSwitch: CommandSwitchState | undefined;
  #reading: Promise<void> | undefined;
  #poller: Timer | undefined;
  #cleaner: Timer | undefined;
  #readAtMs: number | undefined;
  #isFailing = false;
  #stopped = false;

  constructor(options: ControlTopicOptions) {
    this.#options = options;
    this.#name = `${options.topicPrefix}.control`;
    const { logger, clock } = options;
    const sentence = 'the control topic has lost records, or a broker is behind; it is read again';
    this.#onShorter = new LimitedWarning(logger.warn.bind(logger), sentence, warningEveryMs, () => clock.monotonic());
    if (options.metrics !== undefined) this.#register(options.metrics);
  }

  /** Creates the topic if it is missing and reads all of it. Rejects as `ensureTopic` and `read` do. */
  async start(): Promise<void> {
    const { epoch } = await this.#options.eventLog.ensureTopic(specOf(this.#name));
    this.#epoch = epoch;
    this.#epochAtMs = this.#options.clock.monotonic();
    await this.#read();
    if (this.#stopped) return;
    this.#poller = this.#options.clock.every(controlPollMs, () => void this.poll());
  }

  stop(): void {
    this.#stopped = true;
    this.#poller?.cancel();
    this.#cleaner?.cancel();
  }

  /** Time since the topic was last read to its end, ms. Infinite before the first read. */
  get readAgeMs(): number {
    return this.#readAtMs === undefined ? Number.POSITIVE_INFINITY : this.#options.clock.monotonic() - this.#readAtMs;
  }

  /** Resolves when the revocation is durable and this process has read it. Rejects as `EventLog.append` does. */
  async revoke(entry: RevocationEntry): Promise<void> {
    await this.#append({ revocation: entry });
  }

  /** Resolves when the credential is durable and this process has read it. Rejects as `EventLog.append` does. */
  async issue(credential: DeviceCredential): Promise<void> {
    await this.#append({ credential: credentialMessage(credential) });
  }

  /** Resolves when the state is durable and this process has read it. Rejects as `EventLog.append` does. */
  async switchCommands(state: CommandSwitchState): Promise<void> {
    await this.#append({ commandSwitch: switchMessage(state) });
  }

  /** Resolves when the notice is durable and this process has read it. Rejects as `EventLog.append` does. */
  async notify(notice: Notice): Promise<void> {
    await this.#append({ notice });
  }

  /** Reads the records since the last read. Never rejects: a failed read is counted, and repeated by the next poll. */
  async poll(): Promise<void> {
    if (this.#stopped) return;
    this.#reading ??= this.#poll().finally(() => {
      this.#reading = undefined;
    });
    await this.#reading;
  }

  /**
   * Removes records without effect, once an hour. For one service of an installation; all its nodes may do it, since
   * the first one leaves nothing to the others. `random`: 0 to 1.
   */
  startCleanup(random: () => number): void {
    const run = (delayMs: number) => {
      if (this.#stopped) return;
      this.#cleaner = this.#options.clock.after(delayMs, () => {
        this.removeObsolete()
          .catch((error: unknown) => this.#options.logger.warn({ error }, 'cannot clean up the control topic'))
          .finally(() => run(cleanupEveryMs));
      });
    };
    run(random() * firstCleanupMs);
  }

  /** Appends a tombstone for each record without effect, see `obsoleteKeys`. */
  async removeObsolete(): Promise<void> {
    const { eventLog } = this.#options;
    const live = new Map<string, tailrace.v1.ControlRecord>();
    for await (const records of eventLog.read(this.#name, 0, { from: 0, background: true })) {
      if (this.#stopped) return;
      for (const record of records) {
        const content = contentOf(record);
        // In the order of the last records of the keys.
        live.delete(record.key);
        if (content !== undefined) live.set(record.key, content);
      }
    }
    const obsolete = obsoleteKeys(live, this.#options.clock.now());
    for (let at = 0; at < obsolete.length && !this.#stopped; at += tombstonesPerAppend) {
      const tombstones = obsolete.slice(at, at + tombstonesPerAppend).map((key) => ({ key, value: new Uint8Array(0) }));
      await eventLog.append(this.#name, tombstones);
      this.counts.removed += tombstones.length;
    }
  }

  async #append(content: tailrace.v1.IControlRecord): Promise<void> {
    await this.#options.eventLog.append(this.#name, [recordFrom(content)]);
    this.counts.appended++;
    // A poll in progress may have read the end already: the next one reads the new record.
    await this.#reading;
    await this.poll();
  }

  async #poll(): Promise<void> {
    try {
      await this.#read();
      this.#isFailing = false;
    } catch (thrown) {
      this.counts.readFailures++;
      if (this.#stopped || this.#isFailing) return;
      this.#isFailing = true;
      const { code, message } = tailraceErrorFrom(thrown);
      this.#options.logger.warn(
        { topic: this.#name, code, reason: message },
        'cannot read the control topic, retrying',
      );
    }
  }

  async #read(): Promise<void> {
    const { eventLog, clock } = this.#options;
    const until = await this.#findEnd();
    if (until > this.#next) {
      for await (const records of eventLog.read(this.#name, 0, { from: this.#next, until })) {
        if (this.#stopped) return;
        this.#process(records);
      }
      // Compaction removes the records of some positions, possibly also the last ones before the end.
      this.#next = until;
    }
    this.#notifySwitch();
    this.#readAtMs = clock.monotonic();
  }

  #notifySwitch(): void {
    const state = this.#commandSwitch;
    this.#commandSwitch = undefined;
    if (state !== undefined) this.#options.onCommandSwitch?.(state);
  }

  /**
   * Resolves with the end, and sets `#next` to 0 if the topic has other records at the same positions. It was
   * re-created if its epoch has changed. That is checked before each read of new records, so that none is received
   * twice, and every `epochCheckMs`, because a re-created topic may have the same end.
   *
   * If the end is before `#next`, and the epoch is the same, an unclean leader election has removed records, or the
   * answer is outdated. This cannot be distinguished, and new records may follow at once, at positions that were read
   * before. So the topic is read again in both cases.
   */
  async #findEnd(): Promise<number> {
    const end = await this.#end();
    const isDue = this.#options.clock.monotonic() - this.#epochAtMs >= epochCheckMs;
    if ((isDue || end !== this.#next) && (await this.#wasRecreated())) {
      this.#next = 0;
      // The first one may be the end of the former topic.
      return await this.#end();
    }
    if (end < this.#next) {
      const readTo = this.#next;
      this.#onShorter.write(() => ({ topic: this.#name, end, readTo }));
      this.#next = 0;
    }
    return end;
  }

  async #end(): Promise<number> {
    return boundsOf(await this.#options.eventLog.bounds(this.#name, [0]), 0).next;
  }

  async #wasRecreated(): Promise<boolean> {
    const { eventLog, clock, logger } = this.#options;
    const { epoch } = await eventLog.describeTopic(this.#name);
    this.#epochAtMs = clock.monotonic();
    if (epoch === this.#epoch) return false;
    const facts = { topic: this.#name, epoch, formerEpoch: this.#epoch, readTo: this.#next };
    logger.warn(facts, 'the control topic was re-created');
    this.#epoch = epoch;
    return true;
  }

  #process(records: readonly LogRecord[]): void {
    const credentials: DeviceCredential[] = [];
    const revocations: RevocationEntry[] = [];
    const notices: Notice[] = [];
    for (const record of records) {
      const content = contentOf(record);
      if (content?.revocation) revocations.push(entryFrom(content.revocation));
      else if (content?.credential) credentials.push(credentialFrom(content.credential));
      else if (content?.commandSwitch) this.#commandSwitch = switchFrom(content.commandSwitch);
      else if (content?.notice) {
        if (this.#isNew(record.key)) notices.push(noticeFrom(content.notice));
      } else if (record.unreadable !== undefined || record.value.length > 0) this.counts.unreadable++;
      if (content !== undefined) this.counts.received++;
    }
    // A credential is issued before it is revoked. Neither may be lost by an error of a subscriber to notices.
    if (credentials.length > 0) this.#options.onCredentials(credentials);
    if (revocations.length > 0) this.#options.onRevocations(revocations);
    this.#next = recordEnd(records.at(-1)!);
    for (const notice of notices) this.#options.onNotice?.(notice);
  }

  /** Returns whether a notice was not received yet, and remembers it. */
  #isNew(key: string): boolean {
    if (this.#knownNotices.has(key)) return false;
    this.#knownNotices.add(key);
    const [oldest] = this.#knownNotices;
    if (this.#knownNotices.size > knownNoticesMax) this.#knownNotices.delete(oldest!);
    return true;
  }

  #register(metrics: Metrics): void {
    const name = (rest: string) => `tailrace_${metrics.service}_control_${rest}`;
    const { counts } = this;
    metrics.gauge(
      name('read_age_seconds'),
      'Seconds since the control topic was last read to its end: the most that a credential or revocation is delayed.',
      () => this.readAgeMs / 1_000,
    );
    metrics.total(
      name('records_total'),
      'Credentials, revocations, command switches and notices read.',
      () => counts.received,
    );
    metrics.total(name('read_failures_total'), 'Polls of the control topic that failed.', () => counts.readFailures);
    metrics.total(
      name('unreadable_records_total'),
      'Records of the control topic that were skipped because they cannot be read.',
      () => counts.unreadable,
    );
  }
}

/** Returns the spec of a small topic without retention: compaction removes only records with a tombstone. */
function specOf(name: string): TopicSpec {
  return {
    name,
    partitions: 1,
    retentionMs: Number.POSITIVE_INFINITY,
    retentionBytes: Number.POSITIVE_INFINITY,
    compacted: true,
  };
}
