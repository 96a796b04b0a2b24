import { WireReader } from './wirereader.ts';

/** What is needed of a report to know where it goes. */
export interface ReportSkim {
  readonly device: string;
  /** Empty: none. */
  readonly id: string;
  /** Ingest's clock, epoch ms; 0: not known. */
  readonly received: number;
}

/** Field tags of Protobuf `Report`, and of `Reading`: (number << 3) | wire type. */
const reportTags = { device: 0x0a, readings: 0x1a, id: 0x22, received: 0x29 } as const;
const readingTag = 0x0a;

/**
 * Reads a report that was checked before it went into the log only as far as routing needs; its readings are passed over. Throws
 * `invalid_report` for bytes that are damaged so far.
 */
export function skimReport(bytes: Uint8Array): ReportSkim {
  const reader = new WireReader(bytes, 'invalid_report');
  let device = '';
  let id = '';
  let received = 0;
  while (reader.at < reader.end) {
    const tag = reader.tag();
    if (tag === reportTags.device) device = reader.repeatedText();
    else if (tag === reportTags.id) id = reader.text();
    else if (tag === reportTags.received) received = reader.double();
    else reader.skip(tag & 7);
  }
  return { device, id, received };
}

/**
 * Whether two reports have the same tags in the same order: the usual case of a device that sends all it has each time. By the bytes, so that no
 * reading is decoded. Throws `invalid_report` for damage.
 */
export function sameReadingTags(one: Uint8Array, other: Uint8Array): boolean {
  const [a, b] = [new TagWalk(one), new TagWalk(other)];
  for (;;) {
    const [more, otherMore] = [a.next(), b.next()];
    if (!more || !otherMore) return more === otherMore;
    if (!a.equals(b)) return false;
  }
}

/** The tags of a report's readings, one after the other, where they lie. */
class TagWalk {
  readonly #bytes: Uint8Array;
  readonly #reader: WireReader;
  #start = 0;
  #end = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#reader = new WireReader(bytes, 'invalid_report');
  }

  next(): boolean {
    const reader = this.#reader;
    while (reader.at < reader.end) {
      const tag = reader.tag();
      if (tag !== reportTags.readings) {
        reader.skip(tag & 7);
        continue;
      }
      const outerEnd = reader.enter();
      this.#start = this.#end = reader.at;
      while (reader.at < reader.end) {
        const field = reader.tag();
        if (field !== readingTag) {
          reader.skip(field & 7);
          continue;
        }
        const readingEnd = reader.enter();
        this.#start = reader.at;
        this.#end = reader.end;
        reader.leave(readingEnd);
        // Of a field that comes twice the last one counts, but nobody writes it twice: the first is enough to go by.
        break;
      }
      reader.leave(outerEnd);
      return true;
    }
    return false;
  }

  equals(other: TagWalk): boolean {
    const length = this.#end - this.#start;
    if (length !== other.#end - other.#start) return false;
    for (let i = 0; i < length; i++) {
      if (this.#bytes[this.#start + i] !== other.#bytes[other.#start + i]) return false;
    }
    return true;
  }
}
