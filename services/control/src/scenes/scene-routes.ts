import { z } from 'zod';
import type { Api } from '../http/api.ts';
import { cursor, cursorSchema, errorResponses, limitSchema } from '../http/query.ts';
import { idSchema } from '../registry/fields.ts';
import type { ScenePlan } from './plan.ts';
import { sceneSchema, sceneValuesSchema } from './scene.ts';
import { notDone, runStates, stepStates } from './scene-run.ts';
import { runCauses, type StoredRun, type StoredScene } from './scene-store.ts';
import { keyPrefixOf, type Scenes, sceneRunOf } from './scenes.ts';

const timeSchema = z.number().describe('Epoch ms.');

const sceneBodySchema = sceneSchema
  .extend({ id: idSchema, version: z.int(), changedBy: z.string(), changed: timeSchema })
  .meta({ id: 'Scene' });

const stepSchema = z.object({
  step: z.string().describe('Place of the step in the scene, and the device if the step has several.'),
  device: z.string().optional().describe('Absent: a wait.'),
  command: z.string().optional(),
  params: sceneValuesSchema.optional(),
  state: z.enum(stepStates),
  code: z.string().optional(),
  message: z.string().optional(),
});

const notReversedSchema = z
  .array(z.object({ step: z.string(), device: z.string(), reason: z.string() }))
  .describe('Steps that may have been executed and cannot be restored, or not all of it.');

const runSchema = z
  .object({
    id: z.string().describe('Chosen by control.'),
    key: z.string().optional().describe('`id` of the request.'),
    scene: z.string(),
    version: z.int().optional().describe('Of the scene; absent while it is preparing.'),
    state: z.enum(['preparing', ...runStates]),
    final: z.boolean(),
    cause: z.enum(runCauses),
    by: z.string(),
    approver: z.string().optional(),
    params: sceneValuesSchema,
    created: timeSchema,
    changed: timeSchema,
    schedule: z.string().optional(),
    trigger: z.string().optional(),
    alarm: z
      .object({ id: z.string(), device: z.string(), rule: z.string() })
      .optional()
      .describe('What has started the trigger.'),
    undoOf: z.string().optional(),
    code: z.string().optional().describe('Why it has failed before its first step.'),
    message: z.string().optional(),
    notDone: z
      .array(z.object({ step: z.string(), device: z.string(), state: z.enum(stepStates) }))
      .describe('Devices whose step is not done; of an active run also those that follow.'),
    steps: z.array(stepSchema),
    compensation: z.array(stepSchema).describe('What reverses the steps, in its order.'),
    notReversed: notReversedSchema,
  })
  .meta({ id: 'SceneRun' });

const planSchema = z.object({
  scene: z.string(),
  version: z.int(),
  params: sceneValuesSchema,
  needsConfirmation: z.boolean(),
  steps: z.array(
    z.object({
      step: z.string(),
      device: z.string().optional(),
      via: z.string().optional(),
      command: z.string().optional(),
      params: sceneValuesSchema.optional(),
      waitMs: z.number().optional(),
    }),
  ),
});

const tags = ['Scenes'];
const byId = z.object({ id: idSchema });
const byRun = z.object({ id: z.string().min(1).max(64).describe('`id` of the answer, or that of the own request.') });
const leaseSchema = z.int().min(0).default(0).describe('Fencing token of the lease that the sender holds; 0: none.');
const engineer = 'With the role engineer.';

/** Adds `/v1/scenes` and `/v1/scene-runs`. */
export function registerSceneRoutes(api: Api, scenes: Scenes): void {
  registerScenes(api, scenes);
  registerRuns(api, scenes);
}

