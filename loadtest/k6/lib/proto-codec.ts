import { takeDelivery } from './fast-delivery.ts';
import type { DataSink, NamedRange, Wish, Word } from './messages.ts';
import type { Channel } from './plant.ts';
import { WireReader } from './wire-reader.ts';
import { WireWriter } from './wire-writer.ts';

/* Field tags, (number << 3) | wire type, of proto/tailrace/v1/client.proto and telemetry.proto. frames.test.ts reads what the product writes. */
const dataTag = 0x1a;
const dataTags = { reports: 0x12, snapshot: 0x18, skipped: 0x22 } as const;
const deliveryTags = { device: 0x0a, time: 0x11, readings: 0x1a, partition: 0x30, seq: 0x38 } as const;
const readingTags = { number: 0x11 } as const;

/** Where the reports of the frame under way begin and end. Kept, so that a frame costs no new array. */
const starts: number[] = [];
const ends: number[] = [];
const noneNamed: readonly NamedRange[] = [];

/** `tailrace.v1.proto`: binary frames. */
export const protoCodec = {
  subprotocol: 'tailrace.v1.proto',

  frameOf(wish: Wish): ArrayBuffer {
    const message = new WireWriter();
    if ('auth' in wish) message.field(0x0a, new WireWriter().text(0x0a, wish.auth.token).bytes);
    else if ('ping' in wish) message.field(0x22, new WireWriter().double(0x09, wish.ping.t).bytes);
    else {
      const { id, channel, after } = wish.subscribe;
      const fields = new WireWriter().text(0x0a, id).text(0x12, channel);
      message.field(0x12, (after === undefined ? fields : fields.text(0x22, after)).bytes);
    }
    return new Uint8Array(message.bytes).buffer;
  },

  /** Gives what is in a `data` message to the sink; answers with any other message that a load test heeds. */
  read(frame: string | ArrayBuffer, channel: Channel, sink: DataSink): Word | undefined {
    if (typeof frame === 'string') throw new Error('the server sent a text frame; Protobuf was agreed');
    const reader = new WireReader(new Uint8Array(frame));
    const tag = reader.varint();
    const end = reader.fieldEnd();
    if (tag !== dataTag) return wordFrom(tag, reader);
    reader.end = end;
    readData(reader, channel, sink);
    return undefined;
  },
};

function readData(reader: WireReader, channel: Channel, sink: DataSink): void {
  const { end } = reader;
  let named = noneNamed;
  let isSnapshot = false;
  let count = 0;
  while (reader.at < end) {
    const tag = reader.varint();
    if (tag === dataTags.reports) {
      const reportEnd = reader.fieldEnd();
      starts[count] = reader.at;
      ends[count] = reportEnd;
      count++;
      reader.at = reportEnd;
    } else if (tag === dataTags.snapshot) isSnapshot = reader.varint() !== 0;
    else if (tag === dataTags.skipped) named = [...named, rangeFrom(reader)];
    else reader.skip(tag);
  }
  sink.frame(isSnapshot, named);
  const { bytes, view } = reader;
  for (let index = 0; index < count; index++) {
    const start = starts[index]!;
    const reportEnd = ends[index]!;
    if (takeDelivery(bytes, view, start, reportEnd, channel, sink)) continue;
    reader.at = start;
    readDelivery(reader, reportEnd, channel, sink);
  }
}

/** Whatever order its fields are in. */
function readDelivery(reader: WireReader, end: number, channel: Channel, sink: DataSink): void {
  let device = -1;
  let n = Number.NaN;
  let partition = 0;
  let seq = 0;
  let time = 0;
  while (reader.at < end) {
    const tag = reader.varint();
    if (tag === deliveryTags.readings) {
      const readingEnd = reader.fieldEnd();
      if (Number.isNaN(n)) n = firstNumber(reader, readingEnd);
      reader.at = readingEnd;
    } else if (tag === deliveryTags.device) {
      const deviceEnd = reader.fieldEnd();
      device = channel.indexAt(reader.bytes, reader.at, deviceEnd);
      reader.at = deviceEnd;
    } else if (tag === deliveryTags.time) time = reader.double();
    else if (tag === deliveryTags.partition) partition = reader.varint();
    else if (tag === deliveryTags.seq) seq = reader.varint();
    else reader.skip(tag);
  }
  sink.report(device, partition, seq, n, time);
}

