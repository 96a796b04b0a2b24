import { patternMatches } from '@tailrace/protocol/pattern';
import { attributeLimits, kindSchema, labelKeySchema, labelsSchema } from '@tailrace/rules/device-attributes';
import { plainText } from '@tailrace/rules/plain-text';
import { z } from 'zod';
import { devicePathSchema, idSchema, labelSchema, noteSchema, patternSchema, tagSchema } from './fields.ts';

/*
 * The registry: what people know of devices, beside what the devices report. A device has an ID that stays; its path is
 * its name in reports, channels and rights, and may change. Of a former path, the registry knows to which device it has
 * belonged, and when.
 *
 * Eclipse Ditto and AWS IoT have the same split: attributes that people write, apart from what devices report. Labels
 * are those of Kubernetes: pairs by which rules, groups and searches select.
 */

export const registryLimits = {
  /** Devices of an installation; those that are decommissioned count. */
  devicesMax: attributeLimits.devicesMax,
  /** Of a device. */
  tagsMax: 256,
  groupsMax: 1_000,
  /** Of a group. */
  patternsMax: 100,
  /** Former paths of a device. */
  renamesMax: 100,
} as const;

/** What is known of a tag. */
export const tagFieldsSchema = z
  .strictObject({
    unit: plainText(32).optional().describe('As in reports, such as `Cel` (UCUM).'),
    type: z.enum(['number', 'boolean', 'text']).optional(),
    min: z.number().optional().describe('Of the range in which its values are expected.'),
    max: z.number().optional(),
    writable: z.boolean().optional().describe('Whether the command `set` may write it.'),
    description: noteSchema.optional(),
  })
  .superRefine(({ min, max }, context) => {
    if (min === undefined || max === undefined || min <= max) return;
    context.addIssue({ code: 'custom', path: ['min'], message: `expected at most ${max} (max), got ${min}` });
  });

const texts = {
  name: plainText(128).describe('For people.'),
  kind: kindSchema.describe('Such as `press`.'),
  place: plainText(128).describe('Where it stands, for people.'),
  gateway: z.union([z.literal(''), devicePathSchema]).describe('The device in front of it; empty: none.'),
  note: noteSchema,
};

export const deviceFieldsSchema = z.strictObject({
  name: texts.name.default(''),
  kind: texts.kind.default(''),
  place: texts.place.default(''),
  gateway: texts.gateway.default(''),
  note: texts.note.default(''),
  labels: labelsSchema.default({}),
  tags: z
    .record(tagSchema, tagFieldsSchema)
    .refine((tags) => Object.keys(tags).length <= registryLimits.tagsMax, {
      message: `expected at most ${registryLimits.tagsMax} tags`,
    })
    .default({}),
});

/** A change of a device, a JSON Merge Patch (RFC 7396): what is absent stays, and `null` removes a label or a tag. */
export const devicePatchSchema = z.strictObject({
  name: texts.name.optional(),
  kind: texts.kind.optional(),
  place: texts.place.optional(),
  gateway: texts.gateway.optional(),
  note: texts.note.optional(),
  labels: z.record(labelKeySchema, plainText(128).nullable()).optional(),
  tags: z.record(tagSchema, tagFieldsSchema.nullable()).optional(),
  version: z.int().min(1).optional().describe('The version that the change is based on. Another one is a conflict.'),
});

export type DevicePatch = z.output<typeof devicePatchSchema>;

export type TagFields = z.output<typeof tagFieldsSchema>;
export type DeviceFields = z.output<typeof deviceFieldsSchema>;

export const deviceSources = ['report', 'api', 'import'] as const;

export interface RegistryDevice extends DeviceFields {
  /** Stays, whatever the path is. */
  readonly id: string;
  readonly path: string;
  readonly state: 'active' | 'decommissioned';
  /** What has created it. */
  readonly source: (typeof deviceSources)[number];
  /** Rises by one with each change by a person, from 1. */
  readonly version: number;
  /** Epoch ms. */
  readonly createdMs: number;
  /** When ingest has received its first and last report, epoch ms; undefined: none is known. */
  readonly firstReportMs?: number;
  readonly lastReportMs?: number;
  /** The newest first. */
  readonly formerPaths: readonly FormerPath[];
}

