/**
 * The size of an LZ4 frame (https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md): Kafka's lz4 is one frame per
 * batch (KIP-57). The decompressor has no limit, and expands up to 255 times, so the headers of all blocks are read
 * first.
 */
const magic = 0x184d2204;
const headerBytesMin = 7;
/** Most bytes that one byte of a block expands to. */
const expansionMax = 255;
const uncompressedBit = 0x8000_0000;

/** Returns an upper bound of the decompressed size. Throws a RangeError for bytes that are not a frame. */
export function lz4BytesMax(frame: Buffer): number {
  return walk(frame).bytesMax;
}

/** Returns the end of the frame: bytes after it are not part of the batch. */
export function lz4FrameEnd(frame: Buffer): number {
  return walk(frame).end;
}

function walk(frame: Buffer): { readonly bytesMax: number; readonly end: number } {
  if (frame.length < headerBytesMin || frame.readUInt32LE(0) !== magic) throw new RangeError('expected an LZ4 frame');
  const flags = frame[4]!;
  if (flags >> 6 !== 1) throw new RangeError(`LZ4 frame format: expected version 1, got ${flags >> 6}`);
  const has = (bit: number) => (flags & bit) !== 0;
  // 4: 64 KB, 5: 256 KB, 6: 1 MB, 7: 4 MB.
  const blockBytesMax = 2 ** (2 * ((frame[5]! >> 4) & 7) + 8);
  const checksumBytes = has(0x10) ? 4 : 0;
  let at = headerBytesMin + (has(0x08) ? 8 : 0) + (has(0x01) ? 4 : 0);
  let bytesMax = 0;
  for (;;) {
    // Throws for an incomplete frame.
    const head = frame.readUInt32LE(at);
    at += 4;
    if (head === 0) break;
    const bytes = head % uncompressedBit;
    if (at + bytes > frame.length)
      throw new RangeError(`block: expected ${bytes} bytes, got ${frame.length - at}`);
    bytesMax += head >= uncompressedBit ? bytes : Math.min(blockBytesMax, bytes * expansionMax);
    at += bytes + checksumBytes;
  }
  return { bytesMax, end: Math.min(frame.length, at + (has(0x04) ? 4 : 0)) };
}
