import type { Clock, Timer } from '@tailrace/platform/clock';
import type { Log } from '@tailrace/platform/log';
import { shown, TailraceError } from '@tailrace/protocol/error';
import type { SubscribeOptions, Subscription } from '../eventlog.ts';
import { KafkaCommits } from './commits.ts';
import type { KafkaCounts } from './counts.ts';
import { KafkaDelivery } from './delivery.ts';
import { kafkajsTypeOf } from './errors.ts';
import { KafkaFetcher } from './fetcher.ts';
import { KafkaLeases } from './leases.ts';
import type { KafkaLink } from './link.ts';
import { type Joined, KafkaMembership } from './membership.ts';

export interface KafkaSubscriptionOptions {
  readonly clock: Clock;
  readonly counts: KafkaCounts;
  readonly log: Log;
  /** Makes connections for this member alone. */
  createLink(): KafkaLink;
  readonly queueRecordsMax: number;
  readonly queueBytesMax: number;
  readonly fetchMinBytes: number;
  readonly fetchBytesMax: number;
  readonly partitionBytesMax: number;
  readonly heartbeatMs: number;
  readonly sessionTimeoutMs: number;
  readonly rebalanceTimeoutMs: number;
  readonly commitMs: number;
  /** Of `subscribe` itself. */
  readonly joinTimeoutMs: number;
  /** Nothing has moved for so long although it should: connections are made anew. */
  readonly stallMs: number;
  onEnd(subscription: KafkaSubscription): void;
}

/** How long the group is let wait for a call of this member to end before it joins again without. */
const letGoMs = 3000;
const leaveMs = 2000;
const pauseFirstMs = 100;
const pauseMaxMs = 2000;

/**
 * `joining`: no part in the group. `serving`: has its partitions, sends heartbeats. `ending`: `stop` was called; what runs is waited
 * for. `ended`: nothing comes any more.
 */
type State = 'joining' | 'serving' | 'ending' | 'ended';

/**
 * A member of a consumer group.
 *
 * The group protocol is kafkajs's, request by request; its Consumer is not used: it tells neither generation nor member data,
 * starts fetching before anybody could say from where, sends heartbeats only between fetches, and loses its place in kept partitions.
 *
 * The protocol is eager: at every change of the group all members join again and get a new assignment. When a heartbeat says so, the
 * member begins no further call, waits for the one that runs (at most 3 s), writes its commits, and joins; what it keeps goes on from its
 * own position, fetching does not even pause.
 */
export class KafkaSubscription implements Subscription {
  readonly #options: KafkaSubscriptionOptions;
  readonly #subscriber: SubscribeOptions;
  readonly #delivery: KafkaDelivery;
  readonly #fetcher: KafkaFetcher;
  readonly #membership: KafkaMembership;
  readonly #commits: KafkaCommits;
  readonly #leases: KafkaLeases;
  #link: KafkaLink;
  #state: State = 'joining';
  #fenced = false;
  #stopped: Promise<void> | undefined;
  #watchdog: Timer | undefined;
  #wake: (() => void) | undefined;

