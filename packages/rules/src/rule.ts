import { shown, TailraceError } from '@tailrace/protocol/error';
import { isPattern, patternMatches } from '@tailrace/protocol/pattern';
import { z } from 'zod';
import { type DeviceAttributes, isSelected, whereSchema } from './device-attributes.ts';
import { compileExpression } from './expression.ts';
import { plainText } from './plain-text.ts';
import {
  conditionSchema,
  delayMs,
  delayMsMax,
  expressionText,
  priority,
  type RuleCondition,
  tagName,
  tagStateSchema,
} from './rule-condition.ts';
import { invalidMessageReason } from './rule-message.ts';

/** Limits of a rule. */
export const ruleLimits = {
  patternsMax: 20,
  overridesMax: 200,
  contextMax: 16,
  escalationMax: 8,
  inhibitingMax: 16,
  messageCharactersMax: 500,
  noteCharactersMax: 2_000,
  /** A month. A person who shelves an alarm for longer takes it out of service. */
  shelfMsMax: 30 * delayMsMax,
} as const;

const shelfMsDefault = delayMsMax;

export const ruleId = z.string().regex(/^[a-zA-Z0-9_-]{1,64}$/, 'expected 1 to 64 letters, digits, "_" or "-"');
const pattern = z.string().refine(isPattern, 'expected a pattern of devices, as in plant1.line3.press7 or plant1.>');

/** How people acknowledge. The name is theirs, such as `safety`. */
const classSchema = z.strictObject({
  name: plainText(64).min(1),
  /** An acknowledgement needs a note. */
  noteRequired: z.boolean().default(false),
  /** Two people acknowledge, one after the other. */
  twoStep: z.boolean().default(false),
});

/** While one of these holds, the alarm is suppressed by design. */
const inhibitionSchema = z
  .strictObject({
    /** IDs of rules: their alarms of the same device are active. */
    alarms: z.array(ruleId).max(ruleLimits.inhibitingMax).default([]),
    states: z.array(tagStateSchema).max(ruleLimits.inhibitingMax).default([]),
    expression: expressionText.optional(),
    /** How long the alarm stays suppressed afterwards, by the clock of the device: a flow needs time after its pump. */
    releaseDelayMs: delayMs.default(0),
  })
  .refine(
    ({ alarms, states, expression }) => alarms.length + states.length > 0 || expression !== undefined,
    'expected at least one of alarms, states and expression',
  );

/** A device that reports again after a time without reports has a grace: what it reports first is often transient. */
const graceSchema = z.strictObject({
  /** Without reports for this long, by the clock of ingest. */
  idleMs: z
    .int()
    .min(1_000)
    .max(30 * delayMsMax),
  /** Nothing is raised for this long afterwards. */
  forMs: z.int().min(1).max(delayMsMax),
});

const overrideSchema = z.strictObject({
  devices: pattern,
  enabled: z.boolean().optional(),
  condition: conditionSchema.optional(),
  priority: priority.optional(),
  onDelayMs: delayMs.optional(),
  offDelayMs: delayMs.optional(),
});

const escalationSchema = z
  .array(
    z.strictObject({
      /** Since the alarm was raised, and is not acknowledged. */
      afterMs: z
        .int()
        .min(1_000)
        .max(30 * delayMsMax),
      priority,
    }),
  )
  .max(ruleLimits.escalationMax)
  .refine(
    (steps) => steps.every((step, index) => index === 0 || step.afterMs > steps[index - 1]!.afterMs),
    'expected steps with rising afterMs',
  );

/** A rule of alarms. A rule raises at most one alarm at a time for each device that it matches. */
export const ruleSchema = z
  .strictObject({
    id: ruleId,
    /** Rises by one with each change; set by control. */
    version: z.int().min(1),
    /** Subject of the token of the person who has written this version. */
    author: plainText(256).default(''),
    /** Why this version exists, or what to do about the alarm. */
    note: plainText(ruleLimits.noteCharactersMax).default(''),
    name: plainText(128).default(''),
    enabled: z.boolean().default(true),
    devices: z.array(pattern).min(1).max(ruleLimits.patternsMax),
    /** Of these, only devices with this kind and these labels in the registry. Default: all. */
    where: whereSchema.optional(),
    condition: conditionSchema,
    /** The condition must hold for this long, by the clock of the device. */
    onDelayMs: delayMs.default(0),
    /** The condition must be gone for this long, by the clock of the device. */
    offDelayMs: delayMs.default(0),
    grace: graceSchema.optional(),
    /** 1 is the highest. */
    priority: priority.default(3),
    class: classSchema.optional(),
    /** Once its condition has gone, a person must reset it. */
    latched: z.boolean().default(false),
    shelfMsMax: z.int().min(1_000).max(ruleLimits.shelfMsMax).default(shelfMsDefault),
    inhibition: inhibitionSchema.optional(),
    /** Of the alarms of a device with the same group, the first one is marked. */
    group: ruleId.optional(),
    /** An acknowledged alarm whose condition still holds after this time is unacknowledged again. */
    reAlarmMs: z
      .int()
      .min(1_000)
      .max(30 * delayMsMax)
      .optional(),
    escalation: escalationSchema.default([]),
    /** Tags whose values at that time come with the alarm. */
    context: z.array(tagName).max(ruleLimits.contextMax).default([]),
    message: plainText(ruleLimits.messageCharactersMax).optional(),
    /** The first one that matches a device counts. */
    overrides: z.array(overrideSchema).max(ruleLimits.overridesMax).default([]),
  })
  .superRefine((rule, { addIssue }) => {
    const issue = (path: (string | number)[], message: string) => addIssue({ code: 'custom', path, message });
    const reason = rule.message === undefined ? undefined : invalidMessageReason(rule.message, rule.context);
    if (reason !== undefined) issue(['message'], reason);
    if (rule.inhibition?.alarms.includes(rule.id)) issue(['inhibition', 'alarms'], 'expected other rules than itself');
    rule.overrides.forEach(({ condition }, index) => {
      if (condition !== undefined && condition.kind !== rule.condition.kind)
        issue(['overrides', index, 'condition', 'kind'], `expected ${rule.condition.kind}, as in the rule`);
    });
    for (const { path, text } of expressionsOf(rule)) {
      try {
        compileExpression(text);
      } catch (thrown) {
        issue(path, thrown instanceof Error ? thrown.message : String(thrown));
      }
    }
  });

