/**
 * HalfSipHash-1-3 with 64 bits of output (J.-P. Aumasson, D. J. Bernstein; https://github.com/veorq/SipHash) of a text
 * as UTF-16LE, under a key of 64 bits. A sender that does not know the key cannot choose texts whose hashes collide.
 * Linux uses it for hash tables on 32-bit machines; JavaScript also computes in 32 bits.
 */
export class TextHash {
  /** The hash of the last `take`, 32 bits each. Never both 0. */
  high = 0;
  low = 0;

  take(text: string, keyHigh: number, keyLow: number): void {
    let v0 = keyLow | 0;
    let v1 = keyHigh ^ 0xee;
    let v2 = 0x6c796765 ^ keyLow;
    let v3 = 0x74656462 ^ keyHigh;
    const units = text.length;
    const pairs = units >> 1;
    for (let pair = 0; pair <= pairs; pair++) {
      // The last word has what is left, and the length in bytes modulo 256.
      const word =
        pair < pairs
          ? text.charCodeAt(2 * pair) | (text.charCodeAt(2 * pair + 1) << 16)
          : ((units * 2) << 24) | (units & 1 ? text.charCodeAt(units - 1) : 0);
      v3 ^= word;
      v0 = (v0 + v1) | 0;
      v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
      v0 = (v0 << 16) | (v0 >>> 16);
      v2 = (v2 + v3) | 0;
      v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
      v0 = (v0 + v3) | 0;
      v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
      v2 = (v2 + v1) | 0;
      v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
      v2 = (v2 << 16) | (v2 >>> 16);
      v0 ^= word;
    }
    v2 ^= 0xee;
    // Three rounds for each half.
    for (let round = 1; round <= 6; round++) {
      v0 = (v0 + v1) | 0;
      v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
      v0 = (v0 << 16) | (v0 >>> 16);
      v2 = (v2 + v3) | 0;
      v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
      v0 = (v0 + v3) | 0;
      v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
      v2 = (v2 + v1) | 0;
      v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
      v2 = (v2 << 16) | (v2 >>> 16);
      if (round !== 3) continue;
      this.low = (v1 ^ v3) >>> 0;
      v1 ^= 0xdd;
    }
    this.high = (v1 ^ v3) >>> 0;
    if (this.high === 0 && this.low === 0) this.low = 1;
  }
}
