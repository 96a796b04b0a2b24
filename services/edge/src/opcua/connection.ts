import type { Clock, Timer } from '@tailrace/platform/clock';
import type { Logger } from '@tailrace/platform/logger';
import { tailraceErrorFrom } from '@tailrace/protocol/error';
import { isBadStatus, isRefusal, lossFrom, nextAttempt } from './connection-failure.ts';
import { resolvedNode } from './node-id.ts';
import {
  type ItemRequest,
  type NodeToRead,
  type OpcuaChannel,
  type OpcuaConnector,
  OpcuaError,
  opcuaStatus,
  type StatusName,
} from './opcua-port.ts';
import { ProofReads } from './proof-reads.ts';
import { Publisher } from './publisher.ts';
import { readServer } from './server-info.ts';
import { isTooLarge, RequestSizes, type ServerProfile } from './server-profile.ts';
import { currentTimeNode, Subscription } from './subscription.ts';
import { queueOf, sampleMsOf, subscriptionPlan } from './subscription-plan.ts';
import type { TagStates } from './tag-states.ts';
import { timeFrom } from './value.ts';

/*
 * The connection to one OPC UA server: one session, and the subscriptions of a source.
 *
 * - `connecting`: a channel is opened. After a lost one, the session goes on on it ("reactivated"). If the server does
 *   not know the session any more, a new one takes over the subscriptions ("transferred"). If it does not know them
 *   either, they are created again.
 * - `subscribing`: the subscriptions are created, or what the server kept meanwhile is fetched.
 * - `live`: values come. Each second the subscriptions are checked: by the time of the server that each reports, not by
 *   the connection. One without it is created again, the third within five minutes with a new session.
 * - `waiting`: the next attempt follows. `untrusted`: the same, and the certificate of the server is not trusted.
 * - `closed`: stopped; the session is closed at the server.
 *
 * A lost channel leaves its session at the server, for the next one. Every other failure closes the session first, so
 * that no session is left behind. Tags are bad after `staleAfterMs` without being live.
 */

export type OpcuaState = 'idle' | 'connecting' | 'subscribing' | 'live' | 'waiting' | 'untrusted' | 'closed';

/** What the connection needs of a tag. */
export interface ConnectedTag {
  readonly node: string;
  readonly index?: number | undefined;
  readonly sampleMs: number;
  readonly queue?: number | undefined;
  readonly serverDeadband?: number | undefined;
}

export interface OpcuaConnectionOptions {
  /** For the log. */
  readonly name: string;
  readonly connector: OpcuaConnector;
  readonly tags: readonly ConnectedTag[];
  readonly states: TagStates;
  readonly publishMs: number;
  readonly profile: ServerProfile;
  readonly clock: Clock;
  readonly random: () => number;
  readonly logger: Logger;
}

/** Totals since the start. */
export interface OpcuaCounts {
  /** Messages that did not come, and that the server did not have any more. */
  lostMessages: number;
  /** Subscriptions that were created again because no value came. */
  idleSubscriptions: number;
  /** Sessions that were given up and made again. */
  rebuilds: number;
}

const staleAfterMs = 5_000;
const stopMs = 3_000;
const tickMs = 1_000;
const checkMs = 2_000;
/** The least time between sessions that are given up, ms, so that few are left at a server that cannot close them. */
const rebuildMs = 10_000;
const retryBadMs = 60_000;
/** Subscriptions without values, within `idleWithinMs`, after which the session is made again. */
const idleMax = 3;
const idleWithinMs = 300_000;

export class OpcuaConnection {
  readonly counts: OpcuaCounts = {
    lostMessages: 0,
    idleSubscriptions: 0,
    rebuilds: 0,
  };
  readonly sizes: RequestSizes;
  readonly reads: ProofReads;
  readonly #options: OpcuaConnectionOptions;
  readonly #subscriptions: readonly Subscription[];
  /** Tags for which the profile has no subscription. */
  readonly #left: readonly number[];
  #state: OpcuaState = 'idle';
  #channel: OpcuaChannel | undefined;
  /** The channel before, while its session can be taken over. */
  #previous: OpcuaChannel | undefined;
  #namespaces: readonly string[] = [];
  #publisher: Publisher | undefined;
  #lose: (error: OpcuaError) => void = () => {};
  #staleTimer: Timer | undefined;
  #isStale = false;
  #wake: () => void = () => {};
  #running: Promise<void> = Promise.resolve();
  #isStopped = false;
  #isTicking = false;
  #retriedBadMs = 0;
  /** When subscriptions were idle, monotonic ms. */
  #idleTimes: number[] = [];
  #rebuiltMs = Number.NEGATIVE_INFINITY;
  /** Tags whose item the server refused. */
  readonly #refused = new Set<number>();