export type Rule = Readonly<z.output<typeof ruleSchema>>;
/** A rule as people write it, without its defaults. */
export type RuleInput = z.input<typeof ruleSchema>;
export type { RuleCondition } from './rule-condition.ts';

interface WithExpressions {
  readonly condition: RuleCondition;
  readonly inhibition?: { readonly expression?: string | undefined } | undefined;
  readonly overrides: readonly { readonly condition?: RuleCondition | undefined }[];
}

export function expressionsOf(rule: WithExpressions): readonly { path: (string | number)[]; text: string }[] {
  const found: { path: (string | number)[]; text: string }[] = [];
  const inCondition = (condition: RuleCondition | undefined, path: (string | number)[]) => {
    if (condition?.kind === 'expression') found.push({ path: [...path, 'expression'], text: condition.expression });
  };
  inCondition(rule.condition, ['condition']);
  rule.overrides.forEach((override, index) => {
    inCondition(override.condition, ['overrides', index, 'condition']);
  });
  const inhibiting = rule.inhibition?.expression;
  if (inhibiting !== undefined) found.push({ path: ['inhibition', 'expression'], text: inhibiting });
  return found;
}

/**
 * Returns the rule of parsed JSON, with its defaults. Throws `invalid_rule` with all errors, one a line: the place,
 * what was expected, and the value.
 */
export function ruleFrom(value: unknown): Rule {
  const parsed = ruleSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const lines = parsed.error.issues.map((issue) => issueLine(issue, value));
  throw new TailraceError('invalid_rule', lines.length === 1 ? `rule: ${lines[0]}` : `rule:\n${lines.join('\n')}`);
}

function issueLine(issue: z.core.$ZodIssue, value: unknown): string {
  const place = issue.path.length === 0 ? '' : `${issue.path.map(String).join('.')}: `;
  if (issue.code === 'unrecognized_keys') return `${place}expected known keys, got ${issue.keys.map(shown).join(', ')}`;
  if (issue.code === 'invalid_key')
    return `${place}${issue.issues[0]?.message ?? issue.message}, got ${shown(issue.path.at(-1))}`;
  const expected = issue.message.replace(/^(Invalid|Too)[^:]*: /, '').replace(/, received .*$/, '');
  // An expression has its value, with a caret below it.
  if (/\bgot\b|\^$/.test(expected)) return `${place}${expected}`;
  return `${place}${expected}, got ${shown(valueAt(value, issue.path))}`;
}

function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  let found = value;
  for (const key of path) found = (found as Record<PropertyKey, unknown> | undefined)?.[key];
  return found;
}

/** Parses the value of a record of the topic of rules. Throws `invalid_rule`. */
export function ruleFromBytes(bytes: Uint8Array): Rule {
  const text = new TextDecoder().decode(bytes);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new TailraceError('invalid_rule', `rule: expected JSON, got ${shown(text)}`, { cause });
  }
  return ruleFrom(value);
}

/** Returns the value of a record of the topic of rules. */
export function bytesFromRule(rule: Rule): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(rule));
}

/** A rule as it applies to one device: without overrides. */
export type DeviceRule = Omit<Rule, 'overrides' | 'devices' | 'where'>;

/**
 * Returns whether the rule matches the device, and is enabled for it. `attributes`: of the device in the registry;
 * undefined: it has none.
 */
export function ruleMatches(rule: Rule, device: string, attributes: DeviceAttributes | undefined): boolean {
  if (!isSelected(rule.where, attributes)) return false;
  if (!rule.devices.some((each) => patternMatches(each, device))) return false;
  return overrideFor(rule, device)?.enabled ?? rule.enabled;
}

/** Returns the rule with the first override that matches the device. The result is the rule itself without one. */
export function ruleFor(rule: Rule, device: string): DeviceRule {
  const override = overrideFor(rule, device);
  if (override === undefined) return rule;
  return {
    ...rule,
    enabled: override.enabled ?? rule.enabled,
    condition: override.condition ?? rule.condition,
    priority: override.priority ?? rule.priority,
    onDelayMs: override.onDelayMs ?? rule.onDelayMs,
    offDelayMs: override.offDelayMs ?? rule.offDelayMs,
  };
}

function overrideFor(rule: Rule, device: string): Rule['overrides'][number] | undefined {
  return rule.overrides.find((override) => patternMatches(override.devices, device));
}
