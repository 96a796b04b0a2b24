import { createGunzip, createInflate, createInflateRaw, gunzipSync, inflateRawSync, inflateSync } from 'node:zlib';
import { shown, TailraceError } from '@tailrace/protocol/error';

/** A content coding (RFC 9110 section 8.4.1). */
export type Encoding = 'identity' | 'gzip' | 'deflate';

/** The value of the header Accept-Encoding of an answer that refuses a coding (RFC 9110 section 12.5.3). */
export const acceptedEncodings = 'gzip, deflate';

/** Returns the encoding of a Content-Encoding header; undefined for an unknown one and for a list of several. */
export function encodingFrom(contentEncoding: string): Encoding | undefined {
  switch (contentEncoding.trim().toLowerCase()) {
    case '':
    case 'identity':
      return 'identity';
    case 'gzip':
    case 'x-gzip':
      return 'gzip';
    case 'deflate':
      return 'deflate';
    default:
      return undefined;
  }
}

/** The format of each encoding, for messages. */
const formats = { gzip: 'gzip (RFC 1952)', deflate: 'deflate (zlib, RFC 1950, or raw, RFC 1951)' } as const;

/**
 * Returns whether deflated data has the header of zlib: method 8, a window of at most 32 KiB, and a check that makes
 * the two bytes a multiple of 31 (RFC 1950 section 2.2).
 *
 * `deflate` is zlib's format (RFC 9110 section 8.4.1.2), but some senders leave its header out. The first bytes
 * distinguish the two: raw data with such a header would start with an uncompressed block whose padding is not zero
 * (RFC 1951 section 3.2.4), which no usual encoder writes.
 */
export function hasZlibHeader(first: number, second: number): boolean {
  return (first & 0x0f) === 8 && first >> 4 <= 7 && (first * 256 + second) % 31 === 0;
}

/** Returns the body, unpacked. Throws `too_large` once more than `bytesMax` are unpacked, and `invalid_report`. */
export function unpackBody(body: Buffer, encoding: 'gzip' | 'deflate', bytesMax: number): Buffer {
  try {
    return unpackerOf(body, encoding)(body, { maxOutputLength: bytesMax });
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') {
      const message = `the unpacked body: expected at most ${bytesMax} bytes, got more: send less at once`;
      throw new TailraceError('too_large', message, { cause });
    }
    throw notUnpacked(encoding, cause);
  }
}

function unpackerOf(body: Buffer, encoding: 'gzip' | 'deflate'): typeof gunzipSync {
  if (encoding === 'gzip') return gunzipSync;
  return body.length >= 2 && hasZlibHeader(body[0]!, body[1]!) ? inflateSync : inflateRawSync;
}

/** Returns the error of a body that is not of its encoding. */
export function notUnpacked(encoding: 'gzip' | 'deflate', cause: unknown): TailraceError {
  const why = cause instanceof Error ? cause.message : String(cause);
  const message = `the body: expected ${formats[encoding]}, its content encoding, got ${shown(why)}`;
  return new TailraceError('invalid_report', message, { cause });
}

/** Receives what an `Unpacker` unpacks. */
export interface UnpackerTarget {
  unpacked(bytes: Buffer): void;
  /** The packed data are complete, and all of them are unpacked. Called once, unless `unpackFailed` is. */
  unpackedAll(): void;
  unpackFailed(error: TailraceError): void;
  /** The unpacker has space again: `isFull` is false. */
  unpackerDrained(): void;
}

type ZlibStream = ReturnType<typeof createGunzip>;

/** Bytes of one call of zlib, and of one part that it returns. */
const partBytes = 65_536;

/** Unpacks a body while it is received, in threads of Node.js. `isFull` and `pause` bound what waits in it. */
export class Unpacker {
  readonly #encoding: 'gzip' | 'deflate';
  readonly #target: UnpackerTarget;
  #stream: ZlibStream | undefined;
  /** The first byte of `deflate`, until the second arrives, which decides about the format. */
  #first: Buffer = Buffer.alloc(0);
  /** What follows the end of the packed data is ignored, as gzip programs do. */
  #isComplete = false;
  #isClosed = false;

  constructor(encoding: 'gzip' | 'deflate', target: UnpackerTarget) {
    this.#encoding = encoding;
    this.#target = target;
    if (encoding === 'gzip') this.#open(createGunzip({ chunkSize: partBytes }));
  }

  /** Whether the caller must wait for `unpackerDrained` before it writes more. */
  get isFull(): boolean {
    return !this.#isComplete && (this.#stream?.writableNeedDrain ?? false);
  }

  write(bytes: Buffer): void {
    if (this.#isComplete || this.#isClosed) return;
    if (this.#stream !== undefined) {
      this.#stream.write(bytes);
      return;
    }
    this.#first = Buffer.concat([this.#first, bytes]);
    if (this.#first.length >= 2) this.#openDeflate().write(this.#first);
  }

  /** The packed data are complete. */
  end(): void {
    if (this.#isComplete || this.#isClosed) return;
    if (this.#stream !== undefined) this.#stream.end();
    else this.#openDeflate().end(this.#first);
  }

  pause(): void {
    this.#stream?.pause();
  }

  resume(): void {
    this.#stream?.resume();
  }

  /** Stops. The target is not called any more. */
  close(): void {
    this.#isClosed = true;
    this.#stream?.destroy();
  }

  #openDeflate(): ZlibStream {
    const isZlib = this.#first.length >= 2 && hasZlibHeader(this.#first[0]!, this.#first[1]!);
    const options = { chunkSize: partBytes };
    return this.#open(isZlib ? createInflate(options) : createInflateRaw(options));
  }

  #open(stream: ZlibStream): ZlibStream {
    this.#stream = stream;
    stream.on('data', (bytes: Buffer) => {
      if (!this.#isClosed) this.#target.unpacked(bytes);
    });
    stream.on('drain', () => {
      if (!this.#isClosed) this.#target.unpackerDrained();
    });
    stream.on('end', () => {
      this.#isComplete = true;
      if (!this.#isClosed) this.#target.unpackedAll();
    });
    stream.on('error', (cause) => {
      if (!this.#isClosed) this.#target.unpackFailed(notUnpacked(this.#encoding, cause));
    });
    return stream;
  }
}
