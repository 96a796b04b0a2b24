import { isUtf8 } from 'node:buffer';
import { gunzipSync } from 'node:zlib';
import { shown, TailraceError } from '@tailrace/protocol/error';

/** How the reports of a body are written. */
export type Format = 'json' | 'ndjson' | 'protobuf';

const formats: Readonly<Record<string, Format>> = {
  'application/json': 'json',
  'application/x-ndjson': 'ndjson',
  'application/ndjson': 'ndjson',
  'application/jsonl': 'ndjson',
  'application/x-protobuf': 'protobuf',
  'application/protobuf': 'protobuf',
};

/** For messages. The first name of each format; its others are accepted, too. */
export const knownTypes =
  'application/json (one report or an array of them), application/x-ndjson (one report a line) or application/x-protobuf (a tailrace.v1.ReportBatch)';

/** The format that a content type means; none at all means JSON, which small devices send. Throws `invalid_message` for any other. */
export function formatFrom(contentType: string): Format {
  if (contentType === '' || contentType === 'application/json') return 'json';
  const [type = '', ...parameters] = contentType.toLowerCase().split(';');
  const format = Object.hasOwn(formats, type.trim()) ? formats[type.trim()] : undefined;
  if (format === undefined) {
    throw new TailraceError('invalid_message', `the content type is ${shown(contentType)}; right is ${knownTypes}`);
  }
  const charset = parameters.find((parameter) => parameter.trim().startsWith('charset='));
  // RFC 8259 section 8.1: JSON that leaves a closed system is UTF-8.
  if (charset !== undefined && !/^charset="?utf-?8"?$/.test(charset.trim())) {
    throw new TailraceError(
      'invalid_message',
      `the content type says ${shown(charset.trim())}; right is charset=utf-8`,
    );
  }
  return format;
}

export type Encoding = 'identity' | 'gzip';

/** What a content encoding means. Throws `invalid_message` for one that is not taken. */
export function encodingFrom(contentEncoding: string): Encoding {
  const name = contentEncoding.trim().toLowerCase();
  if (name === '' || name === 'identity') return 'identity';
  if (name === 'gzip' || name === 'x-gzip') return 'gzip';
  throw new TailraceError(
    'invalid_message',
    `the content encoding is ${shown(contentEncoding)}; right is gzip, or none`,
  );
}

/**
 * The body, unpacked where it is packed. Throws `too_large` as soon as more than `bytesMax` come out, whatever it says of itself, and
 * `invalid_report` for what is not gzip.
 */
export function plainBody(body: Buffer, encoding: Encoding, bytesMax: number): Buffer {
  if (encoding === 'identity') return body;
  try {
    return gunzipSync(body, { maxOutputLength: bytesMax });
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') {
      const message = `the unpacked body: expected at most ${bytesMax} bytes, got more: send less at once`;
      throw new TailraceError('too_large', message, { cause });
    }
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new TailraceError(
      'invalid_report',
      `the body is said to be gzip and is not (${shown(why)}); right is gzip (RFC 1952)`,
      { cause },
    );
  }
}

/** The text of UTF-8 bytes, without a byte order mark. Throws `invalid_report` with the place for any other bytes. */
export function textFrom(bytes: Buffer): string {
  if (!isUtf8(bytes)) {
    const at = utf8FaultAt(bytes);
    const found = bytes.subarray(at, at + 4).toString('hex');
    throw new TailraceError('invalid_report', `the bytes 0x${found} at ${at} are not UTF-8; right is JSON in UTF-8`);
  }
  // Windows programs put it there; RFC 8259 section 8.1 allows to ignore it.
  const hasMark = bytes.length >= 3 && bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf;
  return bytes.toString('utf8', hasMark ? 3 : 0);
}

/** The first byte that is not UTF-8: the first replacement character of the decoder that does not stand in the bytes as such. */
function utf8FaultAt(bytes: Buffer): number {
  const text = bytes.toString('utf8');
  let at = 0;
  let from = 0;
  for (let index = text.indexOf('\ufffd'); index !== -1; index = text.indexOf('\ufffd', from)) {
    at += Buffer.byteLength(text.slice(from, index));
    if (bytes[at] !== 0xef || bytes[at + 1] !== 0xbf || bytes[at + 2] !== 0xbd) break;
    at += 3;
    from = index + 1;
  }
  return at;
}
