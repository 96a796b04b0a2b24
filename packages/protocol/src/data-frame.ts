import { type Data, dataOf, type FrameFlags } from './data-frame-json.ts';
import { tailrace } from './generated/tailrace.js';
import { invalidMessage } from './message-fields.ts';
import type { Delivery } from './report.ts';
import { decodeDelivery } from './report-proto.ts';
import { type Skipped, skippedFrom } from './skipped.ts';
import { bytesOf } from './slab.ts';
import { WireReader } from './wire-reader.ts';
import { varintBytes, writeVarint } from './wire-writer.ts';

export { type Data, dataFrameJson, dataOf, type FrameFlags, noFlags } from './data-frame-json.ts';

/** Tags of ServerMessage.data and of Data's fields. */
const dataTag = 0x1a;
const tags = {
  view: 0x08,
  reports: 0x12,
  snapshot: 0x18,
  skipped: 0x22,
  replay: 0x28,
  snapshotComplete: 0x30,
} as const;

/** Encodes a `data` message as a Protobuf ServerMessage around bytes of `deliveryBytes`, with one allocation. */
export function dataFrameBytes(view: number, deliveries: readonly Uint8Array[], flags: FrameFlags): Uint8Array {
  const { snapshot, snapshotComplete, replay } = flags;
  const skipped = flags.skipped === undefined ? none : flags.skipped.map(skippedBytes);
  let dataLength = (view === 0 ? 0 : 1 + varintBytes(view)) + (snapshot ? 2 : 0);
  dataLength += (snapshotComplete ? 2 : 0) + (replay ? 2 : 0);
  dataLength += lengthOf(deliveries) + lengthOf(skipped);
  const bytes = bytesOf(1 + varintBytes(dataLength) + dataLength);
  bytes[0] = dataTag;
  let at = writeVarint(bytes, 1, dataLength);
  if (view !== 0) {
    bytes[at] = tags.view;
    at = writeVarint(bytes, at + 1, view);
  }
  at = writeAll(bytes, at, tags.reports, deliveries);
  if (snapshot) {
    bytes[at++] = tags.snapshot;
    bytes[at++] = 1;
  }
  at = writeAll(bytes, at, tags.skipped, skipped);
  if (replay) {
    bytes[at++] = tags.replay;
    bytes[at++] = 1;
  }
  if (snapshotComplete) {
    bytes[at++] = tags.snapshotComplete;
    bytes[at++] = 1;
  }
  return bytes;
}

const none: readonly Uint8Array[] = [];

function skippedBytes(skipped: Skipped): Uint8Array {
  return tailrace.v1.Skipped.encode(skipped as Parameters<typeof tailrace.v1.Skipped.encode>[0]).finish();
}

/** Returns the bytes of length-delimited fields with one-byte tags. */
function lengthOf(parts: readonly Uint8Array[]): number {
  let sum = 0;
  for (let index = 0; index < parts.length; index++) {
    const { length } = parts[index]!;
    sum += 1 + varintBytes(length) + length;
  }
  return sum;
}

function writeAll(bytes: Uint8Array, start: number, tag: number, parts: readonly Uint8Array[]): number {
  let at = start;
  for (let index = 0; index < parts.length; index++) {
    const part = parts[index]!;
    bytes[at] = tag;
    at = writeVarint(bytes, at + 1, part.length);
    bytes.set(part, at);
    at += part.length;
  }
  return at;
}

/**
 * Decodes the `data` of a ServerMessage that has only data; undefined for others. Throws `invalid_message`, and what
 * `decodeDelivery` throws.
 */
export function dataFromBytes(bytes: Uint8Array): Data | undefined {
  if (bytes[0] !== dataTag) return undefined;
  const reader = new WireReader(bytes, 'invalid_message');
  reader.at = 1;
  reader.enter();
  // The generated code decodes messages with further fields.
  if (reader.end !== bytes.length) return undefined;
  let view = 0;
  let snapshot = false;
  let snapshotComplete = false;
  let replay = false;
  const skipped: tailrace.v1.Skipped[] = [];
  const reports: Delivery[] = [];
  while (reader.at < reader.end) {
    const tag = reader.tag();
    if (tag === tags.view) view = reader.varint();
    else if (tag === tags.reports) reports.push(decodeDelivery(reader.slice()));
    else if (tag === tags.snapshot) snapshot = reader.varint() !== 0;
    else if (tag === tags.snapshotComplete) snapshotComplete = reader.varint() !== 0;
    else if (tag === tags.replay) replay = reader.varint() !== 0;
    else if (tag === tags.skipped) skipped.push(decodeSkipped(reader.slice()));
    else reader.skip(tag & 7);
  }
  if (view > 0xffffffff) throw invalidMessage(`data.view: expected an integer below 2^32, got ${view}`);
  return dataOf(view, reports, { snapshot, snapshotComplete, replay, skipped: skippedFrom(skipped) });
}

function decodeSkipped(bytes: Uint8Array): tailrace.v1.Skipped {
  try {
    return tailrace.v1.Skipped.decode(bytes);
  } catch (cause) {
    throw invalidMessage(`data.skipped: expected a Protobuf Skipped, got ${bytes.length} invalid bytes`, cause);
  }
}
