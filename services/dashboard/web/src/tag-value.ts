import type { Quality, Reading } from '@tailrace/client/report';
import { type FormattedValue, shownNumber } from './format.ts';
import type { TagHistory } from './history.ts';

/** A value at some time. */
export interface ValueAt {
  readonly value: Reading['value'];
  readonly quality: Quality;
  readonly timeMs: number;
}

const qualities: readonly Quality[] = ['good', 'uncertain', 'bad'];

/** Returns the last value at or before a time; undefined where there is none. */
export function valueAt(history: TagHistory, timeMs: number): ValueAt | undefined {
  const index = history.series.indexAt(timeMs);
  if (index === -1) return undefined;
  const { times, values, qualities: codes } = history.series.points();
  const number = values[index]!;
  const value =
    history.kind === 'number' ? number : history.kind === 'boolean' ? number === 1 : (history.labels[number] ?? '');
  return { value, quality: qualities[codes[index]!] ?? 'good', timeMs: times[index]! };
}

export function shownValue(value: Reading['value'], unit: string, decimals: number): FormattedValue {
  if (typeof value === 'number') return shownNumber(value, unit, decimals);
  return { number: typeof value === 'boolean' ? (value ? 'yes' : 'no') : value, unit: '' };
}

/** A tag as people read it: `oil_temperature` is `oil temperature`. */
export function shownTag(tag: string): string {
  return tag.replaceAll('_', ' ');
}