function firstNumber(reader: WireReader, end: number): number {
  while (reader.at < end) {
    const tag = reader.varint();
    if (tag === readingTags.number) return reader.double();
    reader.skip(tag);
  }
  return Number.NaN;
}

/** Of `Skipped`, and of `Missing`, which has no device and its reason in field 4. */
function rangeFrom(reader: WireReader, isMissing = false): NamedRange {
  const end = reader.fieldEnd();
  const range = { partition: 0, device: '', from: 0, to: 0, reason: '' };
  while (reader.at < end) {
    const tag = reader.varint();
    const field = tag >> 3;
    if (field === 1) range.partition = reader.varint();
    else if (isMissing && field === 2) range.from = reader.varint();
    else if (isMissing && field === 3) range.to = reader.varint();
    else if (isMissing && field === 4) range.reason = reader.text();
    else if (!isMissing && field === 2) range.device = reader.text();
    else if (!isMissing && field === 3) range.from = reader.varint();
    else if (!isMissing && field === 4) range.to = reader.varint();
    else if (!isMissing && field === 6) range.reason = reader.text();
    else reader.skip(tag);
  }
  return range;
}

function wordFrom(tag: number, reader: WireReader): Word | undefined {
  if (tag === 0x0a) return { welcome: { node: '', version: '', ...textsOf(reader, { 2: 'node', 3: 'version' }) } };
  if (tag === 0x12) return subscribedFrom(reader);
  if (tag === 0x2a) return pongFrom(reader);
  if (tag === 0x32) return drainingFrom(reader);
  if (tag === 0x42) return { moved: { url: '', ...textsOf(reader, { 2: 'url' }) } };
  if (tag === 0x3a) return errorFrom(reader);
  return undefined;
}

function subscribedFrom(reader: WireReader): Word {
  const subscribed = { epoch: '', position: '', recovered: undefined as boolean | undefined, missing: noneNamed };
  while (reader.at < reader.end) {
    const tag = reader.varint();
    if (tag === 0x22) subscribed.epoch = reader.text();
    else if (tag === 0x2a) subscribed.position = reader.text();
    else if (tag === 0x38) subscribed.recovered = reader.varint() !== 0;
    else if (tag === 0x42) subscribed.missing = [...subscribed.missing, rangeFrom(reader, true)];
    else reader.skip(tag);
  }
  return { subscribed };
}

function drainingFrom(reader: WireReader): Word {
  const draining = { afterMs: 0 };
  while (reader.at < reader.end) {
    const tag = reader.varint();
    if (tag === 0x08) draining.afterMs = reader.varint();
    else reader.skip(tag);
  }
  return { draining };
}

function pongFrom(reader: WireReader): Word {
  const pong = { t: 0, time: 0 };
  while (reader.at < reader.end) {
    const tag = reader.varint();
    if (tag === 0x09) pong.t = reader.double();
    else if (tag === 0x11) pong.time = reader.double();
    else reader.skip(tag);
  }
  return { pong };
}

function errorFrom(reader: WireReader): Word {
  const start = reader.at;
  const texts = textsOf(reader, { 2: 'code', 3: 'message' });
  reader.at = start;
  let retryable = false;
  while (reader.at < reader.end) {
    const tag = reader.varint();
    if (tag === 0x20) retryable = reader.varint() !== 0;
    else reader.skip(tag);
  }
  return { error: { code: '', message: '', retryable, ...texts } };
}

/** Text fields by their numbers; others are passed over. */
function textsOf<N extends string>(reader: WireReader, names: Readonly<Record<number, N>>): Partial<Record<N, string>> {
  const texts: Partial<Record<N, string>> = {};
  while (reader.at < reader.end) {
    const tag = reader.varint();
    const name = (tag & 7) === 2 ? names[tag >> 3] : undefined;
    if (name === undefined) reader.skip(tag);
    else texts[name] = reader.text();
  }
  return texts;
}
