import { z } from 'zod';
import type { Api } from '../http/api.ts';
import { cursor, cursorSchema, errorResponses, limitSchema } from '../http/query.ts';
import { fleetDeviceStates, fleetStates, rateOf } from './fleet-command.ts';
import { fleetRequestSchema } from './fleet-request.ts';
import type { FleetDecision, FleetPlan, FleetProgress, FleetService } from './fleet-service.ts';
import type { FleetWatch } from './fleet-watch.ts';

const timeSchema = z.number().describe('Epoch ms.');
const countsSchema = z.partialRecord(z.enum(fleetDeviceStates), z.int());

const fleetSchema = z
  .object({
    id: z.string().describe('Chosen by control.'),
    key: z.string().describe('`id` of the request.'),
    sender: z.string(),
    approver: z.string().optional(),
    scope: z.string().describe('The smallest path or pattern that covers its devices.'),
    name: z.string(),
    params: z.record(z.string(), z.union([z.number(), z.boolean(), z.string()])),
    state: z.enum(fleetStates),
    final: z.boolean().describe('No device changes any more.'),
    number: z.int().describe('Of the last transition, from 1.'),
    message: z.string().optional().describe('Why it has stopped.'),
    devices: z.int(),
    counts: countsSchema.describe('Devices by state.'),
    failed: z.int().describe('Devices whose command has failed, has expired, or is unconfirmed, all of them final.'),
    finished: z.int().describe('Devices whose command is final, or was refused.'),
    perMinute: z.number().describe('The present rate.'),
    created: timeSchema,
    changed: timeSchema,
  })
  .meta({ id: 'FleetCommand' });

const planSchema = z
  .object({
    dryRun: z.literal(true),
    count: z.int(),
    devices: z.array(z.string()).describe('The first 100, in their order.'),
    scope: z.string(),
    needsConfirmation: z.boolean(),
  })
  .meta({ id: 'FleetCommandPlan' });

const deviceSchema = z.object({
  place: z.int().describe('In the order of the devices, from 1.'),
  device: z.string(),
  via: z.string().optional(),
  state: z.enum(fleetDeviceStates),
  final: z.boolean(),
  command: z.string().optional().describe('ID of its command.'),
  code: z.string().optional(),
  message: z.string().optional(),
  changed: timeSchema,
});

const tags = ['Fleet commands'];
const byId = z.object({ id: z.string().min(1).max(64).describe('`id` of the answer, or that of the own request.') });
/** Devices that a dry run names. */
const namedMax = 100;

/** Adds `/v1/fleet-commands`. */
export function registerFleetRoutes(api: Api, fleets: FleetService, watch: FleetWatch): void {
  registerStart(api, fleets);
  registerQueries(api, fleets, watch);
  const decided: readonly (readonly [FleetDecision, string, string])[] = [
    ['pause', 'Pause a fleet command', 'No further device gets its command. With the role engineer or supervisor.'],
    ['resume', 'Resume a fleet command', 'With the role engineer.'],
    [
      'cancel',
      'Cancel a fleet command',
      'Devices that wait are skipped, and commands that were not sent are canceled. With the role engineer or supervisor.',
    ],
    [
      'confirm',
      'Confirm a fleet command of marked commands as the second person',
      'Once for all devices. With the role supervisor, and not as its sender.',
    ],
  ];
  for (const [decision, summary, description] of decided)
    api.post(
      `/v1/fleet-commands/:id/${decision}`,
      { schema: { tags, summary, description, params: byId, response: { 200: fleetSchema, ...errorResponses } } },
      async (request) => fleetBodyOf(await fleets.decide(request.requester, request.params.id, decision)),
    );
}

function registerStart(api: Api, fleets: FleetService): void {
  api.post(
    '/v1/fleet-commands',
    {
      schema: {
        tags,
        summary: 'Send a command to many devices, at a rate',
        description:
          'With the role engineer, and the right to command all of the devices. 202: it is durable. 200: of a dry run.',
        body: fleetRequestSchema,
        response: { 200: planSchema, 202: fleetSchema, ...errorResponses },
      },
    },
    async (request, reply) => {
      const { body, requester } = request;
      if (body.dryRun) return reply.code(200).send(planBodyOf(await fleets.plan(requester, body)));
      return reply.code(202).send(fleetBodyOf(await fleets.start(requester, body)));
    },
  );
}

