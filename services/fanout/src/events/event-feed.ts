import type { Bus } from '@tailrace/bus/bus';
import type { Clock } from '@tailrace/platform/clock';
import { isTailraceError } from '@tailrace/protocol/error';
import { tailrace } from '@tailrace/protocol/generated';
import { eventSubject } from '../subjects.ts';
import type { ControlEvent } from './control-event.ts';
import type { EventBoard } from './event-board.ts';

const { EventFrame, OwnerReply } = tailrace.v1;

/** A node that has requested events gets frames for this long: it requests them again three times before. */
const leaseMs = 30_000;
/** Frames and parts of replies are split at about this size, so that each fits a bus message. */
const partBytesMax = 256 * 1024;

export interface EventFeedOptions {
  readonly bus: Pick<Bus, 'publish'>;
  readonly clock: Pick<Clock, 'monotonic'>;
  readonly node: string;
  /** Of the topic of events. */
  readonly epoch: string;
  readonly board: EventBoard;
}

/**
 * Publishes the events of a partition that this node owns to the nodes that follow it, and replies to their requests.
 * Each frame names the positions that it covers, so that a node detects a lost one, as with the frames of readings. But
 * frames have all events of the partition, since there are few: no interest by channel has to be kept.
 */
export class EventFeed {
  readonly counts = { frames: 0, events: 0, requests: 0 };
  generation = 0;
  readonly #options: EventFeedOptions;
  #leasedUntilMs = Number.NEGATIVE_INFINITY;
  /** The position up to which frames were published, exclusive. */
  #sent = 0;

  constructor(options: EventFeedOptions) {
    this.#options = options;
  }

  get isLeased(): boolean {
    return this.#options.clock.monotonic() < this.#leasedUntilMs;
  }

  /** Publishes what the board has accepted since the last frame; a frame without events shows the loss of another. */
  publish(): void {
    const { board, bus, node, epoch } = this.#options;
    if (!this.isLeased || !board.isReady) return;
    const { partition, next } = board;
    // Those that the board has no more are a gap for the nodes, which request the events again.
    this.#sent = Math.max(this.#sent, board.windowFrom);
    const parts = [...partsOf(board.events(this.#sent))];
    for (const [i, events] of parts.entries()) {
      const end = i + 1 < parts.length ? events.at(-1)!.seq! + 1 : next;
      const { alarmOwner } = board;
      const head = { node, epoch, partition, generation: this.generation, alarmOwner };
      const frame = EventFrame.encode({ ...head, previous: this.#sent, next: end, events }).finish();
      this.#sent = end;
      this.counts.frames++;
      this.counts.events += events.length;
      try {
        bus.publish(eventSubject(partition), frame);
      } catch (thrown) {
        // The same as a lost frame: the next one shows the gap.
        if (!isTailraceError(thrown) || thrown.code !== 'too_large') throw thrown;
      }
    }
  }

  /** Returns the parts of the reply to a request of another node, and leases the frames to it. */
  reply({ from, until, epoch }: tailrace.v1.IEventsRequest): Uint8Array[] {
    const { board } = this.#options;
    this.counts.requests++;
    if (!this.isLeased) this.#sent = board.next;
    this.#leasedUntilMs = this.#options.clock.monotonic() + leaseMs;
    const { next, windowFrom } = board;
    const isKnown = from != null && epoch === this.#options.epoch && from >= windowFrom;
    const isRange = until != null;
    const head = {
      // Below `from` where this node has read less than the other one.
      next: isRange ? Math.min(until, next) : next,
      from: isKnown ? from : windowFrom,
      current: !isKnown && !isRange,
      alarmOwner: board.alarmOwner,
    };
    const events = isKnown ? board.events(from, head.next) : isRange ? [] : board.state();
    return [...partsOf(events)].map((part) => OwnerReply.encode({ events: { ...head, events: part } }).finish());
  }
}

/** Splits events into parts for one message each. At least one part. */
function* partsOf(events: readonly ControlEvent[]): Iterable<{ seq?: number; event: Uint8Array }[]> {
  let part: { seq?: number; event: Uint8Array }[] = [];
  let bytes = 0;
  for (const { seq, bytes: event } of events) {
    if (bytes + event.length > partBytesMax && part.length > 0) {
      yield part;
      part = [];
      bytes = 0;
    }
    part.push(seq === undefined ? { event } : { seq, event });
    bytes += event.length;
  }
  yield part;
}
