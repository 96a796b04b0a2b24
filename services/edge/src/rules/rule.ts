import { z } from 'zod';
import { devicePath, tagName, tagValue } from '../tag-schema.ts';

const finite = z.number();
/** Most actions of a rule. */
const actionsMax = 16;

const whenSchema = z
  .strictObject({
    device: devicePath,
    tag: tagName,
    /** One of both. `true` counts as 1, `false` as 0. */
    above: finite.optional(),
    below: finite.optional(),
    /** How far the value must come back until the rule is clear. */
    hysteresis: finite.min(0).default(0),
    /** How long the value must be there, ms. */
    forMs: z.int().min(0).max(3_600_000).default(0),
  })
  .refine(({ above, below }) => (above === undefined) !== (below === undefined), 'expected one of above and below');

const actionSchema = z.union([
  z.strictObject({ event: tagName, severity: z.enum(['info', 'warning', 'critical']).optional() }),
  z.strictObject({
    write: z.strictObject({ device: devicePath, tag: tagName, value: tagValue }),
    /** Whether it is written also while commands are off. */
    safety: z.boolean().default(false),
  }),
]);

/** A threshold of a tag, and what the gateway does by itself when a value crosses it. */
export const ruleSchema = z.strictObject({ when: whenSchema, actions: z.array(actionSchema).min(1).max(actionsMax) });

export type Rule = z.output<typeof ruleSchema>;
export type RuleCondition = Rule['when'];
export type RuleAction = Rule['actions'][number];
