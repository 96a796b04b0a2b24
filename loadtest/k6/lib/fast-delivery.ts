import type { DataSink } from './messages.ts';
import type { Channel } from './plant.ts';

/**
 * Reads a Delivery of a report that this load test has sent: `device`, `time`, readings of which the first is {tag: 'n', number}, and at the end `partition`
 * and `seq`. k6 interprets JavaScript, at some 50 ns a step: this takes a tenth of what going through the fields does. Every tag on the way is compared: where
 * the bytes lie otherwise nothing is given to the sink, and it answers false.
 *
 * `0a 16 "loadtest.r7.line2.d23"  11 <time>  1a 0c  0a 01 'n' 11 <n>  1a …  22 …  29 …  30 <partition>  38 <seq>`
 */
export function takeDelivery(
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
  // Backwards over the two varints at the end: a byte below 128 ends one.
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