function registerScenes(api: Api, scenes: Scenes): void {
  api.get(
    '/v1/scenes',
    {
      schema: {
        tags,
        summary: 'List scenes',
        response: { 200: z.object({ scenes: z.array(sceneBodySchema) }), ...errorResponses },
      },
    },
    async (request) => ({ scenes: (await scenes.list(request.requester)).map(sceneBodyOf) }),
  );
  api.get(
    '/v1/scenes/:id',
    { schema: { tags, summary: 'A scene', params: byId, response: { 200: sceneBodySchema, ...errorResponses } } },
    async (request) => sceneBodyOf(await scenes.scene(request.requester, request.params.id)),
  );
  api.put(
    '/v1/scenes/:id',
    {
      schema: {
        tags,
        summary: 'Create or change a scene',
        description: `Active runs are not changed. ${engineer}`,
        params: byId,
        body: sceneSchema.extend({
          version: z.int().min(0).optional().describe('The version that the change is based on, 0 for a new scene.'),
        }),
        response: { 200: sceneBodySchema, ...errorResponses },
      },
    },
    async (request) => {
      const { version, ...fields } = request.body;
      return sceneBodyOf(await scenes.store(request.requester, request.params.id, fields, version));
    },
  );
  api.delete(
    '/v1/scenes/:id',
    {
      schema: {
        tags,
        summary: 'Delete a scene',
        description: engineer,
        params: byId,
        response: { 204: z.null(), ...errorResponses },
      },
    },
    async (request, reply) => {
      await scenes.delete(request.requester, request.params.id);
      return reply.code(204).send(null);
    },
  );
  api.post(
    '/v1/scenes/:id/plan',
    {
      schema: {
        tags,
        summary: 'Dry run: what a run would do',
        params: byId,
        body: z.strictObject({ params: sceneValuesSchema.default({}) }),
        response: { 200: planSchema, ...errorResponses },
      },
    },
    async (request) => planBodyOf(await scenes.plan(request.requester, request.params.id, request.body.params)),
  );
  api.post(
    '/v1/scenes/:id/run',
    {
      schema: {
        tags,
        summary: 'Run a scene',
        description:
          'With the right to command all of its devices. 202: it is durable. Its progress: GET /v1/scene-runs/{id}.',
        params: byId,
        body: z.strictObject({
          id: z
            .string()
            .regex(/^[\x21-\x7e]{1,64}$/)
            .optional()
            .describe('Chosen by the sender: a repeated request with the same ID is the same run.'),
          params: sceneValuesSchema.default({}),
          lease: leaseSchema,
        }),
        response: { 202: runSchema, ...errorResponses },
      },
    },
    async (request, reply) => {
      const { id: key, params, lease } = request.body;
      const run = await scenes.run(request.requester, { scene: request.params.id, params, lease, key });
      return reply.code(202).send(runBodyOf(run));
    },
  );
}

function registerRuns(api: Api, scenes: Scenes): void {
  api.get(
    '/v1/scene-runs',
    {
      schema: {
        tags,
        summary: 'List runs, the newest first',
        querystring: z.strictObject({
          scene: idSchema.optional(),
          schedule: idSchema.optional(),
          active: z.enum(['true', 'false']).optional(),
          limit: limitSchema,
          before: cursorSchema.optional(),
        }),
        response: { 200: z.object({ runs: z.array(runSchema), next: z.string().optional() }), ...errorResponses },
      },
    },
    async (request) => {
      const { scene, schedule, active, limit, before } = request.query;
      const isActive = active === undefined ? undefined : active === 'true';
      const filter = { scene, schedule, isActive, limit, before: cursor.from(before) };
      const page = await scenes.runs(request.requester, filter);
      const last = page.length === limit ? page.at(-1) : undefined;
      return { runs: page.map(runBodyOf), ...(last && { next: cursor.of(last.position) }) };
    },
  );
  api.get(
    '/v1/scene-runs/:id',
    {
      schema: { tags, summary: 'A run with its steps', params: byRun, response: { 200: runSchema, ...errorResponses } },
    },
    async (request) => runBodyOf(await scenes.findRun(request.requester, request.params.id)),
  );
  const decisions = [
    ['cancel', 'Cancel a run', 'No further step starts. What was sent to a device is not revoked.'],
    ['confirm', 'Confirm a run as the second person', 'With the role supervisor, and not as its sender.'],
  ] as const;
  for (const [decision, summary, description] of decisions)
    api.post(
      `/v1/scene-runs/:id/${decision}`,
      { schema: { tags, summary, description, params: byRun, response: { 200: runSchema, ...errorResponses } } },
      async (request) => runBodyOf(await scenes.decide(request.requester, request.params.id, decision)),
    );
  api.post(
    '/v1/scene-runs/:id/undo',
    {
      schema: {
        tags,
        summary: 'Undo a run',
        description:
          'Starts a run that restores the values from before. What was unavailable then is named, and not restored.',
        params: byRun,
        body: z.strictObject({ lease: leaseSchema }),
        response: { 202: z.object({ run: runSchema, notReversed: notReversedSchema }), ...errorResponses },
      },
    },
    async (request, reply) => {
      const { run, notReversed } = await scenes.undo(request.requester, request.params.id, request.body.lease);
      return reply.code(202).send({ run: runBodyOf(run), notReversed: notReversed.slice() });
    },
  );
}

