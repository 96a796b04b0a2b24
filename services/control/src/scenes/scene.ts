import type { CommandValue } from '@tailrace/protocol/device-command';
import { shown, TailraceError } from '@tailrace/protocol/error';
import { plainText } from '@tailrace/rules/plain-text';
import { z } from 'zod';
import { commandValueSchema } from '../http/query.ts';
import { idSchema, labelSchema, noteSchema, patternSchema, tagSchema } from '../registry/fields.ts';

/*
 * A scene: a named set of commands over several devices, run as one, such as "away" of a house or "line stop" of a
 * plant. Its steps are ordered or parallel, take parameters, and may run other scenes.
 */

export const sceneLimits = {
  /** Of an installation. */
  scenesMax: 1_000,
  /** Of one list of steps. */
  stepsMax: 100,
  /** Of all that a run does, its other scenes and the devices of patterns included. */
  plannedStepsMax: 500,
  /** Of nested steps, and of scenes that run scenes. */
  depthMax: 8,
  parametersMax: 32,
  waitMsMax: 3_600_000,
  /** Of a command. */
  timeoutMsMax: 600_000,
} as const;

/** What follows if a step does not succeed. */
export const failurePolicies = ['continue', 'stop', 'compensate'] as const;
export type FailurePolicy = (typeof failurePolicies)[number];

/** Values for the parameters of a scene. */
export const sceneValuesSchema = z.record(tagSchema, commandValueSchema);

const parameterName = z
  .string()
  .regex(/^[A-Za-z_][A-Za-z0-9_]{0,63}$/, 'expected 1 to 64 letters, digits and "_", the first no digit');

const parameterSchema = z.strictObject({
  type: z.enum(['number', 'boolean', 'text']),
  default: commandValueSchema.optional().describe('Absent: each run needs a value.'),
  min: z.number().optional(),
  max: z.number().optional(),
  unit: plainText(32).optional(),
  description: noteSchema.optional(),
});

/** A value of a command: as it is, or a parameter of the scene. */
const argumentSchema = z.union([commandValueSchema, z.strictObject({ parameter: parameterName })]);
const argumentsSchema = z.record(tagSchema, argumentSchema);

const commandName = z.string().regex(/^[A-Za-z0-9_-]{1,64}$/, 'expected 1 to 64 letters, digits, "_" or "-"');

const commandStep = z
  .strictObject({
    do: z.literal('command'),
    device: patternSchema
      .optional()
      .describe('A device, or a pattern: all devices of the registry that it matches, in parallel.'),
    group: idSchema.optional().describe('All devices of a group, in parallel. Instead of `device`.'),
    command: commandName,
    params: argumentsSchema.default({}),
    timeoutMs: z
      .int()
      .min(100)
      .max(sceneLimits.timeoutMsMax)
      .default(10_000)
      .describe('Deadline of the command, ms after it is submitted.'),
    ifOffline: z
      .enum(['skip', 'wait'])
      .default('skip')
      .describe('For a device without a session: `skip` names it as unavailable, `wait` waits until the deadline.'),
    onFailure: z
      .enum(failurePolicies)
      .default('continue')
      .describe(
        'If the command is not done: `continue` with the other steps, `stop` the run, or `compensate` what was done, and stop.',
      ),
    compensation: z
      .strictObject({ command: commandName, params: argumentsSchema.default({}) })
      .optional()
      .describe('Reverses the step. Default, for the command `set`: the values from before the run.'),
  })
  .refine(({ device, group }) => (device === undefined) !== (group === undefined), {
    message: 'expected either `device` or `group`',
  });

const waitStep = z.strictObject({ do: z.literal('wait'), ms: z.int().min(1).max(sceneLimits.waitMsMax) });

const sceneStep = z.strictObject({
  do: z.literal('scene'),
  scene: idSchema,
  params: argumentsSchema.default({}),
});

export type CommandStep = z.output<typeof commandStep>;
export type SceneArgument = z.output<typeof argumentSchema>;

export type SceneStep =
  | CommandStep
  | z.output<typeof waitStep>
  | z.output<typeof sceneStep>
  | { readonly do: 'sequence' | 'parallel'; readonly steps: readonly SceneStep[] };

/** As a request has it, without the defaults. */
type SceneStepInput =
  | z.input<typeof commandStep>
  | z.input<typeof waitStep>
  | z.input<typeof sceneStep>
  | { do: 'sequence' | 'parallel'; steps: SceneStepInput[] };

const stepSchema: z.ZodType<SceneStep, SceneStepInput> = z
  .lazy(() =>
    z.discriminatedUnion('do', [
      commandStep,
      waitStep,
      sceneStep,
      z.strictObject({
        do: z.enum(['sequence', 'parallel']),
        steps: z.array(stepSchema).min(1).max(sceneLimits.stepsMax),
      }),
    ]),
  )
  .meta({ id: 'SceneStep' });

export const sceneSchema = z.strictObject({
  name: labelSchema.describe('For people.'),
  note: noteSchema.default(''),
  parameters: z
    .record(parameterName, parameterSchema)
    .refine((all) => Object.keys(all).length <= sceneLimits.parametersMax, {
      message: `expected at most ${sceneLimits.parametersMax} parameters`,
    })
    .default({}),
  order: z.enum(['sequence', 'parallel']).default('sequence').describe('Of `steps`.'),
  steps: z.array(stepSchema).min(1).max(sceneLimits.stepsMax),
  confirmation: z
    .enum(['none', 'second_person'])
    .default('none')
    .describe('`second_person`: a run waits until another person has confirmed it.'),
});

