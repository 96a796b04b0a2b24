import type { Timer } from '@tailrace/platform/clock';
import { withinDeadline } from '@tailrace/platform/deadline';
import { shown, TailraceError } from '@tailrace/protocol/error';
import type { SubscribeOptions } from '../event-log.ts';
import { GroupMember } from '../group-member.ts';
import { RecordBuffer } from '../record-buffer.ts';
import type { KafkaCounts } from './counts.ts';
import { kafkajsTypeOf } from './errors.ts';
import { KafkaFetcher } from './fetcher.ts';
import type { KafkaLink } from './link.ts';
import { type Joined, KafkaMembership } from './membership.ts';
import type { KafkaSettings } from './settings.ts';

export interface KafkaSubscriptionOptions {
  readonly settings: KafkaSettings;
  readonly counts: KafkaCounts;
  /** Creates connections for this member alone. */
  createLink(): KafkaLink;
  onStopped(subscription: KafkaSubscription): void;
}

const megabyte = 1_048_576;
const fetchBytesMax = 16 * megabyte;
const partitionBytesMax = megabyte;
/** How long the group waits for its members to join again. */
const rebalanceTimeoutMs = 10_000;
/** How long a member waits for its call to end before it joins again without. */
const releaseMs = 3000;
const commitTimeoutMs = 2000;
const leaveMs = 2000;
const committedTimeoutMs = 10_000;
const pauseFirstMs = 100;
const pauseMaxMs = 2000;

/**
 * The part of a consumer group member that is Kafka's: it joins the group, sends heartbeats, and hands assignments to
 * the `GroupMember`, which owns all state of partitions, delivery and commits.
 *
 * The group protocol is kafkajs's, request by request. Its Consumer is not used: it does not give the generation or the
 * members' data, fetches before the start positions are known, sends heartbeats only between fetches, and loses its
 * position in kept partitions.
 *
 * The protocol is eager: at every change of the group all members join again and get a new assignment. When a heartbeat
 * says so, the member releases all partitions (at most 3 s), and joins. What it keeps goes on at its own position;
 * fetching does not even pause.
 */
export class KafkaSubscription {
  readonly member: GroupMember;
  readonly #options: KafkaSubscriptionOptions;
  readonly #subscriber: SubscribeOptions;
  readonly #fetcher: KafkaFetcher;
  readonly #membership: KafkaMembership;
  #link: KafkaLink;
  /** The group has gone on without this member. */
  #isFenced = false;
  #hasLeft = false;
  #watchdog: Timer | undefined;
  #wake: (() => void) | undefined;

