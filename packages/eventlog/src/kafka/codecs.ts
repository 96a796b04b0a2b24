import { createRequire } from 'node:module';
import { promisify } from 'node:util';
import { constants, gunzipSync, gzip, zstdCompress, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import type { UnreadableReason } from '../event-log.ts';
import { lz4BytesMax, lz4FrameEnd } from './lz4-frame.ts';
import { snappyBlocks, snappyBytes } from './snappy-blocks.ts';

/** The compression of batches: for the broker, on its disk, and for every reader. */
export type KafkaCompression = 'none' | 'zstd' | 'gzip';

export interface KafkaCodec {
  /** The number of the codec in the attributes of a batch. */
  readonly attribute: number;
  compress?(bytes: Buffer): Promise<Uint8Array> | Uint8Array;
}

/** Limit of one batch. Kafka's own producers fill a batch with at most 1 MB before compression (`max.request.size`). */
export const decompressedBytesMax = 64 * 1_048_576;
/** A batch up to this size is compressed synchronously: 64 KB of readings take 0.07 ms, and twice that on a thread. */
const syncBytesMax = 65_536;
/** Level 1: half to two thirds of the CPU of the default 3, measured on readings, for at most 3 % more bytes. */
const zstdOptions = { params: { [constants.ZSTD_c_compressionLevel]: 1 } };
const zstdLater = promisify(zstdCompress);
const gzipLater = promisify(gzip);

export const kafkaCodecs: Readonly<Record<KafkaCompression, KafkaCodec>> = {
  none: { attribute: 0 },
  gzip: { attribute: 1, compress: (bytes) => gzipLater(bytes, { level: 1 }) },
  zstd: {
    attribute: 4,
    compress: (bytes) =>
      bytes.length <= syncBytesMax ? zstdCompressSync(bytes, zstdOptions) : zstdLater(bytes, zstdOptions),
  },
};

/** The records of a batch, or why they cannot be read. */
export type Decompressed = { readonly bytes: Buffer } | UnreadableBytes;

export interface UnreadableBytes {
  readonly reason: UnreadableReason;
  readonly message: string;
}

/** The codecs by their number in the attributes of a batch (https://kafka.apache.org/documentation/#recordbatch). */
const codecNames = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const;

/** Decompresses a batch by codec number `attribute`. Never throws, and returns at most `bytesMax`. */
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

/** The decompressed size, from the header, for codecs whose library has no limit. */
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

/** Loads a native library for the first batch that needs it: without its binary all other batches can be read. */
function library<T>(name: 'snappy' | 'lz4-napi'): T {
  try {
    return load(name) as T;
  } catch (cause) {
    throw new MissingCodec(`expected the library ${name}, which cannot be loaded here: ${(cause as Error).message}`);
  }
}