function sceneBodyOf({ tenant, changedMs, ...scene }: StoredScene): z.output<typeof sceneBodySchema> {
  return { ...scene, changed: changedMs };
}

function planBodyOf({ scene, version, values, needsConfirmation, steps }: ScenePlan): z.output<typeof planSchema> {
  return {
    ...{ scene, version, params: { ...values }, needsConfirmation },
    steps: steps.map((step) =>
      step.kind === 'wait'
        ? { step: step.key, waitMs: step.ms }
        : {
            ...{ step: step.key, device: step.device, command: step.command, params: { ...step.params } },
            ...(step.via === '' ? {} : { via: step.via }),
          },
    ),
  };
}

/** Returns a run as the API has it. */
function runBodyOf(stored: StoredRun): z.output<typeof runSchema> {
  const { id, scene, state, cause, requester, approver, params, createdMs, changedMs, plan, progress } = stored;
  const { schedule, trigger, alarm, undoOf, key, code, message } = stored;
  const run = sceneRunOf(stored);
  const isFinal =
    state === 'failed' || (state !== 'preparing' && !['confirming', 'running', 'compensating'].includes(state));
  return {
    ...{ id, scene, state, final: isFinal, cause, by: requester.subject, params: { ...params } },
    ...{ created: createdMs, changed: changedMs },
    ...(key?.startsWith(keyPrefixOf(requester)) ? { key: key.slice(keyPrefixOf(requester).length) } : {}),
    ...(plan === null ? {} : { version: plan.version }),
    ...(approver === null ? {} : { approver: approver.subject }),
    ...(schedule === null ? {} : { schedule }),
    ...(trigger === null ? {} : { trigger }),
    ...(alarm === null ? {} : { alarm: { ...alarm } }),
    ...(undoOf === null ? {} : { undoOf }),
    ...(code === '' ? {} : { code }),
    ...(message === '' ? {} : { message }),
    notDone: run === undefined ? [] : notDone(run).map(({ step, device, state }) => ({ step, device, state })),
    steps: (plan?.steps ?? []).map((step, n) => ({
      step: step.key,
      ...(step.kind === 'wait' ? {} : { device: step.device, command: step.command, params: { ...step.params } }),
      ...stateOf(progress?.steps[n]),
    })),
    compensation: (progress?.compensation ?? []).map(({ key, device, command, params, ...step }) => ({
      ...{ step: key, device, command, params: { ...params } },
      ...stateOf(step),
    })),
    notReversed: (progress?.notReversed ?? []).slice(),
  };
}

type Progress = NonNullable<StoredRun['progress']>['steps'][number];

function stateOf({ state, code, message }: Progress = { state: 'waiting' }) {
  return { state, ...(code === undefined ? {} : { code }), ...(message === undefined ? {} : { message }) };
}