function registerQueries(api: Api, fleets: FleetService, watch: FleetWatch): void {
  api.get(
    '/v1/fleet-commands',
    {
      schema: {
        tags,
        summary: 'List fleet commands, the newest first',
        querystring: z.strictObject({
          open: z.enum(['true', 'false']).optional().describe('Only those that are not final, or only final ones.'),
          limit: limitSchema,
          before: cursorSchema.optional(),
        }),
        response: {
          200: z.object({ fleetCommands: z.array(fleetSchema), next: z.string().optional() }),
          ...errorResponses,
        },
      },
    },
    async (request) => {
      const { open, limit, before } = request.query;
      const isOpen = open === undefined ? undefined : open === 'true';
      const { fleets: page, last } = await fleets.list(request.requester, {
        ...{ isOpen, limit, before: cursor.from(before) },
      });
      return { fleetCommands: page.map(fleetBodyOf), ...(last !== undefined && { next: cursor.of(last) }) };
    },
  );
  api.get(
    '/v1/fleet-commands/:id',
    {
      schema: {
        tags,
        summary: 'A fleet command with its progress',
        params: byId,
        response: { 200: fleetSchema, ...errorResponses },
      },
    },
    async (request) => fleetBodyOf(await fleets.find(request.requester, request.params.id)),
  );
  api.get(
    '/v1/fleet-commands/:id/devices',
    {
      schema: {
        tags,
        summary: 'The devices of a fleet command, in their order',
        params: byId,
        querystring: z.strictObject({
          state: z.enum(fleetDeviceStates).optional(),
          limit: limitSchema,
          after: cursorSchema.optional(),
        }),
        response: { 200: z.object({ devices: z.array(deviceSchema), next: z.string().optional() }), ...errorResponses },
      },
    },
    async (request) => {
      const { state, limit, after } = request.query;
      const filter = { state, limit, after: cursor.from(after) ?? 0 };
      const page = await fleets.devices(request.requester, request.params.id, filter);
      const last = page.length === limit ? page.at(-1) : undefined;
      const devices = page.map(({ place, device, via, state, isFinal, command, code, message, changedMs }) => ({
        ...{ place, device, state, final: isFinal, changed: changedMs },
        ...present({ via, command, code, message }),
      }));
      return { devices, ...(last && { next: cursor.of(last.place) }) };
    },
  );
  api.get(
    '/v1/fleet-commands/:id/progress',
    {
      schema: {
        tags,
        summary: 'The progress of a fleet command, as a stream of server-sent events',
        description:
          'An event `progress` with a FleetCommand at once and at each change, at most one a second. It stops when the fleet command is final, and after ten minutes: then request it again.',
        params: byId,
        produces: ['text/event-stream'],
        response: { 200: z.string().describe('text/event-stream'), ...errorResponses },
      },
    },
    async (request, reply) => {
      const progress = await fleets.find(request.requester, request.params.id);
      watch.assertPlace();
      reply.hijack();
      watch.add(progress.fleet.id, progress, reply.raw);
    },
  );
}

/** Returns a fleet command as the API has it. */
export function fleetBodyOf({ fleet, counts }: FleetProgress): z.output<typeof fleetSchema> {
  const { id, key, sender, scope, request, state, isFinal, number, message, devices, createdMs, changedMs } = fleet;
  const { byState, failed, finished } = counts;
  const { name, params, rate } = request;
  return {
    ...{ id, key, sender, scope, name, params, state, final: isFinal, number, devices },
    ...{ counts: byState, failed, finished, perMinute: rateOf(rate, byState.done ?? 0) },
    ...{ created: createdMs, changed: changedMs },
    ...present({ message, approver: fleet.approver?.subject ?? '' }),
  };
}

function planBodyOf({ devices, scope, isMarked }: FleetPlan): z.output<typeof planSchema> {
  const named = devices.slice(0, namedMax).map(({ device }) => device);
  return { dryRun: true, count: devices.length, devices: named, scope, needsConfirmation: isMarked };
}

/** Returns the texts that are not empty. */
function present<T extends Record<string, string>>(fields: T): Partial<T> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== '')) as Partial<T>;
}
