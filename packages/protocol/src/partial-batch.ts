/*
 * The Reason String by which ingest acknowledges a message over MQTT of whose reports some are refused for good, as
 * `accepted 3 of 5: reports 1, 3-4: …`. A list that is too long for it has the first numbers for people, and all of
 * them as bits for programs: `accepted 250 of 500: reports 0, 2, 4 and 247 more (bits VVVV…): …`. Bit n is report n,
 * from the lowest bit of the first byte on, in base64: 84 characters for the 500 reports that a message may have.
 */

/** A batch of which a part is in the log. */
export interface PartialBatch {
  readonly accepted: number;
  readonly count: number;
  /** Indexes of the reports that were refused, ascending: all, or the first ones where the text was truncated. */
  readonly refused: readonly number[];
  /** Why the first one was refused; '' where it was truncated. */
  readonly message: string;
}

/** Bytes that a list leaves to the message. */
const messageBytesMin = 24;

/**
 * Returns the text for a batch. `refused`: indexes of reports, in any order. `bytesMax`: of a text that is truncated
 * there, so that only the message is; with 200, the list is whole for every batch of up to 500 reports.
 */
export function partialBatchText(
  accepted: number,
  refused: readonly number[],
  message: string,
  bytesMax = Number.POSITIVE_INFINITY,
): string {
  const sorted = refused.toSorted((a, b) => a - b);
  const ranges: { readonly text: string; readonly count: number }[] = [];
  for (let at = 0; at < sorted.length; ) {
    const first = sorted[at]!;
    const from = at;
    let last = first;
    while (sorted[++at] === last + 1) last++;
    ranges.push({ text: last === first ? String(first) : `${first}-${last}`, count: at - from });
  }
  const noun = sorted.length === 1 ? 'report' : 'reports';
  const start = `accepted ${accepted} of ${accepted + sorted.length}: ${noun} `;
  const all = `${start}${ranges.map(({ text }) => text).join(', ')}: `;
  if (all.length + messageBytesMin <= bytesMax) return all + message;
  const bits = ` (bits ${bitsOf(sorted)}): `;
  const listBytesMax = bytesMax - messageBytesMin - start.length - bits.length;
  let list = '';
  let more = sorted.length;
  for (const { text, count } of ranges) {
    const longer = list === '' ? text : `${list}, ${text}`;
    if (`${longer} and ${more - count} more`.length > listBytesMax && list !== '') break;
    list = longer;
    more -= count;
  }
  return `${start}${list} and ${more} more${bits}${message}`;
}

/** Most reports of a batch whose text is read; ingest takes 500. */
const reportsMax = 10_000;

const form = /^accepted (\d+) of (\d+): reports? ([\d, -]*)(?: and \d+ more \(bits ([\w+/=]*)\))?(?:: (.*))?$/s;

/** Returns the fields of a text; undefined for any other text, and for more than 10,000 reports. */
export function partialBatchFrom(text: string): PartialBatch | undefined {
  const match = form.exec(text);
  if (match === null) return undefined;
  const [, accepted, count, ranges, bits, message] = match;
  const limit = Number(count);
  if (limit > reportsMax) return undefined;
  const fields = { accepted: Number(accepted), count: limit, message: message ?? '' };
  if (bits !== undefined) return { ...fields, refused: indexesOf(bits, limit) };
  const refused: number[] = [];
  // The last number of a truncated list may have lost digits.
  const whole = message === undefined ? ranges!.split(', ').slice(0, -1) : ranges!.split(', ');
  for (const range of whole) {
    const [first, last = first] = range.split('-').map(Number);
    const next = (refused.at(-1) ?? -1) + 1;
    for (let index = Math.max(first!, next); index <= last! && index < limit; index++) refused.push(index);
  }
  return { ...fields, refused };
}

/** `sorted`: at least one index. */
function bitsOf(sorted: readonly number[]): string {
  const bytes = new Uint8Array((sorted.at(-1)! >> 3) + 1);
  for (const index of sorted) bytes[index >> 3]! |= 1 << (index & 7);
  return btoa(String.fromCharCode(...bytes));
}

function indexesOf(bits: string, limit: number): number[] {
  const indexes: number[] = [];
  let bytes = '';
  try {
    bytes = atob(bits);
  } catch {
    // No base64: none is known.
  }
  for (let index = 0; index < bytes.length * 8 && index < limit; index++)
    if ((bytes.charCodeAt(index >> 3) & (1 << (index & 7))) !== 0) indexes.push(index);
  return indexes;
}
