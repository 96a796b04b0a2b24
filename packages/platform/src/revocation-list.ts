/** The period of a certificate revocation list, epoch ms. */
export interface RevocationListPeriod {
  readonly from: number;
  /** Infinite for a list that does not expire. */
  readonly until: number;
}

const tag = { integer: 0x02, sequence: 0x30, utcTime: 0x17, generalizedTime: 0x18 } as const;

interface Element {
  readonly tag: number;
  readonly start: number;
  readonly end: number;
}

/**
 * Returns `thisUpdate` and `nextUpdate` of a certificate revocation list (RFC 5280, section 5.1), of which the first
 * bytes are enough. Node.js checks certificates by such lists, and does not return what is in them. Throws a RangeError
 * for other bytes.
 */
export function revocationListPeriod(der: Uint8Array): RevocationListPeriod {
  const list = elementAt(der, 0, tag.sequence);
  let next = elementAt(der, list.start, tag.sequence).start;
  // The version is optional; the algorithm of the signature and the issuer follow.
  if (der[next] === tag.integer) next = elementAt(der, next, tag.integer).end;
  for (let skipped = 0; skipped < 2; skipped++) next = elementAt(der, next, tag.sequence).end;
  const from = elementAt(der, next);
  const until =
    der[from.end] === tag.utcTime || der[from.end] === tag.generalizedTime ? elementAt(der, from.end) : null;
  return { from: timeOf(der, from), until: until === null ? Number.POSITIVE_INFINITY : timeOf(der, until) };
}

/** Reads the head of an element; its content may be beyond the bytes. */
function elementAt(der: Uint8Array, at: number, expected?: number): Element {
  const found = der[at];
  let length = der[at + 1];
  let start = at + 2;
  if (found === undefined || length === undefined || (expected !== undefined && found !== expected))
    throw new RangeError(`expected an element of DER with tag ${expected ?? 'of a time'}, got ${found ?? 'the end'}`);
  if (length >= 0x80) {
    const bytes = length & 0x7f;
    if (bytes === 0 || bytes > 4) throw new RangeError(`expected a length of 1 to 4 bytes, got ${bytes}`);
    length = 0;
    for (let n = 0; n < bytes; n++) length = length * 256 + (der[start + n] ?? 0);
    start += bytes;
  }
  return { tag: found, start, end: start + length };
}

/** RFC 5280, sections 4.1.2.5.1 and 4.1.2.5.2: with seconds, and in UTC. Two digits of a year are 1950 to 2049. */
function timeOf(der: Uint8Array, { tag: kind, start, end }: Element): number {
  const text = Buffer.from(der.subarray(start, end)).toString('latin1');
  const digits = kind === tag.utcTime ? `${Number(text.slice(0, 2)) < 50 ? '20' : '19'}${text}` : text;
  const [, year, month, day, hours, minutes, seconds] = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/.exec(digits) ?? [];
  const time = Date.parse(`${year}-${month}-${day}T${hours}:${minutes}:${seconds}Z`);
  if (Number.isNaN(time) || (kind !== tag.utcTime && kind !== tag.generalizedTime))
    throw new RangeError('expected a time of DER, such as 261130070000Z');
  return time;
}
