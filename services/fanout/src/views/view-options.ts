import type { Deadband, Subscribe } from '@tailrace/protocol/client-message';
import { shown, TailraceError } from '@tailrace/protocol/error';
import { reportLimits } from '@tailrace/protocol/report-limits';

/** How a connection encodes messages. */
export type Encoding = 'json' | 'proto';

/** How a channel is to be seen, where it is not to be seen as it is. Two that are equal have the same `viewKey`. */
export interface ViewOptions {
  /** Data frames a second at most. */
  readonly maxRate?: number;
  readonly deadband?: Deadband;
  /** Only these readings; sorted. */
  readonly tags?: readonly string[];
  readonly delta?: true;
  /** Milliseconds between consistent cuts, which come instead of data. */
  readonly align?: number;
}

/** Of most subscriptions: everything as it comes. */
export const noOptions: ViewOptions = Object.freeze({});

export const viewOptionLimits = {
  /** Frames a second: one in 1,000 s, and what a screen could not show any more. */
  rateMin: 0.001,
  rateMax: 1_000,
  tagsMax: 100,
  alignMsMin: 100,
  alignMsMax: 3_600_000,
} as const;

type Asked = Pick<Subscribe, 'maxRate' | 'deadband' | 'tags' | 'delta' | 'align' | 'from'>;

/** What a client asks for, whose types are right, and whose sense is looked at here. Throws `invalid_message`. */
export function viewOptionsFrom(asked: Asked): ViewOptions {
  const { maxRate, deadband, tags, delta = false, align } = asked;
  const { rateMin, rateMax, alignMsMin, alignMsMax } = viewOptionLimits;
  if (maxRate !== undefined) assertWithin('maxRate', maxRate, rateMin, rateMax, 'frames a second');
  if (deadband !== undefined) assertDeadband(deadband);
  if (tags !== undefined) assertTags(tags);
  if (align !== undefined) {
    assertWithin('align', align, alignMsMin, alignMsMax, 'ms');
    const { from } = asked;
    const [other] =
      Object.entries({ maxRate, deadband, delta: delta || undefined, from }).find(([, value]) => value !== undefined) ??
      [];
    if (other !== undefined) {
      throw invalid(
        `align and ${other} are both asked for; right is one of them: a cut is whole, and comes when it is due`,
      );
    }
  }
  return {
    ...(maxRate === undefined ? {} : { maxRate }),
    ...(deadband === undefined ? {} : { deadband }),
    ...(tags === undefined ? {} : { tags: tags.toSorted() }),
    ...(delta ? { delta } : {}),
    ...(align === undefined ? {} : { align }),
  };
}

/** The same for equal wishes, whatever the order in which they name things. Without options it is the encoding. */
export function viewKey(encoding: Encoding, options: ViewOptions): string {
  if (isPlain(options)) return encoding;
  const { maxRate, deadband, tags, delta, align } = options;
  const { absolute, percent } = deadband ?? {};
  return JSON.stringify([encoding, maxRate, absolute, percent, tags, delta, align]);
}

export function isPlain(options: ViewOptions): boolean {
  for (const _ in options) return false;
  return true;
}

function assertWithin(name: string, value: number, min: number, max: number, unit: string): void {
  if (value >= min && value <= max) return;
  throw invalid(`${name} is ${value}; right is ${min} to ${max} ${unit}`);
}

function assertDeadband(deadband: Deadband): void {
  const { absolute, percent } = deadband;
  if (absolute === undefined && percent === undefined) {
    throw invalid('deadband is empty; right is absolute, percent or both, as in {"absolute":0.5}');
  }
  for (const [name, value] of Object.entries({ absolute, percent })) {
    if (value === undefined || (value >= 0 && Number.isFinite(value))) continue;
    throw invalid(`deadband.${name} is ${value}; right is a number that is not negative`);
  }
}

function assertTags(tags: readonly string[]): void {
  const { tagsMax } = viewOptionLimits;
  if (tags.length === 0 || tags.length > tagsMax)
    throw invalid(`tags has ${tags.length} tags; right is 1 to ${tagsMax}`);
  const max = reportLimits.tagCharactersMax;
  for (const tag of tags) {
    if (tag.length === 0 || tag.length > max) {
      throw invalid(`tags has ${shown(tag)}; right are tags of 1 to ${max} characters`);
    }
  }
  const twice = tags.find((tag, i) => tags.indexOf(tag) !== i);
  if (twice !== undefined) throw invalid(`tags has ${shown(twice)} twice; right is each once`);
}

function invalid(message: string): TailraceError {
  return new TailraceError('invalid_message', message);
}
