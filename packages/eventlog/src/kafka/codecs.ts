import { createRequire } from 'node:module';
import { promisify } from 'node:util';
import { constants, gunzipSync, gzip, zstdCompress, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import type { UnreadableReason } from '../event-log.ts';
import { lz4BytesMax, lz4FrameEnd } from './lz4-frame.ts';
import { snappyBlocks, snappyBytes } from './snappy-blocks.ts';

/** How batches are compressed on their way to the broker, on its disk, and on to every reader. */
export type KafkaCompression = 'none' | 'zstd' | 'gzip';

export interface KafkaCodec {
  /** Its number in a batch's attributes. */
  readonly attribute: number;
  pack?(bytes: Buffer): Promise<Uint8Array> | Uint8Array;
}

/** Of one batch. Kafka's own producers fill a batch with at most 1 MB before they compress it (`max.request.size`). */
export const decompressedBytesMax = 64 * 1_048_576;
/** Up to here a batch is packed at once: 64 KB of readings take 0.07 ms, on a thread twice that of the CPU. */
const packAtOnceBytes = 65_536;
/** Level 1: half to two thirds of the CPU of the default 3, measured on readings, for at most 3 % more bytes. */
const zstdOptions = { params: { [constants.ZSTD_c_compressionLevel]: 1 } };
const zstdLater = promisify(zstdCompress);
const gzipLater = promisify(gzip);

export const kafkaCodecs: Readonly<Record<KafkaCompression, KafkaCodec>> = {
  none: { attribute: 0 },
  gzip: { attribute: 1, pack: (bytes) => gzipLater(bytes, { level: 1 }) },
  zstd: {
    attribute: 4,
    pack: (bytes) =>
      bytes.length <= packAtOnceBytes ? zstdCompressSync(bytes, zstdOptions) : zstdLater(bytes, zstdOptions),
  },
};

/** The records of a batch, or why they cannot be had. */
export type Decompressed = { readonly bytes: Buffer } | UnreadableBytes;

export interface UnreadableBytes {
  readonly reason: UnreadableReason;
  readonly message: string;
}

/** By their number in a batch's attributes (https://kafka.apache.org/documentation/#recordbatch). */
const codecNames = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const;

/**
 * Decompresses a batch of any producer that names codec number `attribute`. Never throws; never returns more than
 * `bytesMax`.
 */
export function decompress(attribute: number, bytes: Buffer, bytesMax = decompressedBytesMax): Decompressed {
  const name = codecNames[attribute];
  if (name === undefined || name === 'none') {
    return { reason: 'codec', message: `expected codec 0 to 4 (${codecNames.join(', ')}), got ${attribute}` };
  }
  try {
    const size = sizeOf[name]?.(bytes);
    if (size !== undefined && size > bytesMax) return tooLarge(name, bytesMax, size);
    return { bytes: decompressors[name](bytes, bytesMax) };
  } catch (thrown) {
    const { code, message } = thrown as NodeJS.ErrnoException;
    if (code === 'ERR_BUFFER_TOO_LARGE') return tooLarge(name, bytesMax);
    if (thrown instanceof MissingCodec) return { reason: 'codec', message: thrown.message };
    return { reason: 'malformed', message: `expected ${bytes.length} bytes of ${name}, got others: ${message}` };
  }
}

function tooLarge(name: string, bytesMax: number, size?: number): UnreadableBytes {
  const got = size === undefined ? 'more' : `up to ${size}`;
  return { reason: 'too_large', message: `expected at most ${bytesMax} decompressed bytes of ${name}, got ${got}` };
}

/** What it takes to decompress, read off the bytes before it is done, where the decompressor knows no bound. */
const sizeOf: Partial<Record<(typeof codecNames)[number], (bytes: Buffer) => number>> = {
  snappy: snappyBytes,
  lz4: lz4BytesMax,
};

const decompressors: Record<
  Exclude<(typeof codecNames)[number], 'none'>,
  (bytes: Buffer, bytesMax: number) => Buffer
> = {
  gzip: (bytes, maxOutputLength) => gunzipSync(bytes, { maxOutputLength }),
  zstd: (bytes, maxOutputLength) => zstdDecompressSync(bytes, { maxOutputLength }),
  snappy(bytes) {
    const { uncompressSync } = library<typeof import('snappy')>('snappy');
    const blocks = [...snappyBlocks(bytes)].map((block) => uncompressSync(block, { asBuffer: true }) as Buffer);
    return blocks.length === 1 ? blocks[0]! : Buffer.concat(blocks);
  },
  lz4: (bytes) =>
    library<typeof import('lz4-napi')>('lz4-napi').decompressFrameSync(bytes.subarray(0, lz4FrameEnd(bytes))),
};

const load = createRequire(import.meta.url);

class MissingCodec extends TypeError {}

/**
 * Loaded when the first batch needs it: on a machine that their binary is not made for, everything else is read all the
 * same.
 */
function library<T>(name: 'snappy' | 'lz4-napi'): T {
  try {
    return load(name) as T;
  } catch (cause) {
    throw new MissingCodec(`expected the library ${name}, which cannot be loaded here: ${(cause as Error).message}`);
  }
}
