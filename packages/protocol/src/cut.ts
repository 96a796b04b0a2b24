import { deliveryFromJson } from './delivery.ts';
import { shown } from './error.ts';
import { tailrace } from './generated/tailrace.js';
import { countOf, type Fields, invalidMessage, numberOf } from './messagefields.ts';
import { partitionsFrom } from './presence.ts';
import type { Delivery } from './report.ts';
import { deliveryJson } from './reportjson.ts';
import { decodeDelivery, deliveryBytes, encodeReport } from './reportproto.ts';
import { bytesOf } from './slab.ts';
import { WireReader } from './wirereader.ts';
import { varintBytes, writeVarint } from './wirewriter.ts';

/** Everything of a channel as of one moment. */
export interface Cut {
  readonly view: number;
  /** Epoch ms by ingest's clock. */
  readonly at: number;
  /** The last values as of then; a device's may take several reports. */
  readonly reports: readonly Delivery[];
  /** Devices whose reports of before came after their cut had been sent. Absent: none. */
  readonly late?: readonly string[];
  /** Partitions that were not waited for any longer. Absent: none. */
  readonly missing?: readonly number[];
}

/** Tag of ServerMessage.cut, and of Cut.reports. */
const cutTag = (16 << 3) | 2;
const reportsTag = 0x1a;

/** A `cut` message in JSON around texts of `deliveryJson`. */
export function cutFrameJson(cut: Omit<Cut, 'reports'>, deliveryJsonTexts: readonly string[]): string {
  const { view, at, late = [], missing = [] } = cut;
  const lateText = late.length === 0 ? '' : `,"late":${JSON.stringify(late)}`;
  const missingText = missing.length === 0 ? '' : `,"missing":${JSON.stringify(missing)}`;
  return `{"cut":{"view":${view},"at":${at}${lateText}${missingText},"reports":[${deliveryJsonTexts.join(',')}]}}`;
}

/** A `cut` message as a Protobuf ServerMessage around bytes of `deliveryBytes`. */
export function cutFrameBytes(cut: Omit<Cut, 'reports'>, deliveries: readonly Uint8Array[]): Uint8Array {
  const { view, at, late = [], missing = [] } = cut;
  // Fields of a message may be written in any order: the rest of the cut first, then the reports as they are.
  const head = tailrace.v1.Cut.encode({ view, at, late: [...late], missing: [...missing] }).finish();
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

export function cutJson(cut: Cut): string {
  const texts = cut.reports.map((report) => deliveryJson(report, report.partition, report.seq, report.delta));
  return cutFrameJson(cut, texts);
}

export function cutBytes(cut: Cut): Uint8Array {
  const deliveries = cut.reports.map((report) =>
    deliveryBytes(encodeReport(report), report.partition, report.seq, report.delta),
  );
  return cutFrameBytes(cut, deliveries);
}

/** Throws `invalid_message`; `invalid_path` and `invalid_report` for a report. */
export function cutFrom(fields: Fields): Cut {
  const list = fields['reports'] ?? [];
  const late = fields['late'] ?? [];
  if (!Array.isArray(list)) throw invalidMessage('cut.reports is not an array; right is an array of deliveries');
  if (!Array.isArray(late) || !late.every((device) => typeof device === 'string'))
    throw invalidMessage(`cut.late is ${shown(late)}; right is an array of device paths`);
  return cutOf(
    countOf(fields, 'view', 'cut', 0),
    numberOf(fields, 'at', 'cut', 0),
    list.map(deliveryFromJson),
    late,
    partitionsFrom(fields['missing'], 'cut.missing'),
  );
}

/** The `cut` of a ServerMessage that is nothing else; undefined for any other. Throws as `cutFrom`. */
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
  while (reader.at < reader.end) {
    const tag = reader.tag();
    if (tag === 0x08) view = reader.varint();
    else if (tag === 0x11) at = reader.double();
    else if (tag === reportsTag) reports.push(decodeDelivery(reader.slice()));
    else if (tag === 0x22) late.push(reader.text());
    else if (tag === 0x28) missing.push(reader.varint());
    else if (tag === 0x2a) missing.push(...packed(reader.slice()));
    else reader.skip(tag & 7);
  }
  if (view > 0xffffffff) throw invalidMessage(`cut.view is ${view}; right is below 2^32`);
  return cutOf(view, at, reports, late, missing);
}

function packed(bytes: Uint8Array): number[] {
  const reader = new WireReader(bytes, 'invalid_message');
  const numbers: number[] = [];
  while (reader.at < reader.end) numbers.push(reader.varint());
  return numbers;
}

/** Without what says nothing. */
function cutOf(
  view: number,
  at: number,
  reports: readonly Delivery[],
  late: readonly string[],
  missing: readonly number[],
): Cut {
  return {
    view,
    at,
    reports,
    ...(late.length === 0 ? {} : { late }),
    ...(missing.length === 0 ? {} : { missing }),
  };
}
