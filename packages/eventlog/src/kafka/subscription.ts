import type { Timer } from '@tailrace/platform/clock';
import { withinDeadline } from '@tailrace/platform/deadline';
import { backoffMs, noJitter } from '@tailrace/protocol/backoff';
import { shown, TailraceError } from '@tailrace/protocol/error';
import type { SubscribeOptions } from '../event-log.ts';
import { GroupMember } from '../group-member.ts';
import { RecordBuffer } from '../record-buffer.ts';
import type { KafkaClient } from './client.ts';
import type { KafkaCounts } from './counts.ts';
import { kafkajsTypeOf } from './errors.ts';
import { KafkaFetcher } from './fetcher.ts';
import { type JoinResult, KafkaMembership } from './membership.ts';
import type { KafkaSettings } from './settings.ts';

export interface KafkaSubscriptionOptions {
  readonly settings: KafkaSettings;
  readonly counts: KafkaCounts;
  /** Creates connections for this member alone. */
  createClient(): KafkaClient;
  onStopped(subscription: KafkaSubscription): void;
}

const megabyte = 1_048_576;
const fetchBytesMax = 16 * megabyte;
const partitionBytesMax = megabyte;
/** How long the group waits for its members to rejoin. */
const rebalanceTimeoutMs = 10_000;
/** How long a member waits for a call in progress before it rejoins anyway. */
const releaseMs = 3000;
const commitTimeoutMs = 2000;
const leaveMs = 2000;
const committedTimeoutMs = 10_000;
/** The metadata are refreshed after this time also without an error. */
const metadataAgeMs = 60_000;
const backoff = { baseMs: 100, capMs: 2000 };

/**
 * The Kafka part of a consumer group member: joins the group, sends heartbeats, and passes assignments to the
 * `GroupMember`, which owns all state of partitions, delivery and commits.
 *
 * Uses the group requests of kafkajs. Its Consumer is not used: it does not expose the generation and the members'
 * data, fetches before the start positions are known, sends heartbeats only between fetches, and loses its position in
 * retained partitions.
 *
 * The protocol is eager: at every change of the group all members rejoin and get a new assignment. When a heartbeat
 * reports a rebalance, the member releases all partitions (at most 3 s), and rejoins. Retained partitions continue at
 * their position, without a pause of fetching.
 */
export class KafkaSubscription {
  readonly member: GroupMember;
  /** The records that are fetched and not delivered. For metrics. */
  readonly buffer: RecordBuffer;
  readonly #options: KafkaSubscriptionOptions;
  readonly #subscriber: SubscribeOptions;
  readonly #fetcher: KafkaFetcher;
  readonly #membership: KafkaMembership;
  #client: KafkaClient;
  /** Whether the group has expelled this member. */
  #isFenced = false;
  #hasLeft = false;
  #watchdog: Timer | undefined;
  #refresher: Timer | undefined;
  #wake: (() => void) | undefined;

