import type { Bus, BusSubscription } from '@tailrace/bus/bus';
import type { Clock, Timer } from '@tailrace/platform/clock';
import type { Logger } from '@tailrace/platform/logger';
import { type BackoffOptions, backoffMs } from '@tailrace/protocol/backoff';
import { tailraceErrorFrom } from '@tailrace/protocol/error';
import { tailrace } from '@tailrace/protocol/generated';
import type { Owner } from '../ownership/ring.ts';
import { eventSubject, ownerSubject } from '../subjects.ts';
import type { EventBoard } from './event-board.ts';

const { EventFrame, OwnerReply, OwnerRequest } = tailrace.v1;

/** An owner sends a frame every second. After this time without one the events are requested again. */
const frameTimeoutMs = 3_000;
/** A third of the lease. */
const renewMs = 10_000;
/** Frames that are held while a reply is pending. Beyond it they are dropped: the next frame shows the gap. */
const heldBytesMax = 4 * 1_048_576;
const backoff: BackoffOptions = { baseMs: 50, capMs: 2_000 };

export interface EventReplicaCounts {
  frames: number;
  /** Frames that were unreadable, or not from the owner that this node knows. */
  rejected: number;
  /** Times that a frame did not continue from the last one, or was overdue. */
  gaps: number;
  requests: number;
  requestFailures: number;
}

export interface EventReplicaOptions {
  readonly bus: Pick<Bus, 'request' | 'subscribe'>;
  readonly clock: Clock;
  readonly logger: Pick<Logger, 'debug'>;
  /** In [0, 1). */
  readonly random: () => number;
  readonly node: string;
  /** Of the topic of events. */
  readonly epoch: string;
  readonly board: EventBoard;
  readonly counts: EventReplicaCounts;
  /** For one reply of an owner. */
  readonly deadlineMs: number;
}

/**
 * Follows the events of a partition that another node owns: requests what its board lacks, takes the frames of the
 * owner from there, and requests again after a gap, a new owner, or a time without frames. Frames are held while a
 * reply is pending.
 */
export class EventReplica {
  readonly #options: EventReplicaOptions;
  #owner: Owner | undefined;
  #isStopped = false;
  #subscription: Promise<BusSubscription> | undefined;
  /** Increases with each request; a reply to an earlier one is ignored. */
  #request = 0;
  #isPending = false;
  #held: tailrace.v1.EventFrame[] = [];
  #heldBytes = 0;
  #failures = 0;
  #timer: Timer | undefined;
  #receivedMs: number;
  #requestedMs = Number.NEGATIVE_INFINITY;

  constructor(options: EventReplicaOptions) {
    this.#options = options;
    this.#receivedMs = options.clock.monotonic();
  }

  /** Takes the owner from the ring. */
  follow(owner: Owner | undefined): void {
    const isSame = owner?.node === this.#owner?.node;
    this.#owner = owner;
    if (!isSame) this.#requestAgain();
  }

