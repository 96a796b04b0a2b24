import { base64urlFromBytes, bytesFromBase64url } from './base64url.ts';
import { shown, TailraceError } from './error.ts';
import { partitionsMax } from './partition.ts';
import { writeVarint } from './wire-writer.ts';

const positionLimits = {
  /** A UUID has 36. */
  epochCharactersMax: 64,
  /** 4096 partitions at 2 + 8 bytes in base64url, the epoch, and room. */
  tokenCharactersMax: 64 * 1024,
} as const;

const version = 1;

/**
 * How far somebody has come: in each partition everything up to and with `last` is seen, and nothing after it. A partition that is
 * not in there is one of which nothing is known. -1 is "nothing seen, everything from the first record on is to come".
 * Comparable only within one epoch (see TopicInfo in the event log).
 */
export class Positions {
  readonly epoch: string;
  private readonly lasts = new Map<number, number>();

  /** Throws `invalid_position` for an epoch that is not 1 to 64 printable ASCII characters without spaces. */
  constructor(epoch: string) {
    const max = positionLimits.epochCharactersMax;
    if (epoch.length > max || !/^[!-~]+$/.test(epoch)) {
      throw invalidPosition(
        `the epoch is ${shown(epoch)}; right is 1 to ${max} printable ASCII characters without spaces`,
      );
    }
    this.epoch = epoch;
  }

  /** Partitions known. */
  get size(): number {
    return this.lasts.size;
  }

  /** The last position seen in the partition. */
  last(partition: number): number | undefined {
    return this.lasts.get(partition);
  }

  /** Notes that everything up to and with `seq` is seen. Never goes back: false where that was known. Throws `invalid_position`. */
  advance(partition: number, seq: number): boolean {
    const before = this.lasts.get(partition);
    if (before !== undefined && seq <= before) return false;
    assertPosition(partition, seq);
    this.lasts.set(partition, seq);
    return true;
  }

  /** By partition, ascending. */
  entries(): readonly (readonly [partition: number, last: number])[] {
    return [...this.lasts].sort(([a], [b]) => a - b);
  }
}

export function createPositions(
  epoch: string,
  lasts: Iterable<readonly [partition: number, last: number]> = [],
): Positions {
  const positions = new Positions(epoch);
  for (const [partition, last] of lasts) positions.advance(partition, last);
  return positions;
}

/**
 * The token: opaque to everybody else, one spelling for one content. Version (1), length of the epoch, the epoch; then for each partition,
 * ascending, its distance from the one before less one, and the next position (`last` + 1); all varints; base64url without padding.
 */
export function tokenFromPositions(positions: Positions): string {
  const { epoch } = positions;
  const entries = positions.entries();
  const bytes = new Uint8Array(2 + epoch.length + entries.length * 10);
  bytes[0] = version;
  let at = writeVarint(bytes, 1, epoch.length);
  for (let index = 0; index < epoch.length; index++) bytes[at++] = epoch.charCodeAt(index);
  let before = -1;
  for (const [partition, last] of entries) {
    at = writeVarint(bytes, at, partition - before - 1);
    at = writeVarint(bytes, at, last + 1);
    before = partition;
  }
  return base64urlFromBytes(bytes.subarray(0, at));
}

/** Throws `invalid_position` for everything that `tokenFromPositions` would not have written. */
export function positionsFromToken(text: unknown): Positions {
  const max = positionLimits.tokenCharactersMax;
  if (typeof text !== 'string' || text.length === 0 || text.length > max) throw notAToken(text);
  const bytes = bytesFromBase64url(text);
  if (bytes === undefined || bytes[0] !== version) throw notAToken(text);
  try {
    return positionsFrom(bytes);
  } catch (cause) {
    throw notAToken(text, cause);
  }
}

function positionsFrom(bytes: Uint8Array): Positions {
  const length = varintAt(bytes, 1);
  const epochEnd = length.end + length.value;
  if (length.value > positionLimits.epochCharactersMax || epochEnd > bytes.length) throw cutOff();
  const positions = new Positions(String.fromCharCode(...bytes.subarray(length.end, epochEnd)));
  let before = -1;
  for (let at = epochEnd; at < bytes.length; ) {
    const distance = varintAt(bytes, at);
    const next = varintAt(bytes, distance.end);
    at = next.end;
    before += 1 + distance.value;
    positions.advance(before, next.value - 1);
  }
  return positions;
}

/** A varint and where it ends. By itself, not by the reader of Protobuf: a browser reads nothing else in bytes. */
function varintAt(bytes: Uint8Array, start: number): { readonly value: number; readonly end: number } {
  let value = 0;
  let scale = 1;
  for (let at = start; at < start + 8 && at < bytes.length; at++, scale *= 128) {
    const byte = bytes[at]!;
    value += (byte & 127) * scale;
    if (byte < 128) return { value, end: at + 1 };
  }
  throw cutOff();
}

function cutOff(): TailraceError {
  return invalidPosition('it is cut off, or a number in it is too large');
}

function assertPosition(partition: number, seq: number): void {
  const isPartition = Number.isInteger(partition) && partition >= 0 && partition < partitionsMax;
  // The next position has to be below 2^53 too.
  if (!isPartition || !Number.isInteger(seq) || seq < -1 || seq >= Number.MAX_SAFE_INTEGER)
    throw invalidPosition(
      `expected a position of -1 to 2^53 - 2 in a partition of 0 to ${partitionsMax - 1}, got ${seq} in ${partition}`,
    );
}

function notAToken(text: unknown, cause?: unknown): TailraceError {
  return invalidPosition(
    `${shown(text)} is not a position; right is the text of a "position" that this server sent, unchanged`,
    cause,
  );
}

function invalidPosition(message: string, cause?: unknown): TailraceError {
  return new TailraceError('invalid_position', message, cause === undefined ? {} : { cause });
}
