import type { Bus } from '@tailrace/bus/bus';
import type { Clock, Timer } from '@tailrace/platform/clock';
import type { Logger } from '@tailrace/platform/logger';
import type { Histogram } from '@tailrace/platform/measures';
import { type BackoffOptions, backoffMs } from '@tailrace/protocol/backoff';
import { isTailraceError, tailraceErrorFrom } from '@tailrace/protocol/error';
import { tailrace } from '@tailrace/protocol/generated';
import type { Channel } from '../channels/channels.ts';
import { ownerSubject } from '../subjects.ts';

const { OwnerRequest } = tailrace.v1;

export interface InterestClientOptions {
  readonly bus: Pick<Bus, 'request'>;
  readonly clock: Clock;
  readonly logger: Logger;
  /** In [0, 1). */
  readonly random: () => number;
  readonly node: string;
  readonly partition: number;
  readonly deadlineMs: number;
  /** `askSeconds`: how long owners took to answer; a metric may put its own in its place. */
  readonly counts: { asks: number; askFailures: number; askSeconds: Histogram };
  /** Resolves when frames of the partition reach this node: only then may it be asked from where they count. */
  readonly listening: () => Promise<void>;
  /** Decodes an answer, and takes in what is much of it, in steps, as long as the question counts. */
  readonly decode: (answer: readonly Uint8Array[], counts: () => boolean) => Promise<tailrace.v1.OwnerReply[]>;
  /**
   * The owner's answer about these channels, all of them still wanted, and when it was asked, monotonic ms. Not
   * called for a question that no longer counts.
   */
  readonly onAnswer: (
    channels: readonly Channel[],
    replies: readonly tailrace.v1.OwnerReply[],
    askedMs: number,
  ) => void;
}

/** Channels in one request: with 200 bytes a channel well under a bus message. */
const channelsPerAskMax = 500;
const backoff: BackoffOptions = { baseMs: 100, capMs: 2_000 };

/**
 * Asks the owner of one partition for channels, one request at a time, until it has answered for all of them; tells it which are
 * no longer wanted; renews the lease. After a failure it asks again with full-jitter backoff, and after a conflict for everything.
 */
export class InterestClient {
  readonly #parts: InterestClientOptions;
  #owner: string | undefined;
  /** To ask for with the next request. */
  readonly #wanted = new Set<Channel>();
  readonly #released = new Set<string>();
  /** Taken down by the owner, as far as this node knows. */
  readonly #held = new Map<string, Channel>();
  /** The channels of the request under way that are still wanted. */
  readonly #underWay = new Set<Channel>();
  /** Changes when what is under way no longer counts. */
  #era = 0;
  #busy = false;
  #failures = 0;
  #timer: Timer | undefined;

  constructor(parts: InterestClientOptions) {
    this.#parts = parts;
  }

  /** Whether any answer is still to come. */
  get idle(): boolean {
    return this.#wanted.size === 0 && this.#underWay.size === 0;
  }

  /** Where to ask from now on. Whoever was there before is asked nothing more, and answers of his do not count. */
  turnTo(owner: string | undefined): void {
    this.#era++;
    this.#owner = owner;
    for (const channel of this.#underWay) this.#wanted.add(channel);
    this.#underWay.clear();
    this.#busy = false;
    this.#released.clear();
    this.#held.clear();
    this.#failures = 0;
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#soon();
  }

  /** The channel's slot is `asking` from now on, until its answer. */
  ask(channel: Channel): void {
    channel.part(this.#parts.partition, 'asking');
    this.#wanted.add(channel);
    // Let go, but the owner was not told yet: it still has it.
    if (this.#released.delete(channel.pattern)) this.#held.set(channel.pattern, channel);
    this.#soon();
  }

  release(channel: Channel): void {
    this.#wanted.delete(channel);
    this.#underWay.delete(channel);
    if (!this.#held.delete(channel.pattern)) return;
    this.#released.add(channel.pattern);
    this.#soon();
  }

  /** Extends the lease. */
  renew(): void {
    if (this.#held.size > 0 && !this.#busy) void this.#request();
  }

  stop(): void {
    this.turnTo(undefined);
    this.#timer?.cancel();
    this.#wanted.clear();
  }

  /** All that is asked for in one turn of the loop goes into one request. */
  #soon(): void {
    if (this.#owner === undefined || this.#busy || this.#timer !== undefined) return;
    if (this.#wanted.size === 0 && this.#released.size === 0) return;
    this.#timer = this.#parts.clock.after(0, () => {
      this.#timer = undefined;
      void this.#request();
    });
  }

  async #request(): Promise<void> {
    const { bus, clock, node, partition, deadlineMs, counts } = this.#parts;
    const era = this.#era;
    const owner = this.#owner;
    if (owner === undefined || this.#busy) return;
    this.#busy = true;
    const asked = [...this.#wanted].slice(0, channelsPerAskMax);
    const released = [...this.#released].slice(0, channelsPerAskMax);
    for (const channel of asked) {
      this.#wanted.delete(channel);
      this.#held.set(channel.pattern, channel);
      this.#underWay.add(channel);
    }
    for (const pattern of released) this.#released.delete(pattern);
    counts.asks++;
    const interests = asked.map((channel) => {
      const next = channel.slot(partition).next;
      return next < 0 ? { channel: channel.pattern } : { channel: channel.pattern, from: next };
    });
    // Released while their own request was under way: the owner has them until the next one.
    const held = this.#held.size + this.#released.size;
    try {
      if (asked.length > 0) await this.#parts.listening();
      if (era !== this.#era) return;
      const request = OwnerRequest.encode({ node, partition, interests, released, held, deadlineMs }).finish();
      const startMs = clock.monotonic();
      const answer = await bus.request(ownerSubject(owner), request, { deadlineMs });
      counts.askSeconds.observe((clock.monotonic() - startMs) / 1_000);
      if (era !== this.#era) return;
      const replies = await this.#parts.decode(answer, () => era === this.#era);
      if (era !== this.#era) return;
      const answered = [...this.#underWay];
      this.#underWay.clear();
      this.#busy = false;
      this.#failures = 0;
      this.#parts.onAnswer(answered, replies, startMs);
      this.#soon();
    } catch (thrown) {
      if (era === this.#era) this.#failed(released, thrown);
    }
  }

  #failed(released: readonly string[], thrown: unknown): void {
    const { logger, clock, random, counts, partition } = this.#parts;
    counts.askFailures++;
    this.#failures++;
    this.#busy = false;
    const error = tailraceErrorFrom(thrown);
    logger.debug(
      { partition, owner: this.#owner, error, failures: this.#failures },
      'an owner did not answer; asking again',
    );
    for (const pattern of released) this.#released.add(pattern);
    for (const channel of this.#underWay) {
      this.#held.delete(channel.pattern);
      this.#wanted.add(channel);
    }
    this.#underWay.clear();
    if (isTailraceError(thrown) && thrown.code === 'conflict') this.#askForAll();
    this.#timer = clock.after(backoffMs(this.#failures - 1, random, backoff), () => {
      this.#timer = undefined;
      void this.#request();
    });
  }

  /** The owner has begun again with nothing of ours. */
  #askForAll(): void {
    for (const channel of this.#held.values()) {
      channel.part(this.#parts.partition, 'asking');
      this.#wanted.add(channel);
    }
    this.#held.clear();
    this.#released.clear();
  }
}
