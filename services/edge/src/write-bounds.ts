import { shown } from '@tailrace/protocol/error';
import type { Value } from './sample.ts';

/** Values that may be written to a tag. */
export type WriteBounds = { readonly min: number; readonly max: number } | { readonly values: readonly Value[] };

/** Returns why a value must not be written; undefined where it may. The gateway refuses it, not the device. */
export function writeRefusal(bounds: WriteBounds | undefined, value: Value): string | undefined {
  if (bounds === undefined) return 'the tag is read-only';
  if ('values' in bounds) {
    return bounds.values.includes(value)
      ? undefined
      : `value: expected one of ${shown(bounds.values)}, got ${shown(value)}`;
  }
  const { min, max } = bounds;
  if (typeof value === 'number' && value >= min && value <= max) return undefined;
  return `value: expected a number of ${min} to ${max}, got ${shown(value)}`;
}
