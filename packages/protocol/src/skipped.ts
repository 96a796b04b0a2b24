import { countOf, fieldsOf, listFrom, numberOf, textOf } from './message-fields.ts';

/**
 * Why reports were left out; a later server may know more. `slow`: the client reads too slowly. `rate`: it asked for no more frames a second.
 * `retention`, `too_far`, `epoch`, `unreadable`: as in `Missing`.
 */
export type SkippedReason = 'slow' | 'rate' | 'retention' | 'too_far' | 'epoch' | 'unreadable';

/** What one tag was in the reports left out and in the one that stands for them. Values that are no numbers have their count only. */
export interface TagSummary {
  readonly tag: string;
  readonly count: number;
  readonly first?: number;
  readonly min?: number;
  readonly max?: number;
  readonly last?: number;
}

/** Reports that came and are not among those of the frame: told by their sum only. */
export interface Skipped {
  readonly partition: number;
  /** Empty: every device of the channel in the partition. */
  readonly device: string;
  /** Position of the first one left out. */
  readonly from: number;
  /** Of the last one, inclusive. */
  readonly to: number;
  /** How many were left out; 0: not known. */
  readonly count: number;
  /** A `SkippedReason`. */
  readonly reason: string;
  readonly tags?: readonly TagSummary[];
}

const where = 'data.skipped';

/** `value` is what stands under `data.skipped`; undefined where nothing does. Throws `invalid_message`. */
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
