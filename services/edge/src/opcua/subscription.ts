import type { Clock } from '@tailrace/platform/clock';
import { isBadStatus, isRefusal } from './connection-failure.ts';
import { NotificationSequence, nextNumber } from './notification-sequence.ts';
import {
  type ItemRequest,
  type NotificationMessage,
  type OpcuaChannel,
  type OpcuaDataValue,
  opcuaStatus,
  type StatusName,
} from './opcua-port.ts';
import { isTooLarge, type RequestSizes } from './server-profile.ts';
import { keepAliveCountOf, lifetimeCountOf, type SubscriptionPlan } from './subscription-plan.ts';

export interface SubscriptionOptions {
  readonly plan: SubscriptionPlan;
  readonly sizes: RequestSizes;
  readonly clock: Clock;
  /** Returns the item of a tag; undefined: the server does not have its namespace. */
  readonly itemOf: (tag: number) => Omit<ItemRequest, 'handle'> | undefined;
  readonly onValue: (tag: number, value: OpcuaDataValue) => void;
  /** The server's time came. */
  readonly onTime: (value: OpcuaDataValue) => void;
  /** The server made the item of a tag, or why it did not. */
  readonly onItem: (tag: number, status: StatusName) => void;
  /** Messages did not come, and the server does not have them any more. */
  readonly onLoss: (messages: number) => void;
  /** The server has closed the subscription, or a call failed. */
  readonly onFailed: (status: string) => void;
  /** A message came, and need not be kept. */
  readonly onReceived: (subscription: number, sequenceNumber: number) => void;
}

/** Server.ServerStatus.CurrentTime. */
export const currentTimeNode = 'i=2258';
const timeSampleMs = 1_000;
const timeHandle = 0;
/** Messages that are asked for again after one gap. With more, all tags are read. */
const republishMax = 100;
/** Messages that wait while missing ones are fetched. */
const waitingMax = 1_000;
/** The least time without the server's time after which the subscription is checked, ms. */
const idleMsMin = 10_000;

const filterRefusals: ReadonlySet<StatusName> = new Set([
  'BadFilterNotAllowed',
  'BadMonitoredItemFilterUnsupported',
  'BadMonitoredItemFilterInvalid',
  'BadDeadbandFilterInvalid',
]);

/**
 * One subscription at the server, with an item for each tag and one for the server's time, which shows that values
 * come: a connection, a session and keep-alives do not. It outlives channels.
 */
export class Subscription {
  readonly tags: readonly number[];
  /** What shows that it is alive: the server's time, or where the server does not report it, any message. */
  proof: 'time' | 'messages' = 'time';
  readonly #options: SubscriptionOptions;
  readonly #sequence = new NotificationSequence();
  readonly #waiting: NotificationMessage[] = [];
  #id: number | undefined;
  #publishMs: number;
  #keepAliveMs = 0;
  #hasTime = false;
  #hasMessage = false;
  #proofMs = 0;
  #isFetching = false;

  constructor(options: SubscriptionOptions) {
    this.#options = options;
    this.tags = options.plan.tags;
    this.#publishMs = options.plan.publishMs;
  }

  /** Undefined: it is not at the server. */
  get id(): number | undefined {
    return this.#id;
  }

  /** Revised by the server. */
  get publishMs(): number {
    return this.#publishMs;
  }

