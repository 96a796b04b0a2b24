import { invalidMessage } from './messagefields.ts';
import type { Delivery } from './report.ts';
import { decodeDelivery } from './reportproto.ts';
import { bytesOf } from './slab.ts';
import { WireReader } from './wirereader.ts';
import { varintBytes, writeVarint } from './wirewriter.ts';

/** Deliveries to the clients of one view. */
export interface Data {
  /** The number that `subscribed` gave. */
  readonly view: number;
  readonly reports: readonly Delivery[];
  /** Last values, not news. Absent: false. */
  readonly snapshot?: boolean;
}

/** Tags of ServerMessage.data, and of Data's fields. */
const dataTag = 0x1a;
const tags = { view: 0x08, reports: 0x12, snapshot: 0x18 } as const;

/** A `data` message in JSON around texts of `deliveryJson`. */
export function dataFrameJson(view: number, deliveryJsonTexts: readonly string[], snapshot: boolean): string {
  return `{"data":{"view":${view}${snapshot ? ',"snapshot":true' : ''},"reports":[${deliveryJsonTexts.join(',')}]}}`;
}

/** A `data` message as a Protobuf ServerMessage around bytes of `deliveryBytes`: nothing is encoded again, one allocation. */
export function dataFrameBytes(view: number, deliveries: readonly Uint8Array[], snapshot: boolean): Uint8Array {
  let dataLength = (view === 0 ? 0 : 1 + varintBytes(view)) + (snapshot ? 2 : 0);
  for (let index = 0; index < deliveries.length; index++) {
    const { length } = deliveries[index]!;
    dataLength += 1 + varintBytes(length) + length;
  }
  const bytes = bytesOf(1 + varintBytes(dataLength) + dataLength);
  bytes[0] = dataTag;
  let at = writeVarint(bytes, 1, dataLength);
  if (view !== 0) {
    bytes[at] = tags.view;
    at = writeVarint(bytes, at + 1, view);
  }
  for (let index = 0; index < deliveries.length; index++) {
    const delivery = deliveries[index]!;
    bytes[at] = tags.reports;
    at = writeVarint(bytes, at + 1, delivery.length);
    bytes.set(delivery, at);
    at += delivery.length;
  }
  if (snapshot) {
    bytes[at] = tags.snapshot;
    bytes[at + 1] = 1;
  }
  return bytes;
}

/** The `data` of a ServerMessage that is nothing else; undefined for any other. Throws `invalid_message`, and what `decodeDelivery` throws. */
export function dataFromBytes(bytes: Uint8Array): Data | undefined {
  if (bytes[0] !== dataTag) return undefined;
  const reader = new WireReader(bytes, 'invalid_message');
  reader.at = 1;
  reader.enter();
  // Fields behind `data`: the generated code knows what they mean.
  if (reader.end !== bytes.length) return undefined;
  let view = 0;
  let snapshot = false;
  const reports: Delivery[] = [];
  while (reader.at < reader.end) {
    const tag = reader.tag();
    if (tag === tags.view) view = reader.varint();
    else if (tag === tags.reports) reports.push(decodeDelivery(reader.slice()));
    else if (tag === tags.snapshot) snapshot = reader.varint() !== 0;
    else reader.skip(tag & 7);
  }
  if (view > 0xffffffff) throw invalidMessage(`data.view is ${view}; right is below 2^32`);
  return snapshot ? { view, reports, snapshot } : { view, reports };
}