  constructor(link: KafkaLink, partitions: number, subscriber: SubscribeOptions, options: KafkaSubscriptionOptions) {
    const { settings, counts } = options;
    const { clock, logger, queueRecordsMax, queueBytesMax, fetchMinBytes, sessionTimeoutMs, commitMs } = settings;
    const { group, member, topics, flushMs } = subscriber;
    const report = (thrown: unknown) => this.#report(thrown);
    this.#link = link;
    this.#options = options;
    this.#subscriber = subscriber;
    this.#membership = new KafkaMembership(link, {
      group,
      member,
      topics,
      partitions,
      sessionTimeoutMs,
      rebalanceTimeoutMs,
      clock,
      logger,
    });
    const buffer = new RecordBuffer({ recordsMax: queueRecordsMax, bytesMax: queueBytesMax });
    this.#fetcher = new KafkaFetcher(link, {
      clock,
      counts,
      flushMs,
      minBytes: fetchMinBytes,
      maxBytes: fetchBytesMax,
      partitionBytesMax,
      buffer,
      report,
    });
    this.member = new GroupMember({
      clock,
      subscriber,
      buffer,
      source: this.#fetcher,
      membership: {
        committed: (gained) => this.#committed(gained),
        commit: (commits) => this.#membership.commit(commits),
        leave: () => this.#leave(),
      },
      schedule: setImmediate,
      // The broker holds records back: `flushMs` of the fetcher.
      windowMs: 0,
      commitMs,
      onError: report,
    });
  }

  /** Resolves when the member has joined; rejects when it cannot. */
  async start(): Promise<void> {
    const { group } = this.#subscriber;
    const { startTimeoutMs, clock } = this.#options.settings;
    const joined = await this.#link.retry(`join group ${shown(group)}`, startTimeoutMs, () => this.#membership.join());
    // The first assignment comes after `subscribe` has resolved.
    setImmediate(() => void this.#run(joined));
    this.#watchdog = clock.every(1000, () => this.#watch());
  }

  #report(thrown: unknown): void {
    // An error of a link that was closed at the end is none.
    if (this.#hasLeft) return;
    const isOwn = thrown instanceof Error && !thrown.name.startsWith('KafkaJS');
    const error = isOwn ? thrown : this.#link.errorFrom(thrown, `serve group ${shown(this.#subscriber.group)}`);
    this.#subscriber.onError?.(error);
  }

  async #committed(partitions: readonly number[]): Promise<Map<string, Map<number, number>>> {
    const ask = () => this.#membership.committed(partitions);
    return await this.#link.retry('look up committed positions', committedTimeoutMs, ask);
  }

  /** Heartbeats go on until here: a long last call must not cost the membership, and with it the commits. */
  async #leave(): Promise<void> {
    const { clock } = this.#options.settings;
    this.#hasLeft = true;
    this.#watchdog?.cancel();
    this.#wake?.();
    await withinDeadline(clock, leaveMs, () => this.#membership.leave().catch(() => {}));
    await withinDeadline(clock, leaveMs, () => this.#link.close());
    this.#options.onStopped(this);
  }

  /** Serves one generation after the other until the end. */
  async #run(first: Joined): Promise<void> {
    let joined: Joined | undefined = first;
    let pauseMs = pauseFirstMs;
    while (!this.#hasLeft) {
      try {
        joined ??= await this.#joinAgain();
        if (this.#hasLeft) return;
        this.#adopt(joined);
        pauseMs = pauseFirstMs;
        await this.#heartbeats();
      } catch (thrown) {
        if (this.#hasLeft) return;
        if (kafkajsTypeOf(thrown) === 'UNKNOWN_MEMBER_ID') this.#isFenced = true;
        this.#report(thrown);
        await this.#sleep(pauseMs);
        pauseMs = Math.min(pauseMs * 2, pauseMaxMs);
      }
      joined = undefined;
    }
  }

  async #joinAgain(): Promise<Joined> {
    await this.#release();
    return await this.#membership.join();
  }

  /** Releases all partitions. Waits for a call that runs, and sends heartbeats meanwhile. */
  async #release(): Promise<void> {
    const { clock, heartbeatMs } = this.#options.settings;
    const endMs = clock.monotonic() + releaseMs;
    const released = this.member.release();
    while ((await withinDeadline(clock, heartbeatMs, () => released)) === 'late') {
      if (this.#hasLeft) return;
      // What was committed up to now is written all the same.
      if (clock.monotonic() >= endMs) break;
      const health = await this.#membership.heartbeat().catch(() => 'alive');
      if (health === 'fenced') this.#isFenced = true;
    }
    await withinDeadline(clock, commitTimeoutMs, () => this.member.flush());
  }

  #adopt({ generation, partitions, replaced }: Joined): void {
    const { group, member } = this.#subscriber;
    this.#options.counts.joins++;
    if (replaced) {
      const why = `another process has joined group ${group} as ${member}: give every node a name of its own`;
      this.#report(new TailraceError('conflict', why));
    }
    void this.member.assign({ generation, partitions, expelled: this.#isFenced });
    this.#isFenced = false;
  }

  /** Returns when the group has gone on to another generation. */
  async #heartbeats(): Promise<void> {
    let lost = 0;
    while (!this.#hasLeft) {
      await this.#sleep(this.#options.settings.heartbeatMs);
      if (this.#hasLeft) return;
      try {
        const health = await this.#membership.heartbeat();
        lost = 0;
        if (health === 'alive') continue;
        if (health === 'fenced') this.#isFenced = true;
        return;
      } catch (thrown) {
        // The coordinator is away. The generation holds until one says otherwise; records come from other brokers.
        if (lost++ % 10 === 0) this.#report(thrown);
        await this.#link.refresh().catch(() => {});
      }
    }
  }

  /** Replaces connections that bring no answer. The member and its positions stay the same. */
  #watch(): void {
    if (this.#hasLeft) return;
    const stall = this.#fetcher.stalled(this.#options.settings.stallMs);
    if (stall === undefined) return;
    const { group, member } = this.#subscriber;
    this.#report(new TailraceError('unavailable', `reading stands still (${stall}); connecting again`));
    this.#options.settings.logger.warn({ group, member, stall }, 'reading from Kafka stands still; connecting again');
    this.#options.counts.reconnects++;
    const old = this.#link;
    this.#link = this.#options.createLink();
    void this.#moveTo(this.#link);
    void old.close();
  }

  async #moveTo(link: KafkaLink): Promise<void> {
    this.#membership.moveTo(link);
    for (const topic of this.#subscriber.topics) await link.lookUp(topic, 0).catch(() => {});
    if (link === this.#link && !this.#hasLeft) this.#fetcher.moveTo(link);
  }

  /** Cut short by the end. */
  async #sleep(delayMs: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = this.#options.settings.clock.after(delayMs, resolve);
    this.#wake = resolve;
    await promise;
    timer.cancel();
  }
}
