import { countOf, fieldsOf, listFrom, numberOf, textOf } from './message-fields.ts';

/**
 * Why reports were left out; later servers may add more. `slow`: the client reads too slowly. `rate`: over its
 * `maxRate`. `retention`, `too_far`, `epoch`, `unreadable`: as in `Missing`.
 */
export type SkippedReason = 'slow' | 'rate' | 'retention' | 'too_far' | 'epoch' | 'unreadable';

/**
 * Summary of one tag over the reports that were left out and the one sent for them. Values other than numbers have only
 * a count.
 */
export interface TagSummary {
  readonly tag: string;
  readonly count: number;
  readonly first?: number;
  readonly min?: number;
  readonly max?: number;
  readonly last?: number;
}

/** Reports that were left out of the frame, as a summary. */
export interface Skipped {
  readonly partition: number;
  /** Empty: all devices of the channel in the partition. */
  readonly device: string;
  /** Position of the first report left out. */
  readonly from: number;
  /** Position of the last report left out, inclusive. */
  readonly to: number;
  /** Number of reports left out; 0: unknown. */
  readonly count: number;
  /** A `SkippedReason`. */
  readonly reason: string;
  readonly tags?: readonly TagSummary[];
}

const where = 'data.skipped';

/** Parses the value of `data.skipped`. Undefined where it is absent or empty. Throws `invalid_message`. */
export function skippedFrom(value: unknown): readonly Skipped[] | undefined {
  const list = listFrom(value, where);
  return list.length === 0 ? undefined : list.map(checkedSkipped);
}

function checkedSkipped(value: unknown): Skipped {
  const fields = fieldsOf(value, where);
  const tags = listFrom(fields['tags'], `${where}.tags`);
  return {
    partition: countOf(fields, 'partition', where, 0),
    device: textOf(fields, 'device', where, ''),
    from: countOf(fields, 'from', where, 0),
    to: countOf(fields, 'to', where, 0),
    count: countOf(fields, 'count', where, 0),
    reason: textOf(fields, 'reason', where, ''),
    ...(tags.length === 0 ? {} : { tags: tags.map(checkedSummary) }),
  };
}

const numbers = ['first', 'min', 'max', 'last'] as const;

function checkedSummary(value: unknown): TagSummary {
  const fields = fieldsOf(value, `${where}.tags`);
  const summary: { tag: string; count: number; first?: number; min?: number; max?: number; last?: number } = {
    tag: textOf(fields, 'tag', `${where}.tags`, ''),
    count: countOf(fields, 'count', `${where}.tags`, 0),
  };
  for (const key of numbers) if (fields[key] != null) summary[key] = numberOf(fields, key, `${where}.tags`);
  return summary;
}
