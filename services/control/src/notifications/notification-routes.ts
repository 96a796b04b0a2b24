import { z } from 'zod';
import type { Api } from '../http/api.ts';
import { errorResponses } from '../http/query.ts';
import type { NotificationAdmin, Stored } from './notification-admin.ts';
import { routeSchema } from './route.ts';
import { shownTarget, type TargetSettings, targetSchema } from './target.ts';
import { newWebhookSecret } from './webhook.ts';

const idSchema = z
  .string()
  .regex(
    /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/,
    'expected 1 to 64 letters, digits, ".", "_" and "-", the first a letter or digit',
  );
const byId = z.object({ id: idSchema });
const version = z.int().min(0).optional().describe('The version that the change is based on, 0 for a new one.');
const changed = {
  version: z.int(),
  changedBy: z.string(),
  changed: z.number().describe('Epoch ms.'),
};
const shownTargetSchema = z
  .looseObject({
    id: idSchema,
    ...changed,
    gone: z.string().optional().describe('Why nothing is sent until it is changed.'),
  })
  .meta({ id: 'NotificationTarget' });
const progressFields = {
  waiting: z.int().describe('Notifications that wait, also for the end of quiet hours.'),
  dead: z.int().describe('Dead letters.'),
  lastSent: z.number().optional().describe('Epoch ms.'),
  lastError: z.string().optional().describe('Of what waits after a failed attempt, else of the newest dead letter.'),
  nextAttempt: z.number().optional().describe('After a failed one, epoch ms.'),
};
const storedRouteSchema = routeSchema.extend({ id: idSchema, ...changed }).meta({ id: 'NotificationRoute' });
const deadLetterSchema = z.object({
  ...{ target: idSchema, transition: z.string(), attempts: z.int(), error: z.string() },
  given_up: z.number().describe('Epoch ms.'),
  notice: z.unknown().describe('The transition.'),
});
const tags = ['Notifications'];
const engineer = 'With the role engineer.';

/** Adds `/v1/notification-targets`, `/v1/notification-routes` and `/v1/notification-dead-letters`. */
export function registerNotificationRoutes(api: Api, admin: NotificationAdmin): void {
  registerTargets(api, admin);
  registerRoutes(api, admin);
  api.get(
    '/v1/notification-dead-letters',
    {
      schema: {
        ...{ tags, summary: 'Notifications that were given up, the newest 100' },
        querystring: z.strictObject({ target: idSchema.optional() }),
        response: { 200: z.object({ deadLetters: z.array(deadLetterSchema) }), ...errorResponses },
      },
    },
    async ({ requester, query }) => {
      const letters = await admin.deadLetters(requester, query.target ?? '');
      return {
        deadLetters: letters.map(({ target, transition, attempts, error, notice, finishedMs }) => ({
          ...{ target, transition, attempts, error, notice, given_up: finishedMs },
        })),
      };
    },
  );
}

function registerTargets(api: Api, admin: NotificationAdmin): void {
  api.get(
    '/v1/notification-targets',
    {
      schema: {
        ...{ tags, summary: 'List where notifications go, without secrets' },
        response: { 200: z.object({ targets: z.array(shownTargetSchema) }), ...errorResponses },
      },
    },
    async ({ requester }) => ({ targets: (await admin.targets(requester)).map(targetBodyOf) }),
  );
  api.get(
    '/v1/notification-targets/:id',
    {
      schema: {
        ...{ tags, summary: 'A target, with what waits for it and its last error', params: byId },
        response: { 200: shownTargetSchema.extend(progressFields), ...errorResponses },
      },
    },
    async ({ requester, params }) => {
      const { progress, ...stored } = await admin.target(requester, params.id);
      const { waiting, dead, lastSentMs, lastError, retryMs } = progress;
      return {
        ...targetBodyOf(stored),
        ...{ waiting, dead, ...(lastSentMs === null ? {} : { lastSent: lastSentMs }) },
        ...(lastError === null ? {} : { lastError }),
        ...(waiting === 0 || retryMs === 0 ? {} : { nextAttempt: retryMs }),
      };
    },
  );
  api.put(
    '/v1/notification-targets/:id',
    {
      schema: {
        ...{ tags, summary: 'Create or change a target', description: engineer, params: byId },
        body: z.strictObject({ version, target: targetSchema }),
        response: { 200: shownTargetSchema, ...errorResponses },
      },
    },
    async ({ requester, params, body }) =>
      targetBodyOf(await admin.putTarget(requester, { ...body.target, id: params.id }, body.version)),
  );
  api.post(
    '/v1/notification-targets/secret',
    {
      schema: {
        ...{ tags, summary: 'A new secret for a webhook', description: 'It is not stored.' },
        response: { 200: z.object({ secret: z.string() }), ...errorResponses },
      },
    },
    async () => ({ secret: newWebhookSecret() }),
  );
  api.post(
    '/v1/notification-targets/:id/retry',
    {
      schema: {
        ...{ tags, summary: 'Send what was given up again', description: engineer, params: byId },
        response: { 200: z.object({ notifications: z.int() }), ...errorResponses },
      },
    },
    async ({ requester, params }) => ({ notifications: await admin.retry(requester, params.id) }),
  );
  api.delete(
    '/v1/notification-targets/:id',
    {
      schema: {
        ...{ tags, summary: 'Delete a target, and what waits for it', description: engineer, params: byId },
        response: { 204: z.null(), ...errorResponses },
      },
    },
    async ({ requester, params }, reply) => {
      await admin.deleteTarget(requester, params.id);
      return reply.code(204).send(null);
    },
  );
}

function registerRoutes(api: Api, admin: NotificationAdmin): void {
  api.get(
    '/v1/notification-routes',
    {
      schema: {
        ...{ tags, summary: 'List which alarms go to which target' },
        response: { 200: z.object({ routes: z.array(storedRouteSchema) }), ...errorResponses },
      },
    },
    async ({ requester }) => ({ routes: (await admin.routes(requester)).map(bodyOf) }),
  );
  api.get(
    '/v1/notification-routes/:id',
    {
      schema: {
        ...{ tags, summary: 'A route', params: byId },
        response: { 200: storedRouteSchema, ...errorResponses },
      },
    },
    async ({ requester, params }) => bodyOf(await admin.route(requester, params.id)),
  );
  api.put(
    '/v1/notification-routes/:id',
    {
      schema: {
        ...{ tags, summary: 'Create or change a route', description: engineer, params: byId },
        body: routeSchema.extend({ version }),
        response: { 200: storedRouteSchema, ...errorResponses },
      },
    },
    async ({ requester, params, body }) => {
      const { version: basedOn, ...route } = body;
      return bodyOf(await admin.putRoute(requester, { ...route, id: params.id }, basedOn));
    },
  );
  api.delete(
    '/v1/notification-routes/:id',
    {
      schema: {
        ...{ tags, summary: 'Delete a route', description: engineer, params: byId },
        response: { 204: z.null(), ...errorResponses },
      },
    },
    async ({ requester, params }, reply) => {
      await admin.deleteRoute(requester, params.id);
      return reply.code(204).send(null);
    },
  );
}

function bodyOf<S extends object>({ id, version: current, settings, changedBy, changedMs, gone }: Stored<S>) {
  return { ...settings, id, version: current, changedBy, changed: changedMs, ...(gone === undefined ? {} : { gone }) };
}

function targetBodyOf(stored: Stored<TargetSettings>) {
  return bodyOf({ ...stored, settings: shownTarget(stored.settings) });
}
