import { TailraceError } from '@tailrace/protocol/error';
import { Positions, tokenFromPositions } from '@tailrace/protocol/position';
import type { FrameMarks, Missing } from '@tailrace/protocol/servermessage';
import { replayMarks } from '../catchup/catchups.ts';
import { Course } from '../catchup/course.ts';
import type { Resume } from '../catchup/resume.ts';
import { Tap } from '../catchup/tap.ts';
import type { Ownership } from '../ownership/ownership.ts';
import { type Piece, piecesOf, sizeIn } from '../views/frames.ts';
import type { View, Views } from '../views/view.ts';
import type { Arrival } from './arrival.ts';
import type { Channel } from './channel.ts';
import type { Subscription, SubscriptionStart } from './subscription.ts';

export interface BeginningParts {
  readonly views: Pick<Views, 'flush'>;
  readonly ownership: Pick<Ownership, 'next' | 'partitions'>;
  readonly past: Pick<Resume, 'missed' | 'since'>;
  readonly epoch: string;
  /** Of the last values of one subscription. */
  readonly snapshotBytesMax: number;
  /** Of what a subscription that was away is given at once. */
  readonly resumeBytesMax: number;
}

/** How a subscription begins: with its head, last values, and what it missed. */
export interface Beginning {
  readonly start: SubscriptionStart;
  readonly snapshot: Iterable<Piece>;
  readonly news: Iterable<Piece>;
  /** At the position of the head. */
  readonly course: Course;
  /** Where the client is after them. */
  readonly reached: Positions;
  /** Whether that is where the channel is in this turn of the loop. */
  readonly isComplete: boolean;
}

const snapshotMarks: FrameMarks = Object.freeze({ snapshot: true });
const nothing: readonly Piece[] = [];

/** The three ways in which a subscription begins: with last values, after a position, and from a time. */
export class Beginnings {
  readonly #parts: BeginningParts;

  constructor(parts: BeginningParts) {
    this.#parts = parts;
  }

  /**
   * One moment: what was pending goes to those who were there before, then the snapshot is taken. So it holds exactly what came before the next
   * frame of the topic. Throws `limit_reached` for a snapshot larger than `snapshotBytesMax`.
   */
  withLastValues({ channel, view, wish }: Subscription): Beginning {
    this.#parts.views.flush(view);
    const here = this.here(channel);
    const isWanted = wish.snapshot && view.options.align === undefined;
    const snapshot = isWanted ? this.snapshot(channel, view) : { devices: 0, pieces: nothing };
    return {
      start: { epoch: this.#parts.epoch, position: tokenFromPositions(here), devices: snapshot.devices },
      snapshot: snapshot.pieces,
      news: nothing,
      course: new Course(here, false),
      reached: here,
      isComplete: true,
    };
  }

  /**
   * For a client that was away: first what it missed, which may have to be read, then what came meanwhile. The tap takes what came meanwhile from the very turn
   * in which it is settled up to where is read.
   */
  async after({ channel, view, wish }: Subscription, after: Positions): Promise<Beginning> {
    const tap = new Tap(this.#parts.resumeBytesMax);
    channel.taps.add(tap);
    try {
      const until = this.here(channel);
      const missed = await this.#parts.past.missed(channel, after);
      this.#parts.views.flush(view);
      const positions = new Positions(this.#parts.epoch);
      for (const { partition, from } of missed) positions.advance(partition, from - 1);
      const missing = missed.flatMap((each) => each.missing ?? []);
      // Of what is missing the last values can still be had; they are older than what follows, so that positions only grow.
      const snapshot = wish.snapshot ? this.snapshot(channel, view, missing) : { devices: 0, pieces: nothing };
      const isComplete = !tap.overflowed;
      const arrivals = [...missed.flatMap((each) => each.arrivals), ...tap.take()];
      return {
        start: {
          ...{ epoch: this.#parts.epoch, position: tokenFromPositions(positions), devices: snapshot.devices },
          ...recovery(missing),
        },
        snapshot: snapshot.pieces,
        news: piecesOf(view, view.shaped(arrivals), replayMarks),
        course: new Course(positions, false),
        reached: isComplete ? this.here(channel) : until,
        isComplete,
      };
    } finally {
      channel.taps.delete(tap);
    }
  }

  /** What has come since a time is replayed later; here is only what of that cannot be had. */
  async from({ channel, view, wish }: Subscription, timeMs: number): Promise<Beginning> {
    const { positions, missing } = await this.#parts.past.since(channel, timeMs);
    const snapshot = wish.snapshot ? this.snapshot(channel, view, missing) : { devices: 0, pieces: nothing };
    return {
      start: {
        ...{ epoch: this.#parts.epoch, position: tokenFromPositions(positions), devices: snapshot.devices },
        ...recovery(missing),
      },
      snapshot: snapshot.pieces,
      news: nothing,
      course: new Course(positions, true, wish.speed),
      reached: positions,
      isComplete: false,
    };
  }

  /** Up to where a live channel is complete. */
  here(channel: Channel): Positions {
    const positions = new Positions(this.#parts.epoch);
    for (const partition of channel.partitions) {
      positions.advance(partition, this.#parts.ownership.next(channel, partition) - 1);
    }
    return positions;
  }

  /** Last values; with `within`, only those whose reports lie in these ranges. Throws `limit_reached`. */
  snapshot(channel: Channel, view: View, within?: readonly Missing[]): { devices: number; pieces: Iterable<Piece> } {
    const { ownership, snapshotBytesMax } = this.#parts;
    const arrivals: Arrival[] = [];
    for (const partition of channel.partitions) {
      const range = within?.find((each) => each.partition === partition);
      if (within !== undefined && range === undefined) continue;
      // Another owner may have got further than the one that the channel follows now: what is later than where it is comes as news.
      const until = ownership.next(channel, partition);
      for (const arrival of ownership.partitions[partition]!.lastValues(channel)) {
        if (arrival.seq >= until) continue;
        if (range !== undefined && (arrival.seq < range.from || arrival.seq > range.to)) continue;
        arrivals.push(arrival);
      }
    }
    const values = view.lastValues(arrivals);
    let bytes = 0;
    let devices = 0;
    let device = '';
    for (const value of values) {
      if (value.report.device !== device) devices++;
      device = value.report.device;
      bytes += sizeIn(view, value);
      if (bytes > snapshotBytesMax) throw snapshotTooLarge(channel.pattern, snapshotBytesMax);
    }
    return { devices, pieces: piecesOf(view, values, snapshotMarks) };
  }
}

function recovery(missing: readonly Missing[]): Pick<SubscriptionStart, 'recovered' | 'missing'> {
  return missing.length === 0 ? { recovered: true } : { recovered: false, missing };
}

function snapshotTooLarge(channel: string, bytesMax: number): TailraceError {
  return new TailraceError(
    'limit_reached',
    `the last values of ${channel} are more than ${bytesMax} bytes; subscribe to smaller subtrees, or with "snapshot": false`,
  );
}
