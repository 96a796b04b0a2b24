import { z } from 'zod';
import type { Api } from '../http/api.ts';
import { errorResponses } from '../http/query.ts';
import { idSchema } from '../registry/fields.ts';
import { skipReasons, triggerSchema } from './trigger.ts';
import type { StoredTrigger } from './trigger-store.ts';
import type { Triggers } from './triggers.ts';

const timeSchema = z.number().describe('Epoch ms.');

const triggerBodySchema = triggerSchema
  .extend({
    id: idSchema,
    version: z.int(),
    changedBy: z.string().describe('Its runs have the rights of this subject.'),
    changed: timeSchema.describe('Epoch ms. Alarms from before start no run.'),
    pauseReason: z
      .string()
      .optional()
      .describe('Why control has paused it: the token of `changedBy` was revoked. Store it again.'),
    started: timeSchema.optional().describe('Epoch ms: when its last run was started.'),
    skipped: z
      .array(z.object({ reason: z.enum(skipReasons), count: z.int(), first: timeSchema, last: timeSchema }))
      .describe('The last alarms that started no run.'),
  })
  .meta({ id: 'Trigger' });

const tags = ['Triggers'];
const path = '/v1/triggers';
const byId = z.object({ id: idSchema });
const engineer = 'With the role engineer.';

/** Adds `/v1/triggers`. */
export function registerTriggerRoutes(api: Api, triggers: Triggers): void {
  api.get(
    path,
    {
      schema: {
        tags,
        summary: 'List triggers',
        response: { 200: z.object({ triggers: z.array(triggerBodySchema) }), ...errorResponses },
      },
    },
    async (request) => ({ triggers: (await triggers.list(request.requester)).map(bodyOf) }),
  );
  api.get(
    `${path}/:id`,
    { schema: { tags, summary: 'A trigger', params: byId, response: { 200: triggerBodySchema, ...errorResponses } } },
    async (request) => bodyOf(await triggers.trigger(request.requester, request.params.id)),
  );
  api.put(
    `${path}/:id`,
    {
      schema: {
        tags,
        summary: 'Create or change a trigger, which runs a scene when an alarm is raised',
        description: `Its runs have the rights of the sender from then on. ${engineer}`,
        params: byId,
        body: triggerSchema.extend({
          version: z.int().min(0).optional().describe('The version that the change is based on, 0 for a new trigger.'),
        }),
        response: { 200: triggerBodySchema, ...errorResponses },
      },
    },
    async (request) => {
      const { version, ...fields } = request.body;
      return bodyOf(await triggers.store(request.requester, request.params.id, fields, version));
    },
  );
  api.delete(
    `${path}/:id`,
    {
      schema: {
        tags,
        summary: 'Delete a trigger',
        description: engineer,
        params: byId,
        response: { 204: z.null(), ...errorResponses },
      },
    },
    async (request, reply) => {
      await triggers.delete(request.requester, request.params.id);
      return reply.code(204).send(null);
    },
  );
}

function bodyOf(trigger: StoredTrigger): z.output<typeof triggerBodySchema> {
  const { id, version, fields, changedBy, changedMs, startedMs, skipped } = trigger;
  return {
    ...{ ...fields, id, version, changedBy, changed: changedMs },
    ...(startedMs === null ? {} : { started: startedMs }),
    skipped: skipped.map(({ reason, count, firstMs, lastMs }) => ({ reason, count, first: firstMs, last: lastMs })),
  };
}
