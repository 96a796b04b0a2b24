import { shown } from '@tailrace/protocol/error';
import { reportLimits } from '@tailrace/protocol/report-limits';
import { isPlainText } from '@tailrace/protocol/text';
import { z } from 'zod';
import { expressionLimits } from './expression.ts';

/** A day. A longer delay is a mistake, such as seconds for milliseconds. */
export const delayMsMax = 86_400_000;

export const tagName: z.ZodType<string> = z
  .string()
  .min(1)
  .max(reportLimits.tagCharactersMax)
  .refine(isPlainText, 'expected a text without control characters');
export const tagValue = z.union([z.number(), z.boolean(), z.string().max(reportLimits.textCharactersMax)]);
export const delayMs = z.int().min(0).max(delayMsMax);
export const expressionText = z.string().min(1).max(expressionLimits.charactersMax);
export const priority = z.int().min(1).max(5);

const limitSchema = z.strictObject({
  value: z.number(),
  /** How far beyond the limit a value must return, in the unit of the tag. */
  hysteresis: z.number().min(0).default(0),
  /** Instead of the rule's. */
  priority: priority.optional(),
  /** Instead of the rule's. */
  onDelayMs: delayMs.optional(),
  /** Instead of the rule's. */
  offDelayMs: delayMs.optional(),
});

/** The names of limits, from low to high. */
export const limitNames = ['LL', 'L', 'H', 'HH'] as const;

const limitsSchema = z
  .strictObject({
    kind: z.literal('limits'),
    tag: tagName,
    limits: z
      .strictObject({
        LL: limitSchema.optional(),
        L: limitSchema.optional(),
        H: limitSchema.optional(),
        HH: limitSchema.optional(),
      })
      .refine(
        (limits) => limitNames.some((name) => limits[name] !== undefined),
        'expected at least one of LL, L, H, HH',
      ),
  })
  .superRefine(({ limits }, { addIssue }) => {
    const given = limitNames.flatMap((name) => (limits[name] === undefined ? [] : [{ name, ...limits[name] }]));
    for (let index = 1; index < given.length; index++) {
      const lower = given[index - 1]!;
      const higher = given[index]!;
      const path = ['limits', higher.name];
      if (higher.value <= lower.value)
        addIssue({ code: 'custom', path, message: `expected a value above that of ${lower.name}, ${lower.value}` });
      else if (isLow(lower.name) && !isLow(higher.name) && lower.value + lower.hysteresis > higher.value)
        // The value would be beyond both limits at once, and the alarm would jump between them.
        addIssue({
          code: 'custom',
          path,
          message: `expected a value of at least that of ${lower.name} plus its hysteresis, ${lower.value + lower.hysteresis}`,
        });
      else if (isLow(lower.name) && !isLow(higher.name) && higher.value - higher.hysteresis < lower.value)
        addIssue({
          code: 'custom',
          path,
          message: `expected a hysteresis of at most the distance to ${lower.name}, ${higher.value - lower.value}`,
        });
    }
  });

export function isLow(limit: string): boolean {
  return limit === 'LL' || limit === 'L';
}

/** Change per second, as a positive number for both directions. */
const rateLimitSchema = z.strictObject({ value: z.number().positive(), hysteresis: z.number().min(0).default(0) });

const rateSchema = z
  .strictObject({
    kind: z.literal('rate'),
    tag: tagName,
    /** The change is measured over this time of the device's clock. */
    overMs: z.int().min(100).max(delayMsMax),
    rise: rateLimitSchema.optional(),
    fall: rateLimitSchema.optional(),
  })
  .refine(({ rise, fall }) => rise !== undefined || fall !== undefined, 'expected at least one of rise and fall');

/** By the clock of ingest, since a device that does not report has no clock. */
const staleSchema = z.strictObject({
  kind: z.literal('stale'),
  /** Absent: any report of the device counts. */
  tag: tagName.optional(),
  afterMs: z
    .int()
    .min(1_000)
    .max(30 * delayMsMax),
});

const valuesSchema = z.array(tagValue).min(1).max(100);

const stateSchema = z
  .strictObject({
    kind: z.literal('state'),
    tag: tagName,
    in: valuesSchema.optional(),
    notIn: valuesSchema.optional(),
  })
  .refine((state) => (state.in === undefined) !== (state.notIn === undefined), 'expected either in or notIn');

const expressionSchema = z.strictObject({
  kind: z.literal('expression'),
  /** CEL over the tags of one device: `temp > 80 && tags["motor-1.on"]`. */
  expression: expressionText,
});

const bandSchema = z.strictObject({
  kind: z.literal('band'),
  tag: tagName,
  /** Which side of the band is an alarm. */
  side: z.enum(['both', 'above', 'below']).default('both'),
});

/** When an alarm is raised. */
export const conditionSchema = z.discriminatedUnion(
  'kind',
  [limitsSchema, rateSchema, staleSchema, stateSchema, expressionSchema, bandSchema],
  {
    error: (issue) =>
      `expected limits, rate, stale, state, expression or band, got ${shown((issue.input as { kind?: unknown } | undefined)?.kind)}`,
  },
);

export type RuleCondition = z.output<typeof conditionSchema>;
export type Limit = z.output<typeof limitSchema>;
export type TagValue = z.output<typeof tagValue>;

/** A state of a tag: its last value is one of `in`. */
export const tagStateSchema = z.strictObject({ tag: tagName, in: valuesSchema });
