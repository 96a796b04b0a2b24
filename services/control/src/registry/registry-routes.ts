import { TailraceError } from '@tailrace/protocol/error';
import { z } from 'zod';
import type { Api } from '../http/api.ts';
import { errorSchema } from '../http/api-error.ts';
import { errorResponses } from '../http/query.ts';
import {
  deviceFieldsSchema,
  devicePatchSchema,
  deviceSearchSchema,
  deviceSources,
  groupSchema,
  type RegistryDevice,
} from './device.ts';
import { csvLimits } from './device-csv.ts';
import type { Group } from './device-store.ts';
import { devicePathSchema, idSchema } from './fields.ts';
import type { Registry } from './registry.ts';

const timeSchema = z.number().describe('Epoch ms.');

const deviceSchema = deviceFieldsSchema
  .extend({
    device: z.string().describe('Its path.'),
    id: z.string().describe('Stays when the device is renamed.'),
    state: z.enum(['active', 'decommissioned']),
    source: z.enum(deviceSources).describe('What has created it.'),
    version: z.int(),
    created: timeSchema,
    firstReport: timeSchema.optional(),
    lastReport: timeSchema.optional().describe('Up to ten minutes old. GET /v1/devices of fanout has the present one.'),
    formerPaths: z.array(z.object({ device: z.string(), from: timeSchema, until: timeSchema })),
  })
  .meta({ id: 'RegistryDevice' });

const groupBodySchema = groupSchema.extend({ id: idSchema, version: z.int() }).meta({ id: 'DeviceGroup' });

const importSchema = z.object({
  dryRun: z.boolean(),
  lines: z.int(),
  changes: z.object({ create: z.int(), update: z.int(), unchanged: z.int() }).describe('Devices.'),
  errorCount: z.int().describe('If it is not 0, nothing is imported.'),
  errors: z.array(z.object({ line: z.int(), column: z.string(), message: z.string() })).describe('The first ones.'),
});

const tags = ['Registry'];
const byPath = z.object({ device: devicePathSchema });
const byId = z.object({ id: idSchema });
const engineer = 'With the role engineer.';

/** Adds `/v1/registry`. */
export function registerRegistryRoutes(api: Api, registry: Registry): void {
  registerDeviceRoutes(api, registry);
  registerGroupRoutes(api, registry);
  registerImportRoute(api, registry);
}

function registerDeviceRoutes(api: Api, registry: Registry): void {
  const path = '/v1/registry/devices';
  api.get(
    path,
    {
      schema: {
        tags,
        summary: 'Search devices',
        querystring: deviceSearchSchema,
        response: { 200: z.object({ devices: z.array(deviceSchema), next: z.string().optional() }), ...errorResponses },
      },
    },
    async (request) => {
      const { devices, next } = await registry.search(request.requester, request.query);
      return { devices: devices.map(bodyOf), ...(next === undefined ? {} : { next }) };
    },
  );
  api.post(
    path,
    {
      schema: {
        tags,
        summary: 'Create a device',
        description: `A device that reports is created by itself. ${engineer}`,
        body: deviceFieldsSchema.extend({ device: devicePathSchema }),
        response: { 201: deviceSchema, ...errorResponses },
      },
    },
    async (request, reply) => {
      const { device, ...fields } = request.body;
      return reply.code(201).send(bodyOf(await registry.create(request.requester, device, fields)));
    },
  );
  api.get(
    `${path}/:device`,
    {
      schema: {
        tags,
        summary: 'A device, by its path or a former one',
        params: byPath,
        response: { 200: deviceSchema, ...errorResponses },
      },
    },
    async (request) => bodyOf(await registry.device(request.requester, request.params.device)),
  );
  api.patch(
    `${path}/:device`,
    {
      schema: {
        tags,
        summary: 'Change what is known of a device',
        description: `A JSON Merge Patch: null removes a label or a tag. ${engineer}`,
        params: byPath,
        body: devicePatchSchema,
        response: { 200: deviceSchema, ...errorResponses },
      },
    },
    async (request) => bodyOf(await registry.change(request.requester, request.params.device, request.body)),
  );
  api.post(
    `${path}/:device/rename`,
    {
      schema: {
        tags,
        summary: 'Rename a device',
        description: `Its former path stays known. Rules, groups and scenes that name it are not changed. ${engineer}`,
        params: byPath,
        body: z.strictObject({ to: devicePathSchema }),
        response: { 200: deviceSchema, ...errorResponses },
      },
    },
    async (request) => bodyOf(await registry.rename(request.requester, request.params.device, request.body.to)),
  );
  const states = [
    ['decommission', 'decommissioned', 'Decommission a device'],
    ['recommission', 'active', 'Put a decommissioned device back'],
  ] as const;
  for (const [act, state, summary] of states)
    api.post(
      `${path}/:device/${act}`,
      {
        schema: {
          tags,
          summary,
          description: engineer,
          params: byPath,
          response: { 200: deviceSchema, ...errorResponses },
        },
      },
      async (request) => bodyOf(await registry.setState(request.requester, request.params.device, state)),
    );
}

