import {
  type Delivery,
  decodeDelivery,
  type Skipped,
  skippedFrom,
  tailrace,
  WireReader,
} from '../generated/protocol.js';
import type { Channel } from './plant.ts';

/** Receives the content of `data` messages. */
export interface DataSink {
  /** Before the reports of the frame. */
  frame(isSnapshot: boolean, missing: readonly MissingRange[]): void;
  /**
   * `device` is its number in the channel, -1 for one that the channel does not cover; `n` is the number of the first
   * numeric reading; `time` is epoch ms.
   */
  report(device: number, partition: number, seq: number, n: number, time: number): void;
}

/** Positions that are not delivered, or only summarized. */
export interface MissingRange {
  readonly partition: number;
  /** Its number in the channel; undefined: every device of the partition. */
  readonly device?: number | undefined;
  readonly from: number;
  /** Inclusive. */
  readonly to: number;
  readonly reason: string;
}

/** Field tags, (number << 3) | wire type, of ServerMessage.data and of Data in proto/tailrace/v1/client.proto. */
const dataTag = 0x1a;
const tags = { reports: 0x12, snapshot: 0x18, skipped: 0x22 } as const;

/** Start and end of each report of a frame. Reused, so that a frame allocates no array. */
const startOffsets: number[] = [];
const endOffsets: number[] = [];

/**
 * Passes the reports of a binary `data` message to the sink. Returns false for any other message. It decodes a report
 * only as far as a load test needs it: k6 interprets JavaScript, and takes 30 times as long for the product's decoder.
 */
export function passDataFrame(bytes: Uint8Array, channel: Channel, sink: DataSink): boolean {
  if (bytes[0] !== dataTag) return false;
  const reader = new WireReader(bytes, 'invalid_message');
  reader.at = 1;
  reader.enter();
  let isSnapshot = false;
  let skipped: tailrace.v1.Skipped[] | undefined;
  let count = 0;
  while (reader.at < reader.end) {
    const tag = reader.varint();
    if (tag === tags.reports) {
      const outerEnd = reader.enter();
      startOffsets[count] = reader.at;
      endOffsets[count++] = reader.end;
      reader.leave(outerEnd);
    } else if (tag === tags.snapshot) isSnapshot = reader.varint() !== 0;
    else if (tag === tags.skipped) {
      skipped ??= [];
      skipped.push(tailrace.v1.Skipped.decode(reader.slice()));
    } else reader.skip(tag & 7);
  }
  sink.frame(isSnapshot, skipped === undefined ? noRanges : missingRanges(skippedFrom(skipped), channel));
  const { view } = reader;
  for (let index = 0; index < count; index++) {
    if (passOwnReport(bytes, view, startOffsets[index]!, endOffsets[index]!, channel, sink)) continue;
    passReport(decodeDelivery(bytes.subarray(startOffsets[index], endOffsets[index])), channel, sink);
  }
  return true;
}

export function passReport(
  { device, partition, seq, readings, time }: Delivery,
  channel: Channel,
  sink: DataSink,
): void {
  const n = readings.find(({ value }) => typeof value === 'number')?.value;
  sink.report(channel.indexOf(device), partition, seq, Number(n), time);
}

const noRanges: readonly MissingRange[] = [];

export function missingRanges(skipped: readonly Skipped[] | undefined, channel: Channel): readonly MissingRange[] {
  if (skipped === undefined) return noRanges;
  return skipped.map(({ partition, device, from, to, reason }) => {
    const number = device === '' ? undefined : channel.indexOf(device);
    return { partition, device: number, from, to, reason };
  });
}

/**
 * Passes a Delivery of a report that this load test has sent: `device`, `time`, readings of which the first is
 * {tag: 'n', number}, and at the end `partition` and `seq`. Compares every tag on the way, and returns false without a
 * call of the sink where the bytes differ.
 *
 * `0a 16 "loadtest.r7.line2.d23"  11 <time>  1a 0c  0a 01 'n' 11 <n>  1a …  22 …  29 …  30 <partition>  38 <seq>`
 */
function passOwnReport(
  bytes: Uint8Array,
  view: DataView,
  start: number,
  end: number,
  channel: Channel,
  sink: DataSink,
): boolean {
  if (bytes[start] !== 0x0a) return false;
  const length = bytes[start + 1]!;
  const at = start + 2 + length;
  // The first reading's head is one byte of length, 'n' one letter.
  if (length > 127 || bytes[at] !== 0x11 || bytes[at + 9] !== 0x1a || bytes[at + 10]! > 127) return false;
  if (bytes[at + 11] !== 0x0a || bytes[at + 12] !== 1 || bytes[at + 14] !== 0x11) return false;
  // Backwards over the two varints at the end: a byte below 128 is the last one of a varint.
  let head = end - 2;
  let seq = bytes[end - 1]!;
  if (seq > 127) return false;
  for (let byte = bytes[head]!; byte > 127; byte = bytes[--head]!) seq = seq * 128 + byte - 128;
  if (bytes[head] !== 0x38) return false;
  let partition = bytes[head - 1]!;
  let tag = head - 2;
  if (partition > 127) return false;
  for (let byte = bytes[tag]!; byte > 127; byte = bytes[--tag]!) partition = partition * 128 + byte - 128;
  if (bytes[tag] !== 0x30) return false;
  const device = channel.indexAt(bytes, start + 2, at);
  sink.report(device, partition, seq, view.getFloat64(at + 15, true), view.getFloat64(at + 1, true));
  return true;
}
