import { z } from 'zod';
import type { Api } from '../http/api.ts';
import { errorResponses } from '../http/query.ts';
import { idSchema } from '../registry/fields.ts';
import { scheduleSchema } from './schedule.ts';
import type { StoredSchedule } from './schedule-store.ts';
import type { Schedules } from './schedules.ts';

const timeSchema = z.number().describe('Epoch ms.');

const scheduleBodySchema = scheduleSchema
  .extend({
    id: idSchema,
    version: z.int(),
    changedBy: z.string().describe('Its runs have the rights of this subject.'),
    changed: timeSchema,
    pauseReason: z
      .string()
      .optional()
      .describe('Why control has paused it: the token of `changedBy` was revoked. Store it again.'),
    next: z.array(timeSchema).describe('When the next runs start, at most five; empty if it is paused.'),
    queued: timeSchema.optional().describe('Time of a run that waits for the one before.'),
    skipped: z
      .array(z.object({ first: timeSchema, last: timeSchema, reason: z.enum(['late', 'overlap']) }))
      .describe('The last runs that were not started.'),
  })
  .meta({ id: 'Schedule' });

const tags = ['Schedules'];
const byId = z.object({ id: idSchema });
const engineer = 'With the role engineer.';

/** Adds `/v1/schedules`. */
export function registerScheduleRoutes(api: Api, schedules: Schedules): void {
  const bodyOf = (schedule: StoredSchedule) => scheduleBodyOf(schedule, schedules);
  api.get(
    '/v1/schedules',
    {
      schema: {
        tags,
        summary: 'List schedules',
        response: { 200: z.object({ schedules: z.array(scheduleBodySchema) }), ...errorResponses },
      },
    },
    async (request) => ({ schedules: (await schedules.list(request.requester)).map(bodyOf) }),
  );
  api.post(
    '/v1/schedules/next',
    {
      schema: {
        tags,
        summary: 'The next times of an expression, before it is stored',
        body: scheduleSchema.pick({ cron: true, timeZone: true }),
        response: { 200: z.object({ next: z.array(timeSchema) }), ...errorResponses },
      },
    },
    async (request) => ({
      next: schedules.nextRuns({ ...request.body, jitterMs: 0 }, '').map(({ timeMs }) => timeMs),
    }),
  );
  api.get(
    '/v1/schedules/:id',
    {
      schema: {
        tags,
        summary: 'A schedule with its next runs',
        params: byId,
        response: { 200: scheduleBodySchema, ...errorResponses },
      },
    },
    async (request) => bodyOf(await schedules.schedule(request.requester, request.params.id)),
  );
  api.put(
    '/v1/schedules/:id',
    {
      schema: {
        tags,
        summary: 'Create or change a schedule',
        description: `Its runs have the rights of the sender from then on. ${engineer}`,
        params: byId,
        body: scheduleSchema.extend({
          version: z.int().min(0).optional().describe('The version that the change is based on, 0 for a new schedule.'),
        }),
        response: { 200: scheduleBodySchema, ...errorResponses },
      },
    },
    async (request) => {
      const { version, ...fields } = request.body;
      return bodyOf(await schedules.store(request.requester, request.params.id, fields, version));
    },
  );
  api.delete(
    '/v1/schedules/:id',
    {
      schema: {
        tags,
        summary: 'Delete a schedule',
        description: engineer,
        params: byId,
        response: { 204: z.null(), ...errorResponses },
      },
    },
    async (request, reply) => {
      await schedules.delete(request.requester, request.params.id);
      return reply.code(204).send(null);
    },
  );
  const pauses = [
    ['pause', true, 'Pause a schedule', 'Its active run continues.'],
    ['resume', false, 'Continue a paused schedule', 'Times of the pause are not caught up.'],
  ] as const;
  for (const [act, isPaused, summary, description] of pauses)
    api.post(
      `/v1/schedules/:id/${act}`,
      {
        schema: { tags, summary, description, params: byId, response: { 200: scheduleBodySchema, ...errorResponses } },
      },
      async (request) => bodyOf(await schedules.setPaused(request.requester, request.params.id, isPaused)),
    );
}

function scheduleBodyOf(schedule: StoredSchedule, schedules: Schedules): z.output<typeof scheduleBodySchema> {
  const { tenant, requester, changedMs, next, queuedMs, skipped, ...fields } = schedule;
  const runs = schedule.paused ? [] : schedules.nextRuns(schedule, schedule.id);
  return {
    ...fields,
    changed: changedMs,
    next: runs.map(({ dueMs }) => dueMs),
    ...(queuedMs === undefined ? {} : { queued: queuedMs }),
    skipped: skipped.map(({ firstMs, lastMs, reason }) => ({ first: firstMs, last: lastMs, reason })),
  };
}
