/**
 * The two formats of snappy in Kafka. Java's producers, and compatible ones, write the stream of snappy-java (by
 * Xerial): a header, then blocks of raw snappy, each after its length. Some others write one raw block
 * (https://github.com/google/snappy/blob/main/format_description.txt).
 */
const xerialMagic = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0]);
/** Magic, version, and lowest compatible version. */
const xerialHeaderBytes = 16;

/** Returns views of the raw blocks, in order. Throws a RangeError for an incomplete block. */
export function* snappyBlocks(bytes: Buffer): Iterable<Buffer> {
  if (!isXerial(bytes)) {
    yield bytes;
    return;
  }
  for (let at = xerialHeaderBytes; at < bytes.length; ) {
    const length = bytes.readInt32BE(at);
    at += 4;
    if (length < 1 || at + length > bytes.length) {
      throw new RangeError(`block: expected ${length} bytes, got ${bytes.length - at}`);
    }
    yield bytes.subarray(at, at + length);
    at += length;
  }
}

/** Returns the decompressed size of all blocks, from their headers. */
export function snappyBytes(bytes: Buffer): number {
  let sum = 0;
  for (const block of snappyBlocks(bytes)) sum += decompressedBytes(block);
  return sum;
}

function isXerial(bytes: Buffer): boolean {
  return (
    bytes.length >= xerialHeaderBytes && bytes.compare(xerialMagic, 0, xerialMagic.length, 0, xerialMagic.length) === 0
  );
}

/** Reads a varint of 32 bits. */
function decompressedBytes(block: Buffer): number {
  let value = 0;
  for (let at = 0, scale = 1; at < 5; at++, scale *= 128) {
    const byte = block.readUInt8(at);
    value += (byte & 0x7f) * scale;
    if (byte < 0x80) return value;
  }
  throw new RangeError('length: expected at most 32 bits, got more');
}