  constructor(options: OpcuaConnectionOptions) {
    this.#options = options;
    this.sizes = new RequestSizes(options.profile);
    this.reads = new ProofReads({ states: options.states, sizes: this.sizes, nodeOf: (tag) => this.nodeOf(tag) });
    const { subscriptions, left } = subscriptionPlan(options.tags, options.publishMs, options.profile);
    this.#left = left;
    this.#subscriptions = subscriptions.map((plan) => {
      const subscription: Subscription = new Subscription({
        plan,
        sizes: this.sizes,
        clock: options.clock,
        itemOf: (tag) => this.#itemOf(tag),
        onValue: (tag, value) => options.states.notified(tag, value),
        onTime: ({ sourceTimestamp, sourcePicoseconds }) => this.#serverTime(sourceTimestamp, sourcePicoseconds),
        onItem: (tag, status) => this.#onItem(tag, status),
        onLoss: (messages) => {
          this.counts.lostMessages += messages;
          this.reads.request(subscription);
        },
        onFailed: (status) => this.#onSubscriptionFailed(subscription, status),
        onReceived: (id, sequenceNumber) => this.#publisher?.acknowledge({ subscription: id, sequenceNumber }),
      });
      return subscription;
    });
  }

  get state(): OpcuaState {
    return this.#state;
  }

  get subscriptions(): readonly Subscription[] {
    return this.#subscriptions;
  }

  /** Only while live. */
  get channel(): OpcuaChannel | undefined {
    return this.#state === 'live' ? this.#channel : undefined;
  }

  /** Time without proof of the subscription that has none for longest, ms. */
  get idleMs(): number {
    return Math.max(0, ...this.#subscriptions.map((subscription) => subscription.idleMs));
  }

  start(): void {
    this.#startStaleTimer();
    for (const tag of this.#left) this.#options.states.bad(tag, 'no_subscription_left');
    this.#running = this.#run();
  }

  /** Closes the session. Idempotent; resolves within about three seconds. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#lose(new OpcuaError('closed', 'stopped'));
    this.#wake();
    this.#staleTimer?.cancel();
    // A connection that is being opened is closed when it is there.
    const late = Promise.withResolvers<void>();
    const timer = this.#options.clock.after(stopMs, late.resolve);
    await Promise.race([this.#running, late.promise]);
    timer.cancel();
    this.#state = 'closed';
  }

  /** Returns the node as the server knows it now; undefined: it has no such namespace. */
  nodeOf(tag: number): NodeToRead | undefined {
    const { node, index } = this.#options.tags[tag]!;
    const resolved = resolvedNode(node, this.#namespaces);
    return resolved === undefined ? undefined : { node: resolved, index };
  }

  async #run(): Promise<void> {
    let attempt = 0;
    while (!this.#isStopped) {
      const lost = Promise.withResolvers<OpcuaError>();
      this.#state = 'connecting';
      let channel: OpcuaChannel;
      try {
        channel = await this.#options.connector.open(this.#previous, (reason) =>
          lost.resolve(new OpcuaError('closed', reason)),
        );
      } catch (error) {
        await this.#waitAfter(error, attempt++);
        continue;
      }
      this.#previous = undefined;
      this.#lose = lost.resolve;
      if (this.#isStopped) {
        await channel.close();
        break;
      }
      const error = await this.#use(channel, lost.promise, () => {
        attempt = 0;
      });
      this.#lose = () => {};
      if (this.#isStopped) {
        await channel.close();
        break;
      }
      await this.#giveUp(channel, error);
      await this.#waitAfter(error, attempt++);
    }
    // It was opened while the stop was called, or its session waits for the next channel.
    await this.#previous?.close();
    this.#previous = undefined;
  }

  /** Resolves with why the channel cannot be used any more. */
  async #use(channel: OpcuaChannel, lost: Promise<OpcuaError>, onLive: () => void): Promise<OpcuaError> {
    const { clock, logger, name } = this.#options;
    this.#channel = channel;
    this.#state = 'subscribing';
    let ticks: Timer | undefined;
    try {
      const failed = await Promise.race([this.#subscribe(channel), lost]);
      if (failed !== undefined) return failed;
      this.#state = 'live';
      onLive();
      this.#staleTimer?.cancel();
      this.#staleTimer = undefined;
      logger.info({ source: name, reactivated: channel.isReactivated }, 'the OPC UA server reports values');
      ticks = clock.every(tickMs, () => void this.#tick(channel));
      return await lost;
    } catch (error) {
      return error instanceof OpcuaError ? error : new OpcuaError('failed', tailraceErrorFrom(error).message);
    } finally {
      ticks?.cancel();
      this.#publisher?.stop();
      this.#publisher = undefined;
      this.#channel = undefined;
      this.#startStaleTimer();
    }
  }

  async #subscribe(channel: OpcuaChannel): Promise<undefined> {
    const { namespaces, nodesPerRead, itemsPerCall } = await readServer(channel);
    this.sizes.lower({ nodesPerRead, itemsPerCall });
    const isSame =
      namespaces.length === this.#namespaces.length && namespaces.every((uri, at) => uri === this.#namespaces[at]);
    this.#namespaces = namespaces;
    if (!isSame) for (const subscription of this.#subscriptions) await subscription.delete(channel);
    else if (!channel.isReactivated) await this.#transfer(channel);
    if (this.#channel !== channel) throw new OpcuaError('closed', 'the channel is lost');
    const publisher = new Publisher(channel, {
      onReply: ({ subscription, message }) =>
        this.#subscriptions.find(({ id }) => id === subscription)?.received(channel, message),
      onFailed: (status) => this.#onPublishFailed(status),
    });
    this.#publisher = publisher;
    for (const [index, subscription] of this.#subscriptions.entries()) {
      const isThere = subscription.id !== undefined && (await subscription.recover(channel));
      if (!isThere) await this.#create(channel, subscription);
      else {
        subscription.resumed();
        // It sends no value that did not change, and the tags are bad.
        if (this.#isStale) this.reads.request(subscription);
      }
      publisher.run(index + 1);
    }
    this.#isStale = false;
    await this.reads.run(channel);
    this.#retriedBadMs = this.#options.clock.monotonic();
    return undefined;
  }

  async #create(channel: OpcuaChannel, subscription: Subscription): Promise<void> {
    for (const tag of subscription.tags) this.#options.states.expectInitial(tag);
    await subscription.create(channel);
  }

  /** A new session takes over the subscriptions of the one before. What it cannot take over is created again. */
  async #transfer(channel: OpcuaChannel): Promise<void> {
    const known = this.#subscriptions.filter(({ id }) => id !== undefined);
    if (known.length === 0) return;
    let statuses: readonly StatusName[] = [];
    try {
      statuses = await channel.transfer(known.map(({ id }) => id!));
    } catch (error) {
      if (!isRefusal(opcuaStatus(error))) throw error;
    }
    for (const [at, subscription] of known.entries()) {
      if (isBadStatus(statuses[at] ?? 'Bad')) subscription.forget();
    }
  }

  async #tick(channel: OpcuaChannel): Promise<void> {
    if (this.#isTicking) return;
    this.#isTicking = true;
    try {
      for (const subscription of this.#subscriptions) {
        if (subscription.isIdle) await this.#check(channel, subscription);
      }
      await this.reads.run(channel);
      await this.#heartbeat(channel);
      await this.#retryBad(channel);
    } catch (error) {
      if (this.#channel === channel) this.#failed(error);
    } finally {
      this.#isTicking = false;
    }
  }

  /** No value came: the server, the subscription, or the report of the time is gone. */
  async #check(channel: OpcuaChannel, subscription: Subscription): Promise<void> {
    const { clock, logger, name, states } = this.#options;
    if (subscription.isWithoutTime) {
      subscription.proof = 'messages';
      subscription.resumed();
      logger.warn({ source: name }, 'the OPC UA server does not report its time; its messages are the proof of life');
      return;
    }
    const late = Promise.withResolvers<never>();
    const timer = clock.after(checkMs, () => late.reject(new OpcuaError('timeout', `no answer within ${checkMs} ms`)));
    try {
      await Promise.race([channel.read([{ node: currentTimeNode }]), late.promise]);
    } finally {
      timer.cancel();
    }
    if (this.#channel !== channel) return;
    this.counts.idleSubscriptions++;
    logger.warn(
      { source: name, subscription: subscription.id, idleMs: Math.round(subscription.idleMs) },
      'the OPC UA server answers, and a subscription reports nothing; creating it again',
    );
    for (const tag of subscription.tags) states.bad(tag, 'no_data');
    const nowMs = clock.monotonic();
    this.#idleTimes = this.#idleTimes.filter((ms) => nowMs - ms < idleWithinMs);
    if (this.#idleTimes.push(nowMs) >= idleMax) {
      this.#idleTimes = [];
      throw new OpcuaError('rebuild', 'subscriptions report nothing again and again');
    }
    await this.#replace(channel, subscription);
  }

  async #replace(channel: OpcuaChannel, subscription: Subscription): Promise<void> {
    await subscription.delete(channel);
    await this.#create(channel, subscription);
    this.#publisher?.run(this.#subscriptions.length);
  }

  async #heartbeat(channel: OpcuaChannel): Promise<void> {
    for (const subscription of await this.reads.heartbeat(channel, this.#subscriptions)) {
      this.#options.logger.warn(
        { source: this.#options.name, subscription: subscription.id },
        'reads found changes that a subscription did not report; creating it again',
      );
      await this.#replace(channel, subscription);
    }
  }

  /** Items that the server refused may exist now. */
  async #retryBad(channel: OpcuaChannel): Promise<void> {
    const nowMs = this.#options.clock.monotonic();
    if (nowMs - this.#retriedBadMs < retryBadMs) return;
    this.#retriedBadMs = nowMs;
    for (const subscription of this.#subscriptions) {
      const refused = subscription.tags.filter((tag) => this.#refused.has(tag));
      for (const tag of refused) this.#options.states.expectInitial(tag);
      if (refused.length > 0) await subscription.addItems(channel, refused);
    }
  }

  #onItem(tag: number, status: StatusName): void {
    if (isBadStatus(status)) {
      this.#refused.add(tag);
      this.#options.states.bad(tag, status);
    } else {
      this.#refused.delete(tag);
    }
  }

  #itemOf(tag: number): Omit<ItemRequest, 'handle'> | undefined {
    const { tags, publishMs, profile } = this.#options;
    const options = tags[tag]!;
    const place = this.nodeOf(tag);
    if (place === undefined) return undefined;
    return {
      ...place,
      sampleMs: sampleMsOf(options, profile),
      queue: queueOf(options, publishMs, profile),
      deadband: options.serverDeadband,
    };
  }

  #serverTime(timestamp: Date | null | undefined, picoseconds: number | undefined): void {
    const time = timeFrom(timestamp, picoseconds);
    if (time !== undefined) this.#options.states.clockOfSource.serverTime(time, this.#options.clock.now());
  }

  #onPublishFailed(status: string): void {
    if (isTooLarge(status)) {
      this.sizes.shrinkMessages();
      this.#lose(new OpcuaError('rebuild', `messages of the server are too large: ${status}`));
      return;
    }
    if (status === 'BadNoSubscription') {
      for (const subscription of this.#subscriptions) subscription.forget();
      this.#lose(new OpcuaError('rebuild', 'the server has no subscription of the session any more'));
    } else this.#failed(new OpcuaError(status, `publishing failed: ${status}`));
  }

  #onSubscriptionFailed(subscription: Subscription, status: string): void {
    const channel = this.#channel;
    if (channel === undefined) return;
    if (!isBadStatus(status) && status !== 'GoodSubscriptionTransferred') {
      this.#failed(new OpcuaError(status, `a subscription failed: ${status}`));
      return;
    }
    this.#options.logger.warn({ source: this.#options.name, status }, 'the OPC UA server closed a subscription');
    subscription.forget();
    this.#replace(channel, subscription).catch((error: unknown) => this.#failed(error));
  }

  #failed(error: unknown): void {
    this.#lose(error instanceof OpcuaError ? error : new OpcuaError('failed', tailraceErrorFrom(error).message));
  }

  /** Closes what cannot be used any more: the channel, and its session unless that can go on. */
  async #giveUp(channel: OpcuaChannel, error: OpcuaError): Promise<void> {
    const { logger, name, clock } = this.#options;
    logger.warn(
      { source: name, reason: error.message },
      'the connection to the OPC UA server is lost; connecting again',
    );
    const loss = lossFrom(error.status);
    if (loss !== 'all') {
      channel.drop();
      if (loss === 'channel') this.#previous = channel;
      return;
    }
    this.counts.rebuilds++;
    for (const subscription of this.#subscriptions) subscription.forget();
    await channel.close();
    const sinceMs = clock.monotonic() - this.#rebuiltMs;
    this.#rebuiltMs = clock.monotonic();
    if (sinceMs < rebuildMs) await this.#sleep(rebuildMs - sinceMs);
  }

  async #waitAfter(error: unknown, attempt: number): Promise<void> {
    const { logger, name, random } = this.#options;
    if (this.#isStopped) return;
    const { state, waitMs, isError } = nextAttempt(opcuaStatus(error), attempt, random);
    const { message } = tailraceErrorFrom(error);
    this.#state = state;
    if (isError) logger.error({ source: name, retryMs: waitMs }, message);
    else if (attempt > 0) logger.warn({ source: name, reason: message }, 'no connection to the OPC UA server');
    await this.#sleep(waitMs);
  }

  #sleep(ms: number): Promise<void> {
    if (this.#isStopped) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = this.#options.clock.after(ms, resolve);
      this.#wake = () => {
        timer.cancel();
        resolve();
      };
    });
  }

  #startStaleTimer(): void {
    if (this.#isStopped) return;
    this.#staleTimer ??= this.#options.clock.after(staleAfterMs, () => {
      this.#isStale = true;
      for (let tag = 0; tag < this.#options.tags.length; tag++) this.#options.states.bad(tag, 'no_connection');
    });
  }
}
