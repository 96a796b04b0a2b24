import type { Deadband, Subscribe } from '@tailrace/protocol/client-message';
import { shown, TailraceError } from '@tailrace/protocol/error';
import { reportLimits } from '@tailrace/protocol/report-limits';

/** How a connection encodes messages. */
export type Encoding = 'json' | 'proto';

/** Options of a view. Equal options have the same `viewKey`. */
export interface ViewOptions {
  /** Data frames a second at most. */
  readonly maxRate?: number;
  readonly deadband?: Deadband;
  /** Only these readings; sorted. */
  readonly tags?: readonly string[];
  readonly delta?: true;
  /** The interval of consistent cuts, which are sent instead of data, ms. */
  readonly align?: number;
}

/** Used by most subscriptions: every report is sent as it comes. */
export const noOptions: ViewOptions = Object.freeze({});

export const viewOptionLimits = {
  /** Frames a second: from one in 1,000 s to more than a screen can show. */
  rateMin: 0.001,
  rateMax: 1_000,
  tagsMax: 100,
  alignMsMin: 100,
  alignMsMax: 3_600_000,
} as const;

type RequestedOptions = Pick<Subscribe, 'maxRate' | 'deadband' | 'tags' | 'delta' | 'align' | 'from'>;

/** Validates the options of a request, whose types are checked already. Throws `invalid_message`. */
export function viewOptionsFrom(requested: RequestedOptions): ViewOptions {
  const { maxRate, deadband, tags, delta = false, align } = requested;
  const { rateMin, rateMax, alignMsMin, alignMsMax } = viewOptionLimits;
  if (maxRate !== undefined) assertWithin('maxRate', maxRate, rateMin, rateMax, 'frames a second');
  if (deadband !== undefined) assertDeadband(deadband);
  if (tags !== undefined) assertTags(tags);
  if (align !== undefined) {
    assertWithin('align', align, alignMsMin, alignMsMax, 'ms');
    const { from } = requested;
    const [other] =
      Object.entries({ maxRate, deadband, delta: delta || undefined, from }).find(([, value]) => value !== undefined) ??
      [];
    if (other !== undefined) {
      throw invalid(
        `expected either align or ${other}, got both`,
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

/** Returns a key that is equal for equal options, in whatever order they were given. Without options: the encoding. */
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
  throw invalid(`${name}: expected ${min} to ${max} ${unit}, got ${value}`);
}

function assertDeadband(deadband: Deadband): void {
  const { absolute, percent } = deadband;
  if (absolute === undefined && percent === undefined) {
    throw invalid('deadband: expected absolute, percent or both, as in {"absolute":0.5}, got neither');
  }
  for (const [name, value] of Object.entries({ absolute, percent })) {
    if (value === undefined || (value >= 0 && Number.isFinite(value))) continue;
    throw invalid(`deadband.${name}: expected a finite number from 0, got ${value}`);
  }
}

function assertTags(tags: readonly string[]): void {
  const { tagsMax } = viewOptionLimits;
  if (tags.length === 0 || tags.length > tagsMax)
    throw invalid(`tags: expected 1 to ${tagsMax} tags, got ${tags.length}`);
  const max = reportLimits.tagCharactersMax;
  for (const tag of tags) {
    if (tag.length === 0 || tag.length > max) {
      throw invalid(`tags: expected tags of 1 to ${max} characters, got ${shown(tag)}`);
    }
  }
  const twice = tags.find((tag, i) => tags.indexOf(tag) !== i);
  if (twice !== undefined) throw invalid(`tags: expected each tag once, got ${shown(twice)} twice`);
}

function invalid(message: string): TailraceError {
  return new TailraceError('invalid_message', message);
}