  constructor(
    client: KafkaClient,
    partitions: number,
    subscriber: SubscribeOptions,
    options: KafkaSubscriptionOptions,
  ) {
    const { settings, counts } = options;
    const { clock, logger, queueRecordsMax, queueBytesMax, fetchMinBytes, sessionTimeoutMs, commitMs } = settings;
    const { group, member, topics, flushMs } = subscriber;
    const report = (thrown: unknown) => this.#report(thrown);
    this.#client = client;
    this.#options = options;
    this.#subscriber = subscriber;
    this.#membership = new KafkaMembership(client, {
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
    this.buffer = buffer;
    this.#fetcher = new KafkaFetcher(client, {
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
      // The broker delays records: `flushMs` of the fetcher.
      windowMs: 0,
      commitMs,
      onError: report,
    });
  }

  /** Resolves when the member has joined. Rejects at the deadline, or with an error that is not retriable. */
  async start(): Promise<void> {
    const { group } = this.#subscriber;
    const { startTimeoutMs, clock } = this.#options.settings;
    const joined = await this.#client.retry(`join group ${shown(group)}`, startTimeoutMs, () =>
      this.#membership.join(),
    );
    // The first assignment comes after `subscribe` has resolved.
    setImmediate(() => void this.#run(joined));
    this.#watchdog = clock.every(1000, () => this.#watch());
    this.#refresher = clock.every(metadataAgeMs, () => void this.#fetcher.refresh());
  }

  #report(thrown: unknown): void {
    // Errors of a closed client are not reported.
    if (this.#hasLeft) return;
    const isOwn = thrown instanceof Error && !thrown.name.startsWith('KafkaJS');
    const error = isOwn ? thrown : this.#client.errorFrom(thrown, `serve group ${shown(this.#subscriber.group)}`);
    this.#subscriber.onError?.(error);
  }

  async #committed(partitions: readonly number[]): Promise<Map<string, Map<number, number>>> {
    const ask = () => this.#membership.committed(partitions);
    return await this.#client.retry('look up committed positions', committedTimeoutMs, ask);
  }

  /**
   * Leaves the group. Heartbeats continue until then: a long last call must not cost the membership and its commits.
   */
  async #leave(): Promise<void> {
    const { clock } = this.#options.settings;
    this.#hasLeft = true;
    this.#watchdog?.cancel();
    this.#refresher?.cancel();
    this.#wake?.();
    await withinDeadline(clock, leaveMs, () => this.#membership.leave().catch(() => {}));
    await withinDeadline(clock, leaveMs, () => this.#client.close());
    this.#options.onStopped(this);
  }

  /** Runs one generation after the other until the member leaves. */
  async #run(first: JoinResult): Promise<void> {
    let joined: JoinResult | undefined = first;
    let failures = 0;
    while (!this.#hasLeft) {
      try {
        joined ??= await this.#rejoin();
        if (this.#hasLeft) return;
        this.#adopt(joined);
        failures = 0;
        await this.#heartbeats();
      } catch (thrown) {
        if (this.#hasLeft) return;
        // Without an answer the group may have a generation with this member, of which it does not know.
        const type = kafkajsTypeOf(thrown);
        if (type === undefined || type === 'UNKNOWN_MEMBER_ID') this.#isFenced = true;
        this.#report(thrown);
        await this.#sleep(backoffMs(failures++, noJitter, backoff));
      }
      joined = undefined;
    }
  }

  async #rejoin(): Promise<JoinResult> {
    await this.#release();
    return await this.#membership.join();
  }

  /** Releases all partitions. Waits for a call in progress, and sends heartbeats in the meantime. */
  async #release(): Promise<void> {
    const { clock, heartbeatMs } = this.#options.settings;
    const endMs = clock.monotonic() + releaseMs;
    const released = this.member.release();
    while ((await withinDeadline(clock, heartbeatMs, () => released)) === 'late') {
      if (this.#hasLeft) return;
      // Commits up to now are written anyway.
      if (clock.monotonic() >= endMs) break;
      const health = await this.#membership.heartbeat().catch(() => 'alive');
      if (health === 'fenced') this.#isFenced = true;
    }
    await withinDeadline(clock, commitTimeoutMs, () => this.member.flush());
  }

  #adopt({ generation, partitions, replaced }: JoinResult): void {
    const { group, member } = this.#subscriber;
    this.#options.counts.joins++;
    if (replaced) {
      const why = `another process has joined group ${group} as ${member}: every node needs its own name`;
      this.#report(new TailraceError('conflict', why));
    }
    void this.member.assign({ generation, partitions, expelled: this.#isFenced });
    this.#isFenced = false;
  }

  /** Sends heartbeats until the generation is replaced. */
  async #heartbeats(): Promise<void> {
    let failures = 0;
    while (!this.#hasLeft) {
      await this.#sleep(this.#options.settings.heartbeatMs);
      if (this.#hasLeft) return;
      try {
        const health = await this.#membership.heartbeat();
        failures = 0;
        if (health === 'alive') continue;
        if (health === 'fenced') this.#isFenced = true;
        return;
      } catch (thrown) {
        // The coordinator is unreachable. The generation is valid until a coordinator replaces it, and records come
        // from other brokers.
        if (failures++ % 10 === 0) this.#report(thrown);
        await this.#client.refresh().catch(() => {});
      }
    }
  }

  /** Replaces the connections of a stalled fetcher. The member and its positions do not change. */
  #watch(): void {
    if (this.#hasLeft) return;
    const stall = this.#fetcher.stalled(this.#options.settings.stallMs);
    if (stall === undefined) return;
    const { group, member } = this.#subscriber;
    this.#report(new TailraceError('unavailable', `reading has stalled (${stall}); reconnecting`));
    this.#options.settings.logger.warn({ group, member, stall }, 'reading from Kafka has stalled; reconnecting');
    this.#options.counts.reconnects++;
    const old = this.#client;
    this.#client = this.#options.createClient();
    void this.#moveTo(this.#client);
    void old.close();
  }

  async #moveTo(client: KafkaClient): Promise<void> {
    this.#membership.moveTo(client);
    for (const topic of this.#subscriber.topics) await client.lookUp(topic, 0).catch(() => {});
    if (client === this.#client && !this.#hasLeft) this.#fetcher.moveTo(client);
  }

  /** Resolves after the delay, or when the member leaves. */
  async #sleep(delayMs: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = this.#options.settings.clock.after(delayMs, resolve);
    this.#wake = resolve;
    await promise;
    timer.cancel();
  }
}
