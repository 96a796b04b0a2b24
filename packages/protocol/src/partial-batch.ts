/*
 * The Reason String by which ingest acknowledges a message over MQTT of whose reports some are refused for good, as
 * `accepted 3 of 5: reports 1, 3-4: …`. It is truncated where the protocol allows no longer text.
 */

/** A batch of which a part is in the log. */
export interface PartialBatch {
  readonly accepted: number;
  readonly count: number;
  /** Indexes of the reports that were refused, ascending. Those of a text that was truncated are not all. */
  readonly refused: readonly number[];
  /** Why the first one was refused; '' where it was truncated. */
  readonly message: string;
}

/** Returns the text for a batch. `refused`: indexes of reports, in any order. */
export function partialBatchText(accepted: number, refused: readonly number[], message: string): string {
  const sorted = refused.toSorted((a, b) => a - b);
  const ranges: string[] = [];
  for (let at = 0; at < sorted.length; ) {
    const first = sorted[at]!;
    let last = first;
    while (sorted[++at] === last + 1) last++;
    ranges.push(last === first ? String(first) : `${first}-${last}`);
  }
  const noun = sorted.length === 1 ? 'report' : 'reports';
  return `accepted ${accepted} of ${accepted + sorted.length}: ${noun} ${ranges.join(', ')}: ${message}`;
}

/** Most reports of a batch whose text is read; ingest takes 500. */
const reportsMax = 10_000;

const form = /^accepted (\d+) of (\d+): reports? ([\d, -]*)(?:: (.*))?$/s;

/** Returns the fields of a text; undefined for any other text, and for more than 10,000 reports. */
export function partialBatchFrom(text: string): PartialBatch | undefined {
  const match = form.exec(text);
  if (match === null) return undefined;
  const [, accepted, count, ranges, message = ''] = match;
  const limit = Number(count);
  if (limit > reportsMax) return undefined;
  const refused: number[] = [];
  const isTruncated = match[4] === undefined;
  // The last number of a truncated list may have lost digits.
  const whole = isTruncated ? ranges!.split(', ').slice(0, -1) : ranges!.split(', ');
  for (const range of whole) {
    const [first, last = first] = range.split('-').map(Number);
    const next = (refused.at(-1) ?? -1) + 1;
    for (let index = Math.max(first!, next); index <= last! && index < limit; index++) refused.push(index);
  }
  return { accepted: Number(accepted), count: limit, refused, message };
}
