import { ruleId, ruleSchema } from '@tailrace/rules/rule';
import { z } from 'zod';
import type { Api } from '../http/api.ts';
import { deviceSchema, errorResponses, limitSchema } from '../http/query.ts';
import type { RuleService } from './rule-service.ts';

/** A rule is validated by its own schema, whose errors name the place, also within an expression. */
const ruleBody = z.looseObject({}).describe('A rule; see docs/CONTROL.md.');
/** In the OpenAPI document it has the fields of that schema, without those that control sets. */
const ruleRequest = z.looseObject({}).meta(documented(z.toJSONSchema(ruleSchema, { io: 'input' })));

function documented({
  type,
  properties = {},
  additionalProperties,
}: z.core.JSONSchema.BaseSchema): Record<string, unknown> {
  const { id, version, author, ...fields } = properties;
  return {
    ...{ type, properties: fields, required: ['devices', 'condition'], additionalProperties },
    description: 'A rule; see docs/CONTROL.md. Its ID is in the path; control sets version and author.',
  };
}
const versionSchema = z.coerce
  .number()
  .int()
  .min(0)
  .optional()
  .describe('The version that was edited; 0 or none: a new rule. Another one is refused with 409.');
const forceSchema = z
  .stringbool()
  .default(false)
  .describe(
    'Stores a rule ahead of its devices and tags. Default: it is refused if it matches no device of the registry, or if the devices do not report its tags.',
  );

const tags = ['Rules'];
const byId = z.object({ id: ruleId });

/** Adds `/v1/rules`. */
export function registerRuleRoutes(api: Api, rules: RuleService): void {
  api.get(
    '/v1/rules',
    {
      schema: {
        tags,
        summary: 'List the rules, by ID',
        querystring: z.strictObject({
          device: deviceSchema.optional().describe('Only rules that match this device.'),
          limit: limitSchema,
          after: ruleId.optional().describe('From `next` of the page before.'),
        }),
        response: { 200: z.object({ rules: z.array(ruleBody), next: z.string().optional() }), ...errorResponses },
      },
    },
    async (request) => {
      const { device, limit, after = '' } = request.query;
      const page = await rules.list(request.requester, after, limit, device);
      const last = page.length === limit ? page.at(-1) : undefined;
      return { rules: page.map((rule) => ({ ...rule })), ...(last && { next: last.id }) };
    },
  );
  api.get(
    '/v1/rules/:id',
    { schema: { tags, summary: 'A rule', params: byId, response: { 200: ruleBody, ...errorResponses } } },
    async (request) => ({ ...(await rules.find(request.requester, request.params.id)) }),
  );
  api.get(
    '/v1/rules/:id/versions',
    {
      schema: {
        tags,
        summary: 'The last 100 versions of a rule, the newest first',
        params: byId,
        response: {
          200: z.object({
            versions: z.array(
              z.object({
                version: z.int(),
                author: z.string(),
                time: z.number().describe('Epoch ms.'),
                rule: ruleBody.optional().describe('Absent: this version has deleted the rule.'),
              }),
            ),
          }),
          ...errorResponses,
        },
      },
    },
    async (request) => {
      const versions = await rules.versions(request.requester, request.params.id);
      return {
        versions: versions.map(({ version, author, time, rule }) => ({
          ...{ version, author, time, ...(rule && { rule: { ...rule } }) },
        })),
      };
    },
  );
  api.put(
    '/v1/rules/:id',
    {
      schema: {
        tags,
        summary: 'Create a rule, or change it',
        params: byId,
        querystring: z.strictObject({ version: versionSchema, force: forceSchema }),
        body: ruleRequest,
        response: { 200: ruleBody, ...errorResponses },
      },
    },
    async (request) => ({
      ...(await rules.put(
        request.requester,
        request.params.id,
        request.body,
        request.query.version,
        request.query.force,
      )),
    }),
  );
  api.delete(
    '/v1/rules/:id',
    {
      schema: {
        tags,
        summary: 'Delete a rule',
        params: byId,
        querystring: z.strictObject({ version: versionSchema }),
        response: { 204: z.undefined().describe('It is deleted.'), ...errorResponses },
      },
    },
    async (request, reply) => {
      await rules.remove(request.requester, request.params.id, request.query.version);
      return reply.code(204).send(undefined);
    },
  );
}