export type SceneFields = z.output<typeof sceneSchema>;
export type SceneParameter = z.output<typeof parameterSchema>;
export type SceneValues = Readonly<Record<string, CommandValue>>;

/** A stored scene. */
export interface Scene extends SceneFields {
  readonly id: string;
  /** Rises by one with each change, from 1. */
  readonly version: number;
}

/**
 * Returns the values of all parameters of a scene: those of the run, and the defaults. Throws `invalid_message` for an
 * unknown name, an absent value, another type, and a number out of bounds.
 */
export function sceneValues(scene: Pick<Scene, 'id' | 'parameters'>, given: SceneValues): SceneValues {
  const { parameters } = scene;
  for (const name of Object.keys(given))
    if (!Object.hasOwn(parameters, name)) {
      const known = Object.keys(parameters).join(', ') || 'none';
      throw invalid(scene.id, `params: expected parameters of the scene (${known}), got ${shown(name)}`);
    }
  const values: Record<string, CommandValue> = {};
  for (const [name, parameter] of Object.entries(parameters)) {
    const value = Object.hasOwn(given, name) ? given[name] : parameter.default;
    if (value === undefined) throw invalid(scene.id, `params.${name}: expected a ${parameter.type}, got none`);
    const reason = valueError(parameter, value);
    if (reason !== undefined) throw invalid(scene.id, `params.${name}: expected ${reason}, got ${shown(value)}`);
    values[name] = value;
  }
  return values;
}

/** Returns what was expected; undefined: the value is valid. */
function valueError({ type, min, max }: SceneParameter, value: CommandValue): string | undefined {
  const valueType = typeof value === 'string' ? 'text' : typeof value;
  if (valueType !== type) return `a ${type}`;
  if (typeof value !== 'number') return undefined;
  if (min !== undefined && value < min) return `at least ${min}`;
  return max !== undefined && value > max ? `at most ${max}` : undefined;
}

/**
 * Asserts what the schema cannot express: depth of nested steps, declared parameters and their defaults. Throws
 * `invalid_message`.
 */
export function assertScene(scene: Scene): void {
  for (const [name, parameter] of Object.entries(scene.parameters)) {
    const { min, max } = parameter;
    if (min !== undefined && max !== undefined && min > max)
      throw invalid(scene.id, `parameters.${name}: expected min up to max, got ${min} and ${max}`);
    const reason = parameter.default === undefined ? undefined : valueError(parameter, parameter.default);
    if (reason !== undefined)
      throw invalid(scene.id, `parameters.${name}.default: expected ${reason}, got ${shown(parameter.default)}`);
  }
  assertSteps(scene, scene.steps, 'steps', 1);
}

function assertSteps(scene: Scene, steps: readonly SceneStep[], place: string, depth: number): void {
  if (depth > sceneLimits.depthMax)
    throw invalid(scene.id, `${place}: expected at most ${sceneLimits.depthMax} levels of steps, got more`);
  for (const [n, step] of steps.entries()) {
    const at = `${place}[${n}]`;
    if (step.do === 'sequence' || step.do === 'parallel') assertSteps(scene, step.steps, `${at}.steps`, depth + 1);
    if (step.do === 'command' || step.do === 'scene') assertArguments(scene, step.params, `${at}.params`);
    if (step.do === 'command' && step.compensation !== undefined)
      assertArguments(scene, step.compensation.params, `${at}.compensation.params`);
  }
}

function assertArguments(scene: Scene, params: Readonly<Record<string, SceneArgument>>, place: string): void {
  for (const [name, value] of Object.entries(params)) {
    if (typeof value !== 'object' || Object.hasOwn(scene.parameters, value.parameter)) continue;
    throw invalid(scene.id, `${place}.${name}: expected a declared parameter, got ${shown(value.parameter)}`);
  }
}

/** Returns the scenes that a scene runs itself, each once. */
export function calledScenes(scene: Pick<Scene, 'steps'>): readonly string[] {
  const called = new Set<string>();
  const visit = (steps: readonly SceneStep[]) => {
    for (const step of steps) {
      if (step.do === 'scene') called.add(step.scene);
      if (step.do === 'sequence' || step.do === 'parallel') visit(step.steps);
    }
  };
  visit(scene.steps);
  return [...called];
}

/**
 * Asserts that a scene, of those in `scenes`, runs only existing ones, and not itself by way of others. Throws
 * `not_found` and `invalid_message`, with the whole way.
 */
export function assertNoCycle(id: string, scenes: ReadonlyMap<string, Pick<Scene, 'steps'>>): void {
  const finished = new Set<string>();
  const visit = (scene: string, way: readonly string[]) => {
    if (way.includes(scene))
      throw invalid(
        id,
        `steps: expected scenes that do not run each other in a circle, got ${[...way, scene].join(' → ')}`,
      );
    if (finished.has(scene)) return;
    const found = scenes.get(scene);
    if (found === undefined) throw new TailraceError('not_found', `scene ${shown(id)}: ${shown(scene)} does not exist`);
    if (way.length >= sceneLimits.depthMax)
      throw invalid(
        id,
        `steps: expected at most ${sceneLimits.depthMax} scenes that run each other, got ${way.join(' → ')}`,
      );
    for (const called of calledScenes(found)) visit(called, [...way, scene]);
    finished.add(scene);
  };
  visit(id, []);
}

function invalid(scene: string, message: string): TailraceError {
  return new TailraceError('invalid_message', `scene ${shown(scene)}: ${message}`);
}
