import { base64urlFromBytes, bytesFromBase64url } from './base64url.ts';
import { shown, TailraceError } from './error.ts';
import { partitionsMax } from './partition.ts';
import { writeVarint } from './wire-writer.ts';

const positionLimits = {
  /** A UUID has 36 characters. */
  epochCharactersMax: 64,
  /** 4096 partitions of 2 + 8 bytes in base64url, the epoch, and some spare. */
  tokenCharactersMax: 64 * 1024,
} as const;

const version = 1;

/**
 * A consumer's position in each partition: everything up to `last`, inclusive, was delivered. Of a partition that is
 * absent nothing is known. -1: nothing was delivered, and the first record is next. Comparable only within one epoch
 * (see TopicInfo in the event log).
 */
export class Positions {
  readonly epoch: string;
  private readonly lasts = new Map<number, number>();

  /** Throws `invalid_position` for an epoch that is not 1 to 64 printable ASCII characters without spaces. */
  constructor(epoch: string) {
    const max = positionLimits.epochCharactersMax;
    if (epoch.length > max || !/^[!-~]+$/.test(epoch)) {
      throw invalidPosition(
        `epoch: expected 1 to ${max} printable ASCII characters without spaces, got ${shown(epoch)}`,
      );
    }
    this.epoch = epoch;
  }

  /** Number of known partitions. */
  get size(): number {
    return this.lasts.size;
  }

  /** Returns the last delivered position of the partition. */
  last(partition: number): number | undefined {
    return this.lasts.get(partition);
  }

  /**
   * Moves the position forward to `seq`. Returns false, and changes nothing, where it is not newer. Throws
   * `invalid_position`.
   */
  advance(partition: number, seq: number): boolean {
    const before = this.lasts.get(partition);
    if (before !== undefined && seq <= before) return false;
    assertPosition(partition, seq);
    this.lasts.set(partition, seq);
    return true;
  }

  /** Returns the positions in ascending order of partition. */
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
 * Encodes the positions as a token, which is opaque to clients. Equal positions have equal tokens. Version (1), length
 * of the epoch, the epoch; then for each partition, ascending, its distance from the previous one less one, and the
 * next position (`last` + 1); all as varints; base64url without padding.
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

/** Decodes a token. Throws `invalid_position` for anything that `tokenFromPositions` cannot have written. */
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
  if (length.value > positionLimits.epochCharactersMax || epochEnd > bytes.length) throw truncatedToken();
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

/** Reads a varint and its end. Without WireReader: a browser client reads no other binary data. */
function varintAt(bytes: Uint8Array, start: number): { readonly value: number; readonly end: number } {
  let value = 0;
  let scale = 1;
  for (let at = start; at < start + 8 && at < bytes.length; at++, scale *= 128) {
    const byte = bytes[at]!;
    value += (byte & 127) * scale;
    if (byte < 128) return { value, end: at + 1 };
  }
  throw truncatedToken();
}

function truncatedToken(): TailraceError {
  return invalidPosition('position token: expected complete integers below 2^53, got truncated or larger ones');
}

function assertPosition(partition: number, seq: number): void {
  const isPartition = Number.isInteger(partition) && partition >= 0 && partition < partitionsMax;
  // The next position must be below 2^53, too.
  if (!isPartition || !Number.isInteger(seq) || seq < -1 || seq >= Number.MAX_SAFE_INTEGER)
    throw invalidPosition(
      `expected a position of -1 to 2^53 - 2 in a partition of 0 to ${partitionsMax - 1}, got ${seq} in ${partition}`,
    );
}

function notAToken(text: unknown, cause?: unknown): TailraceError {
  return invalidPosition(
    `position: expected the unchanged text of a "position" from this server, got ${shown(text)}`,
    cause,
  );
}

function invalidPosition(message: string, cause?: unknown): TailraceError {
  return new TailraceError('invalid_position', message, cause === undefined ? {} : { cause });
}
