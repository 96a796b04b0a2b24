import { type NodeToRead, type OpcuaChannel, opcuaStatus } from './opcua-port.ts';
import { isTooLarge, type RequestSizes } from './server-profile.ts';
import type { Subscription } from './subscription.ts';
import type { TagStates } from './tag-states.ts';

export interface ProofReadsOptions {
  readonly states: TagStates;
  readonly sizes: RequestSizes;
  /** Returns the node of a tag; undefined: the server does not have its namespace. */
  readonly nodeOf: (tag: number) => NodeToRead | undefined;
}

/** Most tags that are read as proof of life in a second; the others are repeated. */
export const heartbeatReadsMax = 500;
/** A change is notified after its publish interval and the way. */
const notificationMs = 2_000;
/** Changes that a subscription did not report, after which it is created again. */
const unreportedMax = 3;

/**
 * Reads tags: after a break, where notifications are lost, and those that did not change for their longest time, so
 * that "unchanged" and "dead" differ. A read also finds changes of which no notification came.
 */
export class ProofReads {
  /** Changes that a read found, and of which no notification came. */
  unreportedChanges = 0;
  heartbeats = 0;
  readonly #options: ProofReadsOptions;
  readonly #waiting = new Set<Subscription>();
  readonly #unreported = new Map<Subscription, number>();

  constructor(options: ProofReadsOptions) {
    this.#options = options;
  }

  /** All tags of the subscription are to be read: something is lost, or they are bad without being refused. */
  request(subscription: Subscription): void {
    this.#waiting.add(subscription);
  }

  /** Reads the tags of the subscriptions that were requested. */
  async run(channel: OpcuaChannel): Promise<void> {
    for (const subscription of [...this.#waiting]) {
      this.#waiting.delete(subscription);
      await this.#read(channel, subscription, subscription.tags, 0);
    }
  }

  /** Reads the tags that are due. Resolves with the subscriptions that miss changes again and again. */
  async heartbeat(channel: OpcuaChannel, subscriptions: readonly Subscription[]): Promise<Subscription[]> {
    const { states } = this.#options;
    const failing: Subscription[] = [];
    let places = heartbeatReadsMax;
    for (const subscription of subscriptions) {
      const due = states.due(subscription.tags);
      if (due.length === 0) continue;
      const read = due.slice(0, places);
      places -= read.length;
      this.heartbeats += read.length;
      const unreported = await this.#read(channel, subscription, read, 2 * subscription.publishMs + notificationMs);
      // Its subscription is alive, and reported no change.
      for (const tag of due.slice(read.length)) states.repeat(tag);
      if (unreported === 0) continue;
      this.unreportedChanges += unreported;
      const total = (this.#unreported.get(subscription) ?? 0) + unreported;
      this.#unreported.set(subscription, total % unreportedMax);
      if (total >= unreportedMax) failing.push(subscription);
    }
    return failing;
  }

  /** Resolves with the number of changes that should have been notified. */
  async #read(
    channel: OpcuaChannel,
    subscription: Subscription,
    tags: readonly number[],
    notifiedWithinMs: number,
  ): Promise<number> {
    const { states, sizes, nodeOf } = this.#options;
    const { id } = subscription;
    const readable = tags.filter((tag) => nodeOf(tag) !== undefined);
    let unreported = 0;
    for (let at = 0; at < readable.length; ) {
      const chunk = readable.slice(at, at + sizes.read);
      try {
        const values = await channel.read(chunk.map((tag) => nodeOf(tag)!));
        // The subscription was created again meanwhile: then its own values come.
        if (subscription.id !== id) return unreported;
        for (const [index, tag] of chunk.entries()) {
          const value = values[index];
          if (value !== undefined && states.confirmed(tag, value, notifiedWithinMs) === 'unreported') unreported++;
        }
      } catch (error) {
        if (isTooLarge(opcuaStatus(error)) && sizes.halve('read')) continue;
        throw error;
      }
      at += chunk.length;
    }
    return unreported;
  }
}
