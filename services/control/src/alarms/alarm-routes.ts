import { ruleId } from '@tailrace/rules/rule';
import { z } from 'zod';
import type { ControlContext } from '../control-context.ts';
import type { Api } from '../http/api.ts';
import { deviceSchema, errorResponses } from '../http/query.ts';
import { acceptAlarmAction, alarmActionKinds } from './alarm-actions.ts';

/** Adds `/v1/alarm-actions`. */
export function registerAlarmActionRoutes(api: Api, context: ControlContext): void {
  api.post(
    '/v1/alarm-actions',
    {
      schema: {
        tags: ['Alarms'],
        summary: 'Acknowledge, shelve or reset an alarm',
        description:
          '202: it is durable. Alarms answers by a transition with the ID as its action, or refuses it, to all watchers of the device.',
        body: z.strictObject({
          device: deviceSchema,
          rule: ruleId,
          alarm: z.string().max(128).default('').describe('The activation that the person has seen; empty: any.'),
          number: z.int().min(0).default(0).describe('The last transition that the person has seen; 0: any.'),
          kind: z.enum(alarmActionKinds),
          note: z.string().max(2_000).default('').describe('Of a shelf, its reason.'),
          forMs: z.number().min(0).default(0).describe('Of a shelf: how long.'),
        }),
        response: { 202: z.object({ action: z.string().describe('Its ID.') }), ...errorResponses },
      },
    },
    async (request, reply) => {
      const action = await acceptAlarmAction(context, request.requester, request.body);
      return reply.code(202).send({ action });
    },
  );
}