  constructor(link: KafkaLink, partitions: number, subscriber: SubscribeOptions, options: KafkaSubscriptionOptions) {
    const { clock, log, queueRecordsMax: recordsMax, queueBytesMax: bytesMax } = options;
    const { group, member, topics, flushMs, onBatches } = subscriber;
    const report = (thrown: unknown) => this.report(thrown);
    this.#link = link;
    this.#options = options;
    this.#subscriber = subscriber;
    this.#delivery = new KafkaDelivery({
      clock,
      recordsMax,
      bytesMax,
      onBatches: (batches) => onBatches.call(subscriber, batches),
      report,
    });
    this.#fetcher = new KafkaFetcher(link, {
      clock,
      counts: options.counts,
      flushMs,
      minBytes: options.fetchMinBytes,
      maxBytes: options.fetchBytesMax,
      partitionBytesMax: options.partitionBytesMax,
      delivery: this.#delivery,
      report,
    });
    const { sessionTimeoutMs, rebalanceTimeoutMs, commitMs } = options;
    this.#membership = new KafkaMembership(link, {
      group,
      member,
      topics,
      partitions,
      sessionTimeoutMs,
      rebalanceTimeoutMs,
      clock,
      log,
    });
    this.#leases = new KafkaLeases({
      clock,
      subscriber,
      delivery: this.#delivery,
      fetcher: this.#fetcher,
      membership: this.#membership,
      link: () => this.#link,
      report,
    });
    this.#commits = new KafkaCommits(clock, commitMs, this.#membership, report);
  }

  /** Resolves when the member has joined; throws when it cannot. */
  async start(): Promise<void> {
    const { group } = this.#subscriber;
    const { joinTimeoutMs, clock } = this.#options;
    const joined = await this.#link.retry(`join group ${shown(group)}`, joinTimeoutMs, () => this.#membership.join());
    // The first assignment comes after `subscribe` has resolved.
    setImmediate(() => void this.#run(joined));
    this.#watchdog = clock.every(1000, () => this.#watch());
  }

  commit(topic: string, partition: number, next: number): void {
    if (this.#state === 'ended' || !this.#leases.owned().has(partition)) return;
    this.#commits.note(topic, partition, next);
  }

  queue(): { readonly records: number; readonly recordsMax: number } {
    return this.#delivery.queue();
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  report(thrown: unknown): void {
    const error = this.#link.errorFrom(thrown, `serve group ${shown(this.#subscriber.group)}`);
    // What a closed link says at the end is no fault.
    if (this.#state === 'ended') return;
    this.#subscriber.onError?.(thrown instanceof Error && !isKafkajs(thrown) ? thrown : error);
  }

  async #stop(): Promise<void> {
    if (this.#state === 'ended') return;
    this.#state = 'ending';
    // Heartbeats go on meanwhile: a long last call must not cost the membership, and with it the commits.
    await this.#delivery.end();
    this.#fetcher.end();
    this.#leases.end();
    await this.#atMost(leaveMs, this.#commits.end());
    this.#state = 'ended';
    this.#watchdog?.cancel();
    this.#wake?.();
    await this.#atMost(
      leaveMs,
      this.#membership.leave().catch(() => {}),
    );
    await this.#atMost(leaveMs, this.#link.close());
    this.#options.onEnd(this);
  }

  /** Serves one generation after the other until the end. */
  async #run(first: Joined): Promise<void> {
    let joined: Joined | undefined = first;
    let pauseMs = pauseFirstMs;
    while (this.#state !== 'ended') {
      try {
        joined ??= await this.#joinAgain();
        if (this.#isEnded()) return;
        this.#adopt(joined);
        pauseMs = pauseFirstMs;
        await this.#heartbeats();
      } catch (thrown) {
        if (this.#isEnded()) return;
        if (kafkajsTypeOf(thrown) === 'UNKNOWN_MEMBER_ID') this.#fenced = true;
        this.report(thrown);
        await this.#sleep(pauseMs);
        pauseMs = Math.min(pauseMs * 2, pauseMaxMs);
      }
      joined = undefined;
    }
  }

  async #joinAgain(): Promise<Joined> {
    if (this.#state === 'serving') this.#state = 'joining';
    await this.#letGo();
    await this.#atMost(leaveMs, this.#commits.flush());
    return await this.#membership.join();
  }

  /** No call begins any more. Waits for the one that runs, a while, with a heart that beats on. */
  async #letGo(): Promise<void> {
    const { clock, heartbeatMs } = this.#options;
    const end = clock.monotonic() + letGoMs;
    let isFree = false;
    const free = this.#delivery.suspend().then(() => {
      isFree = true;
    });
    for (;;) {
      await this.#atMost(heartbeatMs, free);
      if (isFree || clock.monotonic() >= end || this.#isEnded()) return;
      const pulse = await this.#membership.heartbeat().catch(() => 'alive');
      if (pulse === 'fenced') this.#fenced = true;
    }
  }

  #adopt(joined: Joined): void {
    const { group, member } = this.#subscriber;
    this.#options.counts.joins++;
    if (joined.replaced) {
      const why = `another process has joined group ${group} as ${member}: give every node a name of its own`;
      this.report(new TailraceError('conflict', why));
    }
    if (this.#state === 'joining') this.#state = 'serving';
    this.#leases.assign(joined, this.#fenced);
    this.#commits.keepOnly(this.#leases.owned());
    this.#fenced = false;
    this.#delivery.resume();
  }

  /** Returns when the group has gone on to another generation. */
  async #heartbeats(): Promise<void> {
    let lost = 0;
    while (!this.#isEnded()) {
      await this.#sleep(this.#options.heartbeatMs);
      if (this.#isEnded()) return;
      try {
        const pulse = await this.#membership.heartbeat();
        lost = 0;
        if (pulse === 'alive') continue;
        if (pulse === 'fenced') this.#fenced = true;
        return;
      } catch (thrown) {
        // The coordinator is gone for the moment. The generation holds until one says otherwise; records come from elsewhere.
        if (lost++ % 10 === 0) this.report(thrown);
        await this.#link.refresh().catch(() => {});
      }
    }
  }

  /** Connections that no answer comes over are left alone, and others made; the member and its positions stay the same. */
  #watch(): void {
    if (this.#state === 'ended') return;
    const stall = this.#fetcher.stalled(this.#options.stallMs);
    if (stall === undefined) return;
    const { group, member } = this.#subscriber;
    this.report(new TailraceError('unavailable', `reading stands still (${stall}); connecting anew`));
    this.#options.log.warn({ group, member, stall }, 'reading from Kafka stands still; connecting anew');
    this.#options.counts.reconnects++;
    const old = this.#link;
    this.#link = this.#options.createLink();
    void this.#moveTo(this.#link);
    void old.close();
  }

  async #moveTo(link: KafkaLink): Promise<void> {
    this.#membership.moveTo(link);
    for (const topic of this.#subscriber.topics) await link.lookUp(topic, 0).catch(() => {});
    if (link === this.#link && this.#state !== 'ended') this.#fetcher.moveTo(link);
  }

  #isEnded(): boolean {
    return this.#state === 'ended';
  }

  /** Cut short by the end. */
  async #sleep(delayMs: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = this.#options.clock.after(delayMs, resolve);
    this.#wake = resolve;
    await promise;
    timer.cancel();
  }

  async #atMost(limitMs: number, work: Promise<unknown>): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = this.#options.clock.after(limitMs, resolve);
    await Promise.race([work, promise]);
    timer.cancel();
  }
}

function isKafkajs(error: Error): boolean {
  return error.name.startsWith('KafkaJS');
}
