/** Most partitions of a topic. A position token of that many stays within its bound. */
export const partitionsMax = 4096;

const utf8 = /* @__PURE__ */ new TextEncoder();

/**
 * Returns Kafka's murmur2 as a signed 32-bit number, as org.apache.kafka.common.utils.Utils.murmur2 does (after Austin
 * Appleby's MurmurHash2, 32 bit, seed 0x9747b28c). A text is hashed by its UTF-8 bytes.
 */
export function murmur2(key: string | Uint8Array): number {
  if (typeof key !== 'string') return murmur2OfBytes(key);
  const hash = murmur2OfAscii(key);
  return hash ?? murmur2OfBytes(utf8.encode(key));
}

/**
 * Returns the partition that Kafka's producers choose for the key: `Utils.toPositive(murmur2(key)) % partitions`.
 * `partitions` is a positive integer.
 */
export function partitionOf(key: string | Uint8Array, partitions: number): number {
  // toPositive is `& 0x7fffffff`, not Math.abs.
  return (murmur2(key) & 0x7fffffff) % partitions;
}

const multiplier = 0x5bd1e995;
const seed = 0x9747b28c;

function mixed(hash: number, word: number): number {
  const product = Math.imul(word, multiplier);
  return Math.imul(hash, multiplier) ^ Math.imul(product ^ (product >>> 24), multiplier);
}

function finished(hash: number): number {
  const product = Math.imul(hash ^ (hash >>> 13), multiplier);
  return product ^ (product >>> 15);
}

function murmur2OfBytes(bytes: Uint8Array): number {
  const length = bytes.length;
  const wordsEnd = length & ~3;
  let hash = seed ^ length;
  let at = 0;
  for (; at < wordsEnd; at += 4) {
    hash = mixed(hash, bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24));
  }
  if (at < length) {
    let tail = 0;
    for (let index = length - 1; index >= at; index--) tail = (tail << 8) | bytes[index]!;
    hash = Math.imul(hash ^ tail, multiplier);
  }
  return finished(hash);
}

/** Hashes an ASCII text, such as a device path, without encoding it. Undefined for other texts. */
function murmur2OfAscii(text: string): number | undefined {
  const length = text.length;
  const wordsEnd = length & ~3;
  let hash = seed ^ length;
  let seen = 0;
  let at = 0;
  for (; at < wordsEnd; at += 4) {
    const a = text.charCodeAt(at);
    const b = text.charCodeAt(at + 1);
    const c = text.charCodeAt(at + 2);
    const d = text.charCodeAt(at + 3);
    seen |= a | b | c | d;
    hash = mixed(hash, a | (b << 8) | (c << 16) | (d << 24));
  }
  if (at < length) {
    let tail = 0;
    for (let index = length - 1; index >= at; index--) {
      const code = text.charCodeAt(index);
      seen |= code;
      tail = (tail << 8) | code;
    }
    hash = Math.imul(hash ^ tail, multiplier);
  }
  return seen < 128 ? finished(hash) : undefined;
}