function registerGroupRoutes(api: Api, registry: Registry): void {
  const path = '/v1/registry/groups';
  api.get(
    path,
    {
      schema: {
        tags,
        summary: 'List groups',
        response: { 200: z.object({ groups: z.array(groupBodySchema) }), ...errorResponses },
      },
    },
    async (request) => ({ groups: (await registry.groups(request.requester)).map(groupBodyOf) }),
  );
  api.get(
    `${path}/:id`,
    { schema: { tags, summary: 'A group', params: byId, response: { 200: groupBodySchema, ...errorResponses } } },
    async (request) => groupBodyOf(await registry.group(request.requester, request.params.id)),
  );
  api.put(
    `${path}/:id`,
    {
      schema: {
        tags,
        summary: 'Create or change a group',
        description: `All devices that match it, now or later. ${engineer}`,
        params: byId,
        body: groupSchema.extend({
          version: z.int().min(0).optional().describe('The version that the change is based on, 0 for a new group.'),
        }),
        response: { 200: groupBodySchema, ...errorResponses },
      },
    },
    async (request) => {
      const { version, ...fields } = request.body;
      return groupBodyOf(await registry.storeGroup(request.requester, request.params.id, fields, version));
    },
  );
  api.delete(
    `${path}/:id`,
    {
      schema: {
        tags,
        summary: 'Delete a group',
        description: engineer,
        params: byId,
        response: { 204: z.null(), ...errorResponses },
      },
    },
    async (request, reply) => {
      await registry.deleteGroup(request.requester, request.params.id);
      return reply.code(204).send(null);
    },
  );
}

function registerImportRoute(api: Api, registry: Registry): void {
  // A scope of its own: only this route takes CSV.
  void api.register(async (scope) => {
    const { bytesMax } = csvLimits;
    const options = { parseAs: 'buffer', bodyLimit: bytesMax } as const;
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser('text/csv', options, (_request, body, done) => done(null, body));
    (scope as Api).post(
      '/v1/registry/import',
      {
        bodyLimit: bytesMax,
        schema: {
          tags,
          summary: 'Import devices from CSV',
          description:
            'Content-Type text/csv. Columns: path, name, kind, place, gateway, note, label.<key>, tag, unit, type, min, max, ' +
            `writable, description. One line for each device or tag. All or nothing. An empty cell changes nothing. ${engineer}`,
          consumes: ['text/csv'],
          querystring: z.strictObject({ dryRun: z.enum(['true', 'false']).default('false') }),
          response: { ...errorResponses, 200: importSchema, 422: z.union([importSchema, errorSchema]) },
        },
      },
      async (request, reply) => {
        if (!Buffer.isBuffer(request.body)) throw new TailraceError('invalid_message', 'body: expected CSV, got none');
        const report = await registry.import(request.requester, request.body, request.query.dryRun === 'true');
        return reply.code(report.errorCount > 0 ? 422 : 200).send({ ...report, errors: report.errors.slice() });
      },
    );
  });
}

/** Returns a group as the API has it: without its tenant. */
function groupBodyOf({ tenant, ...group }: Group): z.output<typeof groupBodySchema> {
  return group;
}

/** Returns a device as the API has it. */
function bodyOf(device: RegistryDevice): z.output<typeof deviceSchema> {
  const { id, path, name, kind, place, gateway, note, labels, tags, state, source, version, createdMs } = device;
  const { firstReportMs, lastReportMs, formerPaths } = device;
  return {
    ...{ id, device: path, name, kind, place, gateway, note, labels, tags, state, source, version, created: createdMs },
    ...(firstReportMs === undefined ? {} : { firstReport: firstReportMs }),
    ...(lastReportMs === undefined ? {} : { lastReport: lastReportMs }),
    formerPaths: formerPaths.map((former) => ({ device: former.path, from: former.fromMs, until: former.untilMs })),
  };
}
