import { invalidReport } from './reading.ts';
import { readingTags, reportTags } from './report-tags.ts';
import { WireReader } from './wire-reader.ts';

const utf8 = new TextDecoder('utf-8', { fatal: true });

/**
 * The JSON of a delivery, straight from the Protobuf bytes of the report as it lies in the log: what `deliveryJson` says of the decoded report.
 * No reading becomes an object on the way, which takes half the time and leaves next to nothing to the garbage collector. The report was checked
 * before it went into the log; throws `invalid_report` where something else wrote there. For Node: it uses `Buffer`.
 */
export function deliveryText(bytes: Uint8Array, partition: number, seq: number): string {
  const reader = new WireReader(bytes, 'invalid_report');
  out.reset();
  out.ascii('{"device":"');
  const { id, idEnd, received, clock, time, device, deviceEnd } = headOf(reader);
  out.escaped(bytes, device, deviceEnd);
  out.ascii('","partition":');
  out.number(partition);
  out.ascii(',"seq":');
  out.number(seq);
  out.ascii(',"time":');
  out.number(time);
  if (received !== 0) {
    out.ascii(',"received":');
    out.number(received);
  }
  // One that a later version added says that the times are not to be relied on.
  if (clock !== 0) out.ascii(clock === 2 ? ',"clock":"ingest"' : ',"clock":"ahead"');
  out.ascii(',"readings":[');
  writeReadings(bytes);
  out.ascii(']');
  if (idEnd > id) {
    out.ascii(',"id":"');
    out.escaped(bytes, id, idEnd);
    out.ascii('"');
  }
  out.ascii('}');
  return out.taken();
}

interface Head {
  device: number;
  deviceEnd: number;
  time: number;
  id: number;
  idEnd: number;
  received: number;
  clock: number;
}

/** One for all: nothing of it outlives a call. */
const head: Head = { device: 0, deviceEnd: 0, time: 0, id: 0, idEnd: 0, received: 0, clock: 0 };

function headOf(reader: WireReader): Head {
  head.device = head.deviceEnd = head.time = head.id = head.idEnd = head.received = head.clock = 0;
  while (reader.at < reader.end) {
    const tag = reader.tag();
    if (tag === reportTags.time) head.time = reader.double();
    else if (tag === reportTags.received) head.received = reader.double();
    else if (tag === reportTags.clock) head.clock = reader.varint();
    else if (tag === reportTags.device || tag === reportTags.id) {
      const outerEnd = reader.enter();
      if (tag === reportTags.device) {
        head.device = reader.at;
        head.deviceEnd = reader.end;
      } else {
        head.id = reader.at;
        head.idEnd = reader.end;
      }
      reader.leave(outerEnd);
    } else reader.skip(tag & 7);
  }
  return head;
}

function writeReadings(bytes: Uint8Array): void {
  const reader = new WireReader(bytes, 'invalid_report');
  let first = true;
  while (reader.at < reader.end) {
    const tag = reader.tag();
    if (tag !== reportTags.readings) {
      reader.skip(tag & 7);
      continue;
    }
    const outerEnd = reader.enter();
    if (!first) out.ascii(',');
    first = false;
    writeReading(bytes, reader);
    reader.leave(outerEnd);
  }
}

