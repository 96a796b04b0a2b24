import type { Positions } from '@tailrace/protocol/position';
import type { FrameFlags, Missing } from '@tailrace/protocol/server-message';
import type { Partition } from '../ownership/partition.ts';
import { frameBytesMax, sizeIn } from '../views/frames.ts';
import type { Publication } from '../views/publication.ts';
import type { View } from '../views/view.ts';
import type { Channel } from './channels.ts';

/** Devices looked at for one frame, at most: with 250 bytes each they fill it. */
const devicesPerFrameDefault = 256;

const marks: FrameFlags = Object.freeze({ snapshot: true });
const lastMarks: FrameFlags = Object.freeze({ snapshot: true, snapshotComplete: true });

/** Last values with positions from `from` up to `until`, exclusive, of one partition. */
interface Range {
  readonly partition: Pick<Partition, 'index'>;
  readonly from: number;
  readonly until: number;
}

/**
 * The last values of a channel, in frames, each made when it is asked for.
 *
 * A snapshot is of the moment in which it is made: `here` is where the channel was then, by partition. It holds nothing
 * but where it is, however many devices there are, and however long the client takes. So what a device has said since
 * then has to be kept apart:
 *
 * - Devices are visited by partition, in the order of their paths, each once: one that is new since then is visited or
 *   not, and has nothing from before.
 * - Of a device those kept reports are told whose position is before `here`. A report is kept until later ones have
 *   brought all its tags again. So the last value of a tag as of `here` is either still kept, and told, or replaced by
 *   a report at or after `here`.
 * - Everything at or after `here` is told after the snapshot, as news (`CatchUps`).
 *
 * So of each tag the client has the last value from the snapshot, or a later one from the news; no report comes twice,
 * because one is before `here` and the other is not; and positions of a device only grow, because the snapshot comes
 * first, and of one device oldest first. A partition may change hands meanwhile: what is known of a device that a
 * channel covers stays, and only grows.
 */
export class Snapshot {
  /** Devices known when it began: of some nothing may be left to tell. 0: there are no frames. */
  readonly devices: number;
  readonly #pattern: string;
  readonly #view: View;
  readonly #devicesPerFrame: number;
  readonly #ranges: readonly Range[];
  /**
   * The range that is visited, the last device of it that was told in full, and the last position that was told of the
   * next one.
   */
  #at = 0;
  #after = '';
  #told = -1;

  /** `within`: only what lies in these ranges, at most one of a partition. */
  constructor(
    channel: Pick<Channel, 'pattern' | 'partitions'>,
    view: View,
    parts: {
      readonly partitions: readonly Pick<Partition, 'index'>[];
      readonly here: Positions;
      readonly within?: readonly Missing[] | undefined;
      /** Devices looked at for one frame, at most. */
      readonly devicesPerFrame?: number | undefined;
    },
  ) {
    const { partitions, here, within, devicesPerFrame = devicesPerFrameDefault } = parts;
    this.#devicesPerFrame = devicesPerFrame;
    this.#pattern = channel.pattern;
    this.#view = view;
    const ranges: Range[] = [];
    for (const number of channel.partitions) {
      const partition = partitions[number]!;
      const until = (here.last(number) ?? -1) + 1;
      const range = within?.find((each) => each.partition === number);
      if (within === undefined) ranges.push({ partition, from: 0, until });
      else if (range !== undefined) ranges.push({ partition, from: range.from, until: Math.min(range.to + 1, until) });
    }
    this.devices = ranges.reduce((sum, { partition }) => sum + partition.index.count(this.#pattern), 0);
    this.#ranges = this.devices === 0 ? [] : ranges;
  }

  /** Whether all frames have been asked for. */
  get isComplete(): boolean {
    return this.#at >= this.#ranges.length;
  }

  /**
   * The next frame, of at most `frameBytesMax`, or one report; undefined where the devices that were looked at have
   * nothing to tell, and there are more. To be given to the client in the same turn of the event loop. Not after the
   * last.
   */
  next(): string | Uint8Array | undefined {
    const shown: Publication[] = [];
    let left = this.#devicesPerFrame;
    let bytes = 0;
    while (!this.isComplete && left > 0) {
      const range = this.#ranges[this.#at]!;
      const devices = range.partition.index.page(this.#pattern, this.#after, left);
      for (const device of devices) {
        const from = Math.max(range.from, this.#told + 1);
        const kept = device.lastValues().filter(({ seq }) => seq >= from && seq < range.until);
        for (const report of this.#view.lastValues(kept)) {
          const size = sizeIn(this.#view, report);
          if (shown.length > 0 && bytes + size > frameBytesMax) return this.#view.frame(shown, marks);
          bytes += size;
          shown.push(report);
          this.#told = report.seq;
        }
        this.#after = device.path;
        this.#told = -1;
        left--;
      }
      if (left === 0) break;
      this.#at++;
      this.#after = '';
    }
    if (this.isComplete) return this.#view.frame(shown, lastMarks);
    return shown.length === 0 ? undefined : this.#view.frame(shown, marks);
  }
}
