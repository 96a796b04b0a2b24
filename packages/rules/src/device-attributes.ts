import { shown, TailraceError } from '@tailrace/protocol/error';
import { z } from 'zod';
import { plainText } from './plain-text.ts';

/** Limits of what rules select devices by. */
export const attributeLimits = {
  /** Devices with a kind or labels, of an installation. Each process of alarms has them in memory. */
  devicesMax: 200_000,
  /** Of a device. */
  labelsMax: 32,
  kindCharactersMax: 64,
  labelCharactersMax: 128,
} as const;

export const labelKeySchema = z
  .string()
  .regex(/^[a-z][a-z0-9_.-]{0,62}$/, 'expected 1 to 63 of "a-z", "0-9", "_", "-" and ".", the first a letter');

/** Such as `press`. */
export const kindSchema = plainText(attributeLimits.kindCharactersMax);

export const labelsSchema = z
  .record(labelKeySchema, plainText(attributeLimits.labelCharactersMax))
  .refine((labels) => Object.keys(labels).length <= attributeLimits.labelsMax, {
    message: `expected at most ${attributeLimits.labelsMax} labels`,
  });

/** What people know of a device, by which rules select it: of the registry. */
export interface DeviceAttributes {
  /** '': none. */
  readonly kind: string;
  readonly labels: Readonly<Record<string, string>>;
}

const attributesSchema = z.object({ kind: kindSchema.default(''), labels: labelsSchema.default({}) });

/** Which devices a rule selects, of those that match its patterns: all conditions must hold. */
export const whereSchema = z
  .strictObject({
    kind: kindSchema.min(1).optional(),
    /** The device has all of them, with these values. */
    labels: labelsSchema.optional(),
  })
  .refine(
    ({ kind, labels }) => kind !== undefined || Object.keys(labels ?? {}).length > 0,
    'expected a kind, or at least one label',
  );

export type RuleWhere = Readonly<z.output<typeof whereSchema>>;

/** Returns whether a device with these attributes is selected. Undefined: it has none. */
export function isSelected(where: RuleWhere | undefined, attributes: DeviceAttributes | undefined): boolean {
  if (where === undefined) return true;
  if (attributes === undefined) return false;
  if (where.kind !== undefined && where.kind !== attributes.kind) return false;
  return Object.entries(where.labels ?? {}).every(([key, value]) => attributes.labels[key] === value);
}

/** Returns the text of a record of the topic of devices; undefined for a device without attributes: a tombstone. */
export function textFromAttributes({ kind, labels }: DeviceAttributes): string | undefined {
  const keys = Object.keys(labels).sort();
  if (kind === '' && keys.length === 0) return undefined;
  return JSON.stringify({ kind, labels: Object.fromEntries(keys.map((key) => [key, labels[key]])) });
}

/**
 * Parses the text of a record of the topic of devices. Fields of a later version are left out. Throws `invalid_message`
 * for another text.
 */
export function attributesFromText(text: string): DeviceAttributes {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new TailraceError('invalid_message', `device: expected JSON, got ${shown(text)}`, { cause });
  }
  const parsed = attributesSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const { path, message } = parsed.error.issues[0]!;
  throw new TailraceError('invalid_message', `device: ${path.join('.')}: ${message}, got ${shown(text)}`);
}
