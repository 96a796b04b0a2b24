import type { Rejection } from '@tailrace/protocol/ingest-result';
import type { StreamPlace, StreamResult } from './answers.ts';
import { type ParsedBody, reasonsMax, stepReportsMax } from './reports.ts';

/** Most reports of a chunk; the appender writes so many in one append. */
const chunkReportsMax = stepReportsMax;
/** A chunk is complete with the line that reaches this. With the longest line it is one append, too. */
const chunkBytesMax = 262_144;

/** Reports of consecutive lines of a stream, which are appended together. */
export class Chunk {
  readonly parsed: ParsedBody;
  /** Unpacked bytes of its lines. */
  bytes = 0;
  /** The line after it. Set when it is complete. */
  end: StreamPlace = { line: 0, byte: 0 };
  isSettled = false;
  /** Whether its reports were taken from the rates of their devices. */
  isRated = false;

  constructor(parsed: ParsedBody) {
    this.parsed = parsed;
  }

  get isFull(): boolean {
    return this.parsed.reports >= chunkReportsMax || this.bytes >= chunkBytesMax;
  }
}

/** The complete chunks of a stream, and what has become of them. */
export class StreamChunks implements StreamResult {
  accepted = 0;
  rejectedCount = 0;
  forbidden = 0;
  readonly rejected: Rejection[] = [];
  readonly codes: Record<string, number> = {};
  /** Reports, accepted or not. */
  reports = 0;
  /** From the first one that is not settled. */
  readonly #chunks: Chunk[] = [];
  /** The first line that is not settled. */
  #unsettled: StreamPlace = { line: 1, byte: 0 };
  /** Lines from here on do not count as rejected. */
  #repeatFrom: StreamPlace | undefined;

  get resume(): StreamPlace {
    const from = this.#repeatFrom;
    return from !== undefined && from.line < this.#unsettled.line ? from : this.#unsettled;
  }

  /** Chunks from the first one that the log has not confirmed. */
  get waiting(): number {
    return this.#chunks.length;
  }

  /** Adds a complete chunk. `end`: the line after it. A chunk without records waits for nothing but those before it. */
  add(chunk: Chunk, end: StreamPlace): void {
    const { parsed } = chunk;
    chunk.end = end;
    this.#chunks.push(chunk);
    this.reports += parsed.reports;
    for (const rejection of parsed.rejected) {
      if (this.rejected.length < reasonsMax) this.rejected.push(rejection);
      this.codes[rejection.code] = (this.codes[rejection.code] ?? 0) + 1;
    }
    this.rejectedCount += parsed.rejected.length;
    this.forbidden += parsed.forbidden;
    if (parsed.records.length === 0) this.#settle(chunk);
  }

  /** The client is to send the lines from this place on again, though they were rejected. None of them was accepted. */
  repeatFrom(place: StreamPlace): void {
    this.#repeatFrom = place;
  }

  /** The log has confirmed a chunk. */
  confirm(chunk: Chunk): void {
    this.accepted += chunk.parsed.records.length;
    this.#settle(chunk);
  }

  #settle(chunk: Chunk): void {
    chunk.isSettled = true;
    while (this.#chunks[0]?.isSettled) this.#unsettled = this.#chunks.shift()!.end;
  }
}
