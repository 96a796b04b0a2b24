/**
 * What an LZ4 frame states of its size (https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md): Kafka's lz4 is
 * one frame a batch (KIP-57). The decompressor takes whatever comes out of it, up to 255 times what goes in, so the
 * frame is walked first, block by block.
 */
const magic = 0x184d2204;
const headerBytesMin = 7;
/** A byte of a block cannot stand for more than that many. */
const expansionMax = 255;
const uncompressedBit = 0x8000_0000;

/**
 * The most bytes that the frame decompresses to; at most a block's size too many for each block. Throws a RangeError
 * for no frame.
 */
export function lz4BytesMax(frame: Buffer): number {
  return walk(frame).bytesMax;
}

/** Where the frame ends. What lies behind it is not of the batch. */
export function lz4FrameEnd(frame: Buffer): number {
  return walk(frame).end;
}

function walk(frame: Buffer): { readonly bytesMax: number; readonly end: number } {
  if (frame.length < headerBytesMin || frame.readUInt32LE(0) !== magic) throw new RangeError('no LZ4 frame');
  const flags = frame[4]!;
  if (flags >> 6 !== 1) throw new RangeError(`version ${flags >> 6} of the LZ4 frame format`);
  const has = (bit: number) => (flags & bit) !== 0;
  // 4: 64 KB, 5: 256 KB, 6: 1 MB, 7: 4 MB.
  const blockBytesMax = 2 ** (2 * ((frame[5]! >> 4) & 7) + 8);
  const checksumBytes = has(0x10) ? 4 : 0;
  let at = headerBytesMin + (has(0x08) ? 8 : 0) + (has(0x01) ? 4 : 0);
  let bytesMax = 0;
  for (;;) {
    // Throws where the frame is cut short, as a length of nothing but ones does below.
    const head = frame.readUInt32LE(at);
    at += 4;
    if (head === 0) break;
    const bytes = head % uncompressedBit;
    if (at + bytes > frame.length)
      throw new RangeError(`a block of ${bytes} bytes where ${frame.length - at} are left`);
    bytesMax += head >= uncompressedBit ? bytes : Math.min(blockBytesMax, bytes * expansionMax);
    at += bytes + checksumBytes;
  }
  return { bytesMax, end: Math.min(frame.length, at + (has(0x04) ? 4 : 0)) };
}
