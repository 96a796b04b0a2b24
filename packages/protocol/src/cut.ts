import { type Cut, cutOf } from './cut-json.ts';
import { tailrace } from './generated/tailrace.js';
import { invalidMessage } from './message-fields.ts';
import type { Delivery } from './report.ts';
import { decodeDelivery, deliveryBytes, encodeReport } from './report-proto.ts';
import { bytesOf } from './slab.ts';
import { WireReader } from './wire-reader.ts';
import { varintBytes, writeVarint } from './wire-writer.ts';

export { type Cut, cutFrameJson, cutFrom, cutJson } from './cut-json.ts';

/** Tags of ServerMessage.cut and of Cut.reports. */
const cutTag = (16 << 3) | 2;
const reportsTag = 0x1a;

/** Encodes a `cut` message as a Protobuf ServerMessage around bytes of `deliveryBytes`. */
export function cutFrameBytes(cut: Omit<Cut, 'reports'>, deliveries: readonly Uint8Array[]): Uint8Array {
  const { view, at, late = [], missing = [], page = 0, more = false } = cut;
  // Protobuf allows any order of fields: the rest of the cut first, then the encoded reports.
  const head = tailrace.v1.Cut.encode({ view, at, late: [...late], missing: [...missing], page, more }).finish();
  let length = head.length;
  for (const delivery of deliveries) length += 1 + varintBytes(delivery.length) + delivery.length;
  const bytes = bytesOf(varintBytes(cutTag) + varintBytes(length) + length);
  let end = writeVarint(bytes, writeVarint(bytes, 0, cutTag), length);
  bytes.set(head, end);
  end += head.length;
  for (const delivery of deliveries) {
    bytes[end] = reportsTag;
    end = writeVarint(bytes, end + 1, delivery.length);
    bytes.set(delivery, end);
    end += delivery.length;
  }
  return bytes;
}

export function cutBytes(cut: Cut): Uint8Array {
  const deliveries = cut.reports.map((report) =>
    deliveryBytes(encodeReport(report), report.partition, report.seq, report.delta),
  );
  return cutFrameBytes(cut, deliveries);
}

/** Decodes the `cut` of a ServerMessage that has only a cut; undefined for others. Throws as `cutFrom` does. */
export function cutFromBytes(bytes: Uint8Array): Cut | undefined {
  if (bytes[0] !== (cutTag & 127) + 128 || bytes[1] !== cutTag >> 7) return undefined;
  const reader = new WireReader(bytes, 'invalid_message');
  reader.at = 2;
  reader.enter();
  if (reader.end !== bytes.length) return undefined;
  let view = 0;
  let at = 0;
  const reports: Delivery[] = [];
  const late: string[] = [];
  const missing: number[] = [];
  let page = 0;
  let more = false;
  while (reader.at < reader.end) {
    const tag = reader.tag();
    if (tag === 0x08) view = reader.varint();
    else if (tag === 0x11) at = reader.double();
    else if (tag === reportsTag) reports.push(decodeDelivery(reader.slice()));
    else if (tag === 0x22) late.push(reader.text());
    else if (tag === 0x28) missing.push(reader.varint());
    else if (tag === 0x2a) missing.push(...packed(reader.slice()));
    else if (tag === 0x30) page = reader.varint();
    else if (tag === 0x38) more = reader.varint() !== 0;
    else reader.skip(tag & 7);
  }
  if (view > 0xffffffff) throw invalidMessage(`cut.view: expected an integer below 2^32, got ${view}`);
  return cutOf(view, at, reports, late, missing, page, more);
}

function packed(bytes: Uint8Array): number[] {
  const reader = new WireReader(bytes, 'invalid_message');
  const numbers: number[] = [];
  while (reader.at < reader.end) numbers.push(reader.varint());
  return numbers;
}