export interface FormerPath {
  readonly path: string;
  /** Epoch ms. */
  readonly fromMs: number;
  readonly untilMs: number;
}

/** A group: all devices that match. Of several patterns one has to match; of the labels, all. */
export const groupSchema = z.strictObject({
  name: labelSchema,
  note: noteSchema.default(''),
  patterns: z.array(patternSchema).min(1).max(registryLimits.patternsMax),
  kind: kindSchema.default('').describe('Empty: any.'),
  labels: labelsSchema.default({}),
});

export type GroupFields = z.output<typeof groupSchema>;

/** Returns whether a group selects by what people write of a device, and not by patterns alone. */
export function selectsByFields({ kind, labels }: GroupFields): boolean {
  return kind !== '' || Object.keys(labels).length > 0;
}

/** Returns whether a device is in a group, as `activePaths` selects them. */
export function isInGroup(
  group: GroupFields,
  { path, state, kind, labels }: Pick<RegistryDevice, 'path' | 'state' | 'kind' | 'labels'>,
): boolean {
  if (state !== 'active' || (group.kind !== '' && group.kind !== kind)) return false;
  if (Object.entries(group.labels).some(([key, value]) => labels[key] !== value)) return false;
  return group.patterns.some((pattern) => patternMatches(pattern, path));
}

/** Selects devices of the registry. */
export const deviceSearchSchema = z.strictObject({
  q: plainText(200).default('').describe('Words, each of which a device has in its path, name, kind, place or labels.'),
  channel: patternSchema.default('>').describe('A device path, or a pattern.'),
  kind: plainText(64).optional(),
  place: plainText(128).optional(),
  gateway: devicePathSchema.optional(),
  group: idSchema.optional(),
  label: z
    .preprocess((value) => (typeof value === 'string' ? [value] : value), z.array(z.string()).max(8))
    .default([])
    .describe('`key=value`, or `key` for any value. Repeated: all of them.'),
  state: z.enum(['active', 'decommissioned', 'any']).default('active'),
  after: z.string().max(200).default('').describe('Only devices after this path: the `next` of the page before.'),
  limit: z.coerce.number().int().min(1).max(1_000).default(100),
});

export type DeviceSearch = z.output<typeof deviceSearchSchema>;

/** Returns the fields of a device after a change. The result may exceed the limits of labels and tags. */
export function patched(fields: DeviceFields, patch: DevicePatch): DeviceFields {
  const { version, labels, tags, ...fieldsOfPatch } = patch;
  const merged = <V>(known: Readonly<Record<string, V>>, change: Readonly<Record<string, V | null>> = {}) =>
    Object.fromEntries(
      Object.entries({ ...known, ...change }).filter((entry): entry is [string, V & {}] => entry[1] !== null),
    );
  const present = Object.fromEntries(Object.entries(fieldsOfPatch).filter(([, value]) => value !== undefined));
  return { ...fields, ...present, labels: merged(fields.labels, labels), tags: merged(fields.tags, tags) };
}

/** Returns the fields that people write. */
export function fieldsOf({ name, kind, place, gateway, note, labels, tags }: DeviceFields): DeviceFields {
  return { name, kind, place, gateway, note, labels, tags };
}

/** Returns the text in which the words of a search are found. */
export function searchTextOf({ path, name, kind, place, labels }: Pick<RegistryDevice, 'path'> & DeviceFields): string {
  const pairs = Object.entries(labels).map(([key, value]) => `${key}=${value}`);
  return [path, name, kind, place, ...pairs].join('\n').toLowerCase();
}

/** Returns the words of a search, each once, at most 8. */
export function searchWords(text: string): readonly string[] {
  return [...new Set(text.toLowerCase().split(/\s+/))].filter((word) => word !== '').slice(0, 8);
}
