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
  /** `replySeconds`: reply times of owners. The metrics replace it with their own. */
  readonly counts: { requests: number; requestFailures: number; replySeconds: Histogram };
  /** Resolves when this node is subscribed to the frames of the partition. Interest is requested only after that. */
  readonly subscribed: () => Promise<void>;
  /** Decodes a reply, and applies the larger part of it, in steps, while `isCurrent`. */
  readonly decode: (reply: readonly Uint8Array[], isCurrent: () => boolean) => Promise<tailrace.v1.OwnerReply[]>;
  /**
   * Takes the reply for these channels, all of which are still requested. `requestedMs`: when the request was sent,
   * monotonic ms. Not called for an outdated request.
   */
  readonly onReply: (
    channels: readonly Channel[],
    replies: readonly tailrace.v1.OwnerReply[],
    requestedMs: number,
  ) => void;
}

/** Channels in one request: with 200 bytes a channel far below the limit of a bus message. */
const channelsPerRequestMax = 500;
const backoff: BackoffOptions = { baseMs: 100, capMs: 2_000 };

/**
 * Requests interest in channels from the owner of one partition, one request at a time, until it has replied for all of
 * them; releases channels; renews the lease. Retries after a failure with full-jitter backoff, and after a conflict
 * with all channels.
 */
export class InterestClient {
  readonly #options: InterestClientOptions;
  #owner: string | undefined;
  /** The channels without a reply: those of the pending request, and those for the next one. */
  readonly unanswered = new Set<Channel>();
  readonly #released = new Set<string>();
  /** Registered at the owner, as far as this node knows. */
  readonly #held = new Map<string, Channel>();
  /** The channels of the pending request that were neither released nor requested again since. */
  readonly #pending = new Set<Channel>();
  /** Increases with every change of owner, which makes the pending request outdated. */
  #ownerVersion = 0;
  #isBusy = false;
  #failures = 0;
  #timer: Timer | undefined;

  constructor(options: InterestClientOptions) {
    this.#options = options;
  }

  /** Sets the owner, also to the same node again. Replies to requests before are ignored. */
  setOwner(owner: string | undefined): void {
    this.#ownerVersion++;
    this.#owner = owner;
    this.#pending.clear();
    this.#isBusy = false;
    this.#released.clear();
    this.#held.clear();
    this.#failures = 0;
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#schedule();
  }

  /** Requests interest in a channel: its slot is `requested` until the reply. Ignores the reply to a request before. */
  request(channel: Channel): void {
    channel.leave(this.#options.partition, 'requested');
    this.unanswered.add(channel);
    this.#pending.delete(channel);
    // Released, but not at the owner yet: it is still registered there.
    if (this.#released.delete(channel.pattern)) this.#held.set(channel.pattern, channel);
    this.#schedule();
  }

  release(channel: Channel): void {
    this.unanswered.delete(channel);
    this.#pending.delete(channel);
    if (!this.#held.delete(channel.pattern)) return;
    this.#released.add(channel.pattern);
    this.#schedule();
  }

  /** Extends the lease. */
  renew(): void {
    if (this.#held.size > 0 && !this.#isBusy) void this.#send();
  }

  stop(): void {
    this.setOwner(undefined);
    this.#timer?.cancel();
    this.unanswered.clear();
  }

  /** Sends one request for all changes in one turn of the event loop. */
  #schedule(): void {
    if (this.#owner === undefined || this.#isBusy || this.#timer !== undefined) return;
    if (this.unanswered.size === 0 && this.#released.size === 0) return;
    this.#timer = this.#options.clock.after(0, () => {
      this.#timer = undefined;
      void this.#send();
    });
  }

  async #send(): Promise<void> {
    const { bus, clock, node, partition, deadlineMs, counts } = this.#options;
    const version = this.#ownerVersion;
    const owner = this.#owner;
    if (owner === undefined || this.#isBusy) return;
    this.#isBusy = true;
    const requested = [...this.unanswered].slice(0, channelsPerRequestMax);
    const released = [...this.#released].slice(0, channelsPerRequestMax);
    for (const channel of requested) {
      this.#held.set(channel.pattern, channel);
      this.#pending.add(channel);
    }
    for (const pattern of released) this.#released.delete(pattern);
    counts.requests++;
    const interests = requested.map((channel) => {
      const next = channel.slot(partition).next;
      return next < 0 ? { channel: channel.pattern } : { channel: channel.pattern, from: next };
    });
    // Channels released while their own request was pending are registered at the owner until the next request.
    const held = this.#held.size + this.#released.size;
    try {
      if (requested.length > 0) await this.#options.subscribed();
      if (version !== this.#ownerVersion) return;
      const request = OwnerRequest.encode({ node, partition, interests, released, held, deadlineMs }).finish();
      const startMs = clock.monotonic();
      const reply = await bus.request(ownerSubject(owner), request, { deadlineMs });
      counts.replySeconds.observe((clock.monotonic() - startMs) / 1_000);
      if (version !== this.#ownerVersion) return;
      const replies = await this.#options.decode(reply, () => version === this.#ownerVersion);
      if (version !== this.#ownerVersion) return;
      const channels = [...this.#pending];
      for (const channel of channels) this.unanswered.delete(channel);
      this.#pending.clear();
      this.#isBusy = false;
      this.#failures = 0;
      this.#options.onReply(channels, replies, startMs);
      this.#schedule();
    } catch (thrown) {
      if (version === this.#ownerVersion) this.#failed(requested, released, thrown);
    }
  }

  #failed(requested: readonly Channel[], released: readonly string[], thrown: unknown): void {
    const { logger, clock, random, counts, partition } = this.#options;
    counts.requestFailures++;
    this.#failures++;
    this.#isBusy = false;
    const error = tailraceErrorFrom(thrown);
    logger.debug(
      { partition, owner: this.#owner, error, failures: this.#failures },
      'the request to an owner failed; retrying',
    );
    for (const pattern of released) this.#released.add(pattern);
    for (const channel of requested) {
      // Released in the meantime.
      if (!this.unanswered.delete(channel)) continue;
      this.#held.delete(channel.pattern);
      // Behind the others: what fails again and again delays none of them.
      this.unanswered.add(channel);
    }
    this.#pending.clear();
    if (isTailraceError(thrown) && thrown.code === 'conflict') this.#requestAll();
    this.#timer = clock.after(backoffMs(this.#failures - 1, random, backoff), () => {
      this.#timer = undefined;
      void this.#send();
    });
  }

  /** Requests all channels again: the owner has none of this node. */
  #requestAll(): void {
    for (const channel of this.#held.values()) {
      channel.leave(this.#options.partition, 'requested');
      this.unanswered.add(channel);
    }
    this.#held.clear();
    this.#released.clear();
  }
}