  /** Without proof for this time it is checked, ms. */
  get idleMsMax(): number {
    const timeMs = Math.max(3 * Math.max(timeSampleMs, this.#publishMs), idleMsMin);
    return this.proof === 'time' ? timeMs : Math.max(timeMs, 2 * this.#keepAliveMs);
  }

  /** Time without proof that values come, ms. */
  get idleMs(): number {
    return this.#options.clock.monotonic() - this.#proofMs;
  }

  get isIdle(): boolean {
    return this.#id !== undefined && this.idleMs > this.idleMsMax;
  }

  /** Whether messages come, and never the server's time: then they are the proof. */
  get isWithoutTime(): boolean {
    return this.proof === 'time' && this.#hasMessage && !this.#hasTime;
  }

  /** It goes on on a new channel: the time without one is not its own. */
  resumed(): void {
    this.#proofMs = this.#options.clock.monotonic();
  }

  /** It is not at the server any more. */
  forget(): void {
    this.#id = undefined;
    this.#sequence.restart();
    this.#waiting.length = 0;
    this.#isFetching = false;
  }

  /** Creates it with the items of its tags. Rejects if the channel fails; a refused item does not. */
  async create(channel: OpcuaChannel): Promise<void> {
    const { plan } = this.#options;
    this.forget();
    this.#hasTime = false;
    this.#hasMessage = false;
    const keepAliveCount = keepAliveCountOf(plan.publishMs);
    const reply = await channel.createSubscription({
      publishMs: plan.publishMs,
      keepAliveCount,
      lifetimeCount: lifetimeCountOf(plan.publishMs),
      valuesMax: this.#options.sizes.values,
    });
    this.#id = reply.id;
    this.#publishMs = reply.publishMs;
    this.#keepAliveMs = reply.keepAliveCount * reply.publishMs;
    this.resumed();
    const time: ItemRequest = { handle: timeHandle, node: currentTimeNode, sampleMs: timeSampleMs, queue: 2 };
    await this.#createItems(channel, [time]);
    await this.addItems(channel, this.tags);
    this.resumed();
  }

  /** Creates the items of these tags, as of those that were refused before. */
  async addItems(channel: OpcuaChannel, tags: readonly number[]): Promise<void> {
    const items: ItemRequest[] = [];
    for (const tag of tags) {
      const item = this.#options.itemOf(tag);
      if (item === undefined) this.#options.onItem(tag, 'BadNodeIdUnknown');
      else items.push({ ...item, handle: tag + 1 });
    }
    const withoutFilter = await this.#createItems(channel, items);
    if (withoutFilter.length > 0) await this.#createItems(channel, withoutFilter);
  }

  /** Deletes it at the server. A server that does not know it any more is as good. */
  async delete(channel: OpcuaChannel): Promise<void> {
    const id = this.#id;
    this.forget();
    if (id === undefined) return;
    try {
      await channel.deleteSubscription(id);
    } catch (error) {
      if (!isRefusal(opcuaStatus(error))) throw error;
    }
  }

  /**
   * Fetches what the server kept while there was no channel. Resolves with whether the subscription is still there.
   */
  async recover(channel: OpcuaChannel): Promise<boolean> {
    const id = this.#id!;
    // The server still has them: they were not acknowledged.
    this.#waiting.length = 0;
    for (let fetched = 0; fetched < republishMax; fetched++) {
      const { expected } = this.#sequence;
      try {
        this.#deliver(await channel.republish(id, expected));
      } catch (error) {
        const status = opcuaStatus(error);
        if (status === 'BadSubscriptionIdInvalid' || status === 'BadNoSubscription') return false;
        if (!isRefusal(status)) throw error;
        // Nothing is left. If one is missing, the number of the next message shows it.
        return true;
      }
    }
    return true;
  }

  /** Takes a message. Those before it that did not come are fetched first. */
  received(channel: OpcuaChannel, message: NotificationMessage): void {
    this.#hasMessage = true;
    if (this.proof === 'messages') this.resumed();
    if (message.closed !== undefined) {
      this.#options.onFailed(message.closed);
      return;
    }
    if (this.#isFetching) {
      if (this.#waiting.length < waitingMax) this.#waiting.push(message);
      return;
    }
    if (this.#sequence.missingBefore(message.sequenceNumber) === undefined) this.#deliver(message);
    else {
      this.#waiting.push(message);
      void this.#fetchMissing(channel);
    }
  }

  async #fetchMissing(channel: OpcuaChannel): Promise<void> {
    const id = this.#id!;
    this.#isFetching = true;
    try {
      for (let message = this.#waiting.shift(); message !== undefined; message = this.#waiting.shift()) {
        const gap = this.#sequence.missingBefore(message.sequenceNumber);
        if (gap !== undefined) await this.#fetch(channel, id, gap.first, gap.count);
        if (this.#id !== id) return;
        this.#deliver(message);
      }
    } catch (error) {
      this.#options.onFailed(opcuaStatus(error));
    } finally {
      if (this.#id === id) this.#isFetching = false;
    }
  }

  async #fetch(channel: OpcuaChannel, id: number, first: number, count: number): Promise<void> {
    let lost = Math.max(0, count - republishMax);
    for (let number = first, at = 0; at < Math.min(count, republishMax); at++, number = nextNumber(number)) {
      try {
        const message = await channel.republish(id, number);
        if (this.#id !== id) return;
        this.#deliver(message);
      } catch (error) {
        if (!isRefusal(opcuaStatus(error))) throw error;
        lost++;
      }
    }
    if (lost > 0) this.#options.onLoss(lost);
  }

  #deliver({ sequenceNumber, isKeepAlive, values }: NotificationMessage): void {
    const id = this.#id;
    if (id === undefined) return;
    if (!isKeepAlive) this.#options.onReceived(id, sequenceNumber);
    if (this.#sequence.isRepeated(sequenceNumber)) return;
    this.#sequence.received(sequenceNumber, isKeepAlive);
    for (const { handle, value } of values) {
      if (handle === timeHandle) {
        this.#hasTime = true;
        this.resumed();
        this.#options.onTime(value);
      } else this.#options.onValue(handle - 1, value);
    }
  }

  /** Returns the items that are to be created without their filter. */
  async #createItems(channel: OpcuaChannel, items: readonly ItemRequest[]): Promise<ItemRequest[]> {
    const { sizes, onItem } = this.#options;
    const withoutFilter: ItemRequest[] = [];
    for (let at = 0; at < items.length; ) {
      const chunk = items.slice(at, at + sizes.items);
      let statuses: readonly StatusName[];
      try {
        statuses = await channel.createItems(this.#id!, chunk);
      } catch (error) {
        if (isTooLarge(opcuaStatus(error)) && sizes.halve('items')) continue;
        throw error;
      }
      at += chunk.length;
      for (const [index, item] of chunk.entries()) {
        const status = statuses[index] ?? 'BadUnexpectedError';
        if (item.deadband !== undefined && filterRefusals.has(status)) {
          withoutFilter.push({ ...item, deadband: undefined });
        } else if (item.handle !== timeHandle) onItem(item.handle - 1, status);
        else this.proof = isBadStatus(status) ? 'messages' : 'time';
      }
    }
    return withoutFilter;
  }
}
