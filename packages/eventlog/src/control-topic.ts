import type { Clock, Timer } from '@tailrace/platform/clock';
import type { DeviceCredential } from '@tailrace/platform/device-credentials';
import type { Logger } from '@tailrace/platform/logger';
import type { Metrics } from '@tailrace/platform/metrics';
import type { RevocationEntry } from '@tailrace/platform/revocation';
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
import type { EventLog, LogRecord, TopicSpec } from './event-log.ts';
import { TopicPoller } from './topic-poller.ts';

/** How often each process polls the topic, ms: the record of another process arrives within this time and one read. */
export const controlPollMs = 500;
const cleanupEveryMs = 3_600_000;
/** The first cleanup is at a random time below this, ms, so that one of many nodes does the work. */
const firstCleanupMs = 600_000;
const tombstonesPerAppend = 500;
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
  readonly counts = { appended: 0, received: 0, unreadable: 0, removed: 0 };
  readonly poller: TopicPoller;
  readonly #options: ControlTopicOptions;
  readonly #name: string;
  /** Keys of the last notices, oldest first. */
  readonly #knownNotices = new Set<string>();
  /** The last one that was read, until the end is reached: those before it have no effect. */
  #commandSwitch: CommandSwitchState | undefined;
  /** Read, and not passed on: an error of a subscriber must not lose revocations. */
  #notices: Notice[] = [];
  #cleaner: Timer | undefined;
  #stopped = false;

  constructor(options: ControlTopicOptions) {
    this.#options = options;
    this.#name = `${options.topicPrefix}.control`;
    const { eventLog, logger, clock } = options;
    this.poller = new TopicPoller({
      ...{ eventLog, spec: specOf(this.#name), what: 'the control topic', clock, logger, pollMs: controlPollMs },
      onRecords: (records) => this.#process(records),
      onEnd: () => this.#notify(),
    });
    if (options.metrics !== undefined) this.#register(options.metrics);
  }

  /** Creates the topic if it is missing and reads all of it. Rejects as `ensureTopic` and `read` do. */
  start(): Promise<void> {
    return this.poller.start();
  }

  stop(): void {
    this.#stopped = true;
    this.poller.stop();
    this.#cleaner?.cancel();
  }

  /** Time since the topic was last read to its end, ms. Infinite before the first read. */
  get readAgeMs(): number {
    return this.poller.readAgeMs;
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

  /** Reads the records since the last read. Never rejects: see `TopicPoller.poll`. */
  poll(): Promise<void> {
    return this.poller.poll();
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
    await this.poller.pollAgain();
  }

  /** Called when the topic was read to its end. */
  #notify(): void {
    const state = this.#commandSwitch;
    this.#commandSwitch = undefined;
    if (state !== undefined) this.#options.onCommandSwitch?.(state);
    for (const notice of this.#notices.splice(0)) this.#options.onNotice?.(notice);
  }

  #process(records: readonly LogRecord[]): void {
    const credentials: DeviceCredential[] = [];
    const revocations: RevocationEntry[] = [];
    for (const record of records) {
      const content = contentOf(record);
      if (content?.revocation) revocations.push(entryFrom(content.revocation));
      else if (content?.credential) credentials.push(credentialFrom(content.credential));
      else if (content?.commandSwitch) this.#commandSwitch = switchFrom(content.commandSwitch);
      else if (content?.notice) {
        if (this.#isNew(record.key)) this.#notices.push(noticeFrom(content.notice));
      } else if (record.unreadable !== undefined || record.value.length > 0) this.counts.unreadable++;
      if (content !== undefined) this.counts.received++;
    }
    // A credential is issued before it is revoked. Neither may be lost by an error of a subscriber to notices.
    if (credentials.length > 0) this.#options.onCredentials(credentials);
    if (revocations.length > 0) this.#options.onRevocations(revocations);
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
    metrics.total(
      name('read_failures_total'),
      'Polls of the control topic that failed.',
      () => this.poller.counts.readFailures,
    );
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