/** A reading's fields may come in any order, and of one that comes twice the last counts: they are found first, and written then. */
function writeReading(bytes: Uint8Array, reader: WireReader): void {
  let [tagAt, tagEnd, textAt, textEnd, unitAt, unitEnd] = [0, 0, 0, 0, 0, 0];
  let kind = 0;
  let number = 0;
  let quality = 0;
  let time: number | undefined;
  while (reader.at < reader.end) {
    const field = reader.tag();
    if (field === readingTags.number) {
      number = reader.double();
      kind = field;
    } else if (field === readingTags.boolean) {
      number = reader.varint();
      kind = field;
    } else if (field === readingTags.quality) quality = reader.varint();
    else if (field === readingTags.time) time = reader.double();
    else if (field === readingTags.tag || field === readingTags.text || field === readingTags.unit) {
      const outerEnd = reader.enter();
      if (field === readingTags.tag) [tagAt, tagEnd] = [reader.at, reader.end];
      else if (field === readingTags.unit) [unitAt, unitEnd] = [reader.at, reader.end];
      else {
        [textAt, textEnd] = [reader.at, reader.end];
        kind = field;
      }
      reader.leave(outerEnd);
    } else reader.skip(field & 7);
  }
  out.ascii('{"tag":"');
  out.escaped(bytes, tagAt, tagEnd);
  out.ascii('","value":');
  if (kind === readingTags.number) out.number(number);
  else if (kind === readingTags.boolean) out.ascii(number === 0 ? 'false' : 'true');
  else if (kind === readingTags.text) {
    out.ascii('"');
    out.escaped(bytes, textAt, textEnd);
    out.ascii('"');
  } else throw invalidReport('a reading has no value; right is number, boolean or text');
  if (unitEnd > unitAt) {
    out.ascii(',"unit":"');
    out.escaped(bytes, unitAt, unitEnd);
    out.ascii('"');
  }
  // A quality that a later version added is not one to rely on.
  if (quality > 1) out.ascii(quality === 3 ? ',"quality":"bad"' : ',"quality":"uncertain"');
  if (time !== undefined) {
    out.ascii(',"time":');
    out.number(time);
  }
  out.ascii('}');
}

const hex = '0123456789abcdef';
/** The short escapes of RFC 8259, section 7, by the byte that they stand for. */
const shortEscapes: Readonly<Record<number, string>> = {
  8: '\\b',
  9: '\\t',
  10: '\\n',
  12: '\\f',
  13: '\\r',
  34: '\\"',
  92: '\\\\',
};

/** Text into a buffer that is kept and used again. */
class TextWriter {
  #bytes = Buffer.alloc(16 * 1024);
  #at = 0;
  #isAscii = true;

  reset(): void {
    this.#at = 0;
    this.#isAscii = true;
  }

  taken(): string {
    // Latin-1 is ASCII where there is nothing else, and costs a fifth of UTF-8.
    return this.#bytes.toString(this.#isAscii ? 'latin1' : 'utf8', 0, this.#at);
  }

  ascii(text: string): void {
    const { length } = text;
    this.#room(length);
    const bytes = this.#bytes;
    let at = this.#at;
    for (let i = 0; i < length; i++) bytes[at++] = text.charCodeAt(i);
    this.#at = at;
  }

  /** Throws `invalid_report` for what JSON has no number for. */
  number(value: number): void {
    if (!Number.isFinite(value)) throw invalidReport(`the report has the number ${value}; right is a finite one`);
    this.ascii(String(value));
  }

  /** Bytes of a UTF-8 text as they stand in a JSON string. Throws `invalid_report` for what is no UTF-8. */
  escaped(source: Uint8Array, start: number, end: number): void {
    // A byte takes six at most, as \u001f.
    this.#room((end - start) * 6);
    const bytes = this.#bytes;
    let at = this.#at;
    let seen = 0;
    for (let i = start; i < end; i++) {
      const byte = source[i]!;
      seen |= byte;
      if (byte >= 0x20 && byte !== 34 && byte !== 92) bytes[at++] = byte;
      else {
        const written = shortEscapes[byte] ?? `\\u00${hex[byte >> 4]}${hex[byte & 15]}`;
        for (let k = 0; k < written.length; k++) bytes[at++] = written.charCodeAt(k);
      }
    }
    this.#at = at;
    if (seen < 0x80) return;
    this.#isAscii = false;
    assertUtf8(source.subarray(start, end));
  }

  #room(count: number): void {
    if (this.#at + count <= this.#bytes.length) return;
    const bytes = Buffer.alloc(Math.max(this.#bytes.length * 2, this.#at + count));
    bytes.set(this.#bytes.subarray(0, this.#at));
    this.#bytes = bytes;
  }
}

const out = new TextWriter();

function assertUtf8(bytes: Uint8Array): void {
  try {
    utf8.decode(bytes);
  } catch {
    throw invalidReport(`${bytes.length} bytes of the report are not UTF-8`);
  }
}
