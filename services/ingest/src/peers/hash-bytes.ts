/** Hashes of 64 bits as bytes, 8 each, little-endian: JSON and protobufjs have no numbers for them. */

export function bytesFromHashes(hashes: BigUint64Array): Uint8Array {
  const bytes = Buffer.allocUnsafe(8 * hashes.length);
  for (let index = 0; index < hashes.length; index++) bytes.writeBigUInt64LE(hashes[index]!, 8 * index);
  return bytes;
}

/** Ignores a rest of less than 8 bytes. */
export function hashesFromBytes(bytes: Uint8Array): BigUint64Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return BigUint64Array.from({ length: bytes.length >> 3 }, (_, index) => view.getBigUint64(8 * index, true));
}