  /** Called every 500 ms. */
  check(): void {
    const nowMs = this.#options.clock.monotonic();
    if (this.#isPending || this.#timer !== undefined || this.#owner === undefined) return;
    if (nowMs - this.#receivedMs > frameTimeoutMs) {
      this.#options.counts.gaps++;
      this.#requestAgain();
    } else if (nowMs - this.#requestedMs >= renewMs) this.#requestAgain();
  }

  stop(): void {
    this.#isStopped = true;
    this.#request++;
    this.#timer?.cancel();
    void this.#subscription?.then(
      (subscription) => subscription.stop(),
      () => undefined,
    );
  }

  /**
   * Returns the events of the owner with `from <= seq < until`. Undefined: it has not all of them, or does not reply.
   */
  async history(from: number, until: number): Promise<readonly tailrace.v1.IRelayEvent[] | undefined> {
    const { bus, node, epoch, board, deadlineMs } = this.#options;
    if (this.#owner === undefined) return undefined;
    const events = { from, until, epoch };
    const request = OwnerRequest.encode({ node, partition: board.partition, events }).finish();
    try {
      const reply = await bus.request(ownerSubject(this.#owner.node), request, { deadlineMs });
      const parts = reply.map((part) => OwnerReply.decode(part).events);
      if (parts.some((part) => part == null || part.current || (part.from ?? 0) > from || (part.next ?? 0) < until))
        return undefined;
      return parts.flatMap((part) => part!.events ?? []);
    } catch {
      return undefined;
    }
  }

  #requestAgain(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    const request = ++this.#request;
    this.#held = [];
    this.#heldBytes = 0;
    this.#isPending = this.#owner !== undefined;
    if (this.#owner !== undefined) void this.#send(this.#owner, request);
  }

  async #send(owner: Owner, request: number): Promise<void> {
    const { bus, clock, node, epoch, board, deadlineMs, counts } = this.#options;
    const isCurrent = () => request === this.#request && !this.#isStopped;
    counts.requests++;
    try {
      // Before the request: each frame after the reply has to be received.
      await this.#subscribe();
      if (!isCurrent()) return;
      const events = { ...(board.isReady ? { from: board.next } : {}), epoch };
      const encoded = OwnerRequest.encode({ node, partition: board.partition, events }).finish();
      const reply = await bus.request(ownerSubject(owner.node), encoded, { deadlineMs });
      if (!isCurrent()) return;
      const parts = reply.map((part) => OwnerReply.decode(part).events!);
      this.#failures = 0;
      this.#isPending = false;
      this.#requestedMs = clock.monotonic();
      this.#receivedMs = this.#requestedMs;
      this.#apply(parts);
      const held = this.#held;
      this.#held = [];
      this.#heldBytes = 0;
      for (const frame of held) if (isCurrent()) this.#take(frame);
    } catch (thrown) {
      if (isCurrent()) this.#failed(thrown);
    }
  }

  #failed(thrown: unknown): void {
    const { clock, random, logger, counts, board } = this.#options;
    counts.requestFailures++;
    const error = tailraceErrorFrom(thrown);
    logger.debug({ partition: board.partition, owner: this.#owner?.node, error }, 'events could not be requested');
    this.#timer = clock.after(backoffMs(this.#failures++, random, backoff), () => this.#requestAgain());
  }

  #apply(parts: readonly tailrace.v1.IEventsReply[]): void {
    const { board } = this.#options;
    const [first] = parts;
    const next = first?.next ?? 0;
    if (!first?.current) {
      board.take(recordsFrom(parts), next);
      board.takenOver(first?.alarmOwner ?? 0);
      board.ready(next);
      return;
    }
    // The owner has not all events since `board.next`, or this board has none yet.
    const wasReady = board.isReady;
    board.reset(next);
    for (const { events } of parts)
      for (const { seq, event } of events ?? []) board.takeCurrent(seq ?? undefined, event!);
    board.takenOver(first.alarmOwner ?? 0);
    board.ready(next);
    if (wasReady) board.onGap();
  }

  async #subscribe(): Promise<void> {
    const { bus, board } = this.#options;
    this.#subscription ??= bus.subscribe(eventSubject(board.partition), (payload) => this.#onFrame(payload));
    try {
      await this.#subscription;
    } catch (thrown) {
      this.#subscription = undefined;
      throw thrown;
    }
  }

  #onFrame(payload: Uint8Array): void {
    const { counts, epoch, board } = this.#options;
    if (this.#isStopped) return;
    const frame = frameFrom(payload);
    if (
      frame === undefined ||
      frame.node !== this.#owner?.node ||
      frame.epoch !== epoch ||
      frame.partition !== board.partition
    ) {
      counts.rejected++;
      return;
    }
    counts.frames++;
    this.#receivedMs = this.#options.clock.monotonic();
    if (!this.#isPending) this.#take(frame);
    else if (this.#heldBytes + payload.length <= heldBytesMax) {
      this.#held.push(frame);
      this.#heldBytes += payload.length;
    }
  }

  #take(frame: tailrace.v1.EventFrame): void {
    const { board, counts } = this.#options;
    if (frame.next <= board.next) return;
    if (frame.previous > board.next) {
      counts.gaps++;
      this.#requestAgain();
      return;
    }
    board.take(recordsFrom([frame]), frame.next);
    // After the events: those before it are of earlier owners.
    board.takenOver(frame.alarmOwner);
  }
}

/** Returns the events as records. The bytes are copied: those of a message are a part of a larger chunk. */
export function recordsFrom(
  messages: readonly { readonly events?: readonly tailrace.v1.IRelayEvent[] | null }[],
): { seq: number; value: Uint8Array }[] {
  return messages.flatMap(({ events }) =>
    (events ?? []).map(({ seq, event }) => ({ seq: seq ?? 0, value: Uint8Array.from(event ?? []) })),
  );
}

function frameFrom(payload: Uint8Array): tailrace.v1.EventFrame | undefined {
  try {
    return EventFrame.decode(payload);
  } catch {
    return undefined;
  }
}
