import type { Positions } from '@tailrace/protocol/position';
import type { FrameFlags, Missing } from '@tailrace/protocol/server-message';
import type { Partition } from '../ownership/partition.ts';
import { frameBytesMax, sizeIn } from '../views/frames.ts';
import type { Publication } from '../views/publication.ts';
import type { View } from '../views/view.ts';
import type { Channel } from './channels.ts';

const flags: FrameFlags = Object.freeze({ snapshot: true });
const lastFlags: FrameFlags = Object.freeze({ snapshot: true, snapshotComplete: true });

/** Last values of one partition with positions from `from` up to `until`, exclusive. */
interface Range {
  readonly partition: Pick<Partition, 'index'>;
  readonly from: number;
  readonly until: number;
}

/**
 * The last values of a channel, in frames, each encoded when it is requested.
 *
 * A snapshot is as of its creation: `here` is the position of the channel then, by partition. It stores only its
 * progress, for any number of devices and any duration. So later reports of a device have to be kept apart:
 *
 * - Devices are visited by partition, in the order of their paths, each once. A device that is new since then is
 *   visited or not, and has no report before `here`.
 * - Of a device the kept reports before `here` are sent. A report is kept until later ones have all its tags. So the
 *   last value of a tag as of `here` is either kept, and sent, or replaced by a report at or after `here`.
 * - Reports at or after `here` are sent after the snapshot, as backlog (`CatchUps`).
 *
 * So the client has the last value of each tag from the snapshot, or a later one from the backlog. No report is sent
 * twice, because it is either before `here` or not. Positions of a device only increase, because the snapshot is sent
 * first, and the reports of one device are sent oldest first. The owner of a partition may change meanwhile: the last
 * values of a device that a channel covers are kept.
 */
export class Snapshot {
  /** Devices visited for one frame, at most: with 250 bytes each they fill it. */
  static readonly devicesPerFrame: number = 256;
  /** Devices known at its creation; some may have no report left to send. 0: there are no frames. */
  readonly devices: number;
  readonly #pattern: string;
  readonly #view: View;
  readonly #ranges: readonly Range[];
  /** The current range, its last device that was sent completely, and the last sent position of the next device. */
  #at = 0;
  #after = '';
  #sentSeq = -1;

  /** `within`: only reports in these ranges, at most one for each partition. */
  constructor(
    channel: Pick<Channel, 'pattern' | 'partitions'>,
    view: View,
    options: {
      readonly partitions: readonly Pick<Partition, 'index'>[];
      readonly here: Positions;
      readonly within?: readonly Missing[] | undefined;
    },
  ) {
    const { partitions, here, within } = options;
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

  /** Whether all frames have been returned. */
  get isComplete(): boolean {
    return this.#at >= this.#ranges.length;
  }

  /**
   * Returns the next frame, of at most `frameBytesMax`, or one report. Undefined: the visited devices have nothing to
   * send, and there are more devices. The frame is to be sent in the same turn of the event loop. Not to be called
   * after the last frame.
   */
  next(): string | Uint8Array | undefined {
    const publications: Publication[] = [];
    let left = Snapshot.devicesPerFrame;
    let bytes = 0;
    while (!this.isComplete && left > 0) {
      const range = this.#ranges[this.#at]!;
      const devices = range.partition.index.page(this.#pattern, this.#after, left);
      for (const device of devices) {
        const from = Math.max(range.from, this.#sentSeq + 1);
        const kept = device.lastValues().filter(({ seq }) => seq >= from && seq < range.until);
        for (const report of this.#view.lastValues(kept)) {
          const size = sizeIn(this.#view, report);
          if (publications.length > 0 && bytes + size > frameBytesMax) return this.#view.frame(publications, flags);
          bytes += size;
          publications.push(report);
          this.#sentSeq = report.seq;
        }
        this.#after = device.path;
        this.#sentSeq = -1;
        left--;
      }
      if (left === 0) break;
      this.#at++;
      this.#after = '';
    }
    if (this.isComplete) return this.#view.frame(publications, lastFlags);
    return publications.length === 0 ? undefined : this.#view.frame(publications, flags);
  }
}
