/**
 * Kafka's snappy comes in two forms. Java's producers, and those that follow them, write the stream of the library
 * snappy-java (by Xerial): a header, then blocks of raw snappy, each behind its length. Some others write one raw block
 * (https://github.com/google/snappy/blob/main/format_description.txt).
 */
const xerialMagic = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0]);
/** Magic, version, lowest version that can read it. */
const xerialHeaderBytes = 16;

/** The raw blocks in order, in place. Throws a RangeError for a block that is cut short. */
export function* snappyBlocks(bytes: Buffer): Iterable<Buffer> {
  if (!isXerial(bytes)) {
    yield bytes;
    return;
  }
  for (let at = xerialHeaderBytes; at < bytes.length; ) {
    const length = bytes.readInt32BE(at);
    at += 4;
    if (length < 1 || at + length > bytes.length) {
      throw new RangeError(`a block of ${length} bytes where ${bytes.length - at} are left`);
    }
    yield bytes.subarray(at, at + length);
    at += length;
  }
}

/** The bytes that all blocks together decompress to, as each states at its start. */
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

/** A varint of 32 bits. */
function decompressedBytes(block: Buffer): number {
  let value = 0;
  for (let at = 0, scale = 1; at < 5; at++, scale *= 128) {
    const byte = block.readUInt8(at);
    value += (byte & 0x7f) * scale;
    if (byte < 0x80) return value;
  }
  throw new RangeError('a length of more than 32 bits');
}
