import { z } from 'zod';
import type { ControlContext } from '../control-context.ts';
import type { Api } from '../http/api.ts';
import {
  commandValueSchema,
  cursor,
  cursorSchema,
  deviceSchema,
  errorResponses,
  limitSchema,
  patternSchema,
} from '../http/query.ts';
import { type Command, commandProgress, deadlineMsDefault } from './command.ts';
import { onlyIfCharactersMax } from './command-condition.ts';
import type { CommandService } from './command-service.ts';
import { transitionsOf } from './command-store.ts';

const timeSchema = z.number().describe('Epoch ms.');

const submissionSchema = z.strictObject({
  id: z
    .string()
    .min(1)
    .max(64)
    .describe('Chosen by the sender: a repeated request with the same ID is the same command.'),
  device: deviceSchema,
  via: deviceSchema.optional().describe('The gateway in front of the device, which has the session.'),
  name: z
    .string()
    .regex(/^[A-Za-z0-9_-]{1,64}$/)
    .describe('`set` writes the tags of `params`, by convention.'),
  params: z.record(z.string().min(1).max(128), commandValueSchema).default({}),
  qos: z.union([z.literal(0), z.literal(1), z.literal(2)]).default(1),
  deadline: timeSchema.optional().describe(`It is not sent afterwards. Default: ${deadlineMsDefault} ms from now.`),
  lease: z.int().min(0).default(0).describe('Fencing token of the lease that the sender holds; 0: none.'),
  onlyIf: z
    .string()
    .max(onlyIfCharactersMax)
    .default('')
    .describe(
      'A CEL expression over the last values of the device. The command is refused with 409 unless it holds now, and fails unless it holds right before it is sent.',
    ),
  seen: z
    .record(z.string().min(1).max(128), z.int().min(0))
    .default({})
    .describe(
      'By tag, the `seq` of the last report with a value of it that the sender has seen. As `onlyIf`: it must still be the last one.',
    ),
  replaces: z
    .boolean()
    .default(false)
    .describe('Cancels earlier commands with the same name and parameters that were not sent.'),
  dryRun: z.boolean().default(false).describe('Checked like a command, and not accepted.'),
});

const commandSchema = z
  .object({
    id: z.string().describe('Chosen by control; empty for a dry run.'),
    key: z.string().describe('`id` of the request.'),
    sender: z.string(),
    device: z.string(),
    via: z.string().optional(),
    name: z.string(),
    params: z.record(z.string(), commandValueSchema),
    state: z.enum(commandProgress),
    awaits: z.enum(['confirmation', 'device', 'outcome']).optional(),
    final: z.boolean().describe('No transition follows.'),
    number: z.int().describe('Of the last transition, from 1.'),
    accepted: timeSchema,
    changed: timeSchema,
    deadline: timeSchema,
    approver: z.string().optional(),
    code: z.string().optional(),
    message: z.string().optional(),
    confirmedBy: z.string().optional(),
    before: commandValueSchema.optional(),
    after: commandValueSchema.optional(),
  })
  .meta({ id: 'Command' });

const submittedSchema = commandSchema.extend({
  registered: z
    .boolean()
    .describe(
      'False: the registry has no device with this path, as after a typing error. The command waits for its session all the same.',
    ),
});

const transitionSchema = z.object({
  number: z.int(),
  state: z.enum(commandProgress),
  awaits: z.string().optional(),
  time: timeSchema,
  code: z.string().optional(),
  message: z.string().optional(),
  final: z.boolean(),
});

const tags = ['Commands'];
const byId = z.object({ id: z.string().min(1).max(64).describe('`id` of the answer, or that of the own request.') });

/** Adds `/v1/commands`. */
export function registerCommandRoutes(api: Api, commands: CommandService, context: ControlContext): void {
  api.post(
    '/v1/commands',
    {
      schema: {
        tags,
        summary: 'Send a command to a device',
        description: '202: it is durable. Its state follows in GET /v1/commands/{id}, and to watchers of the device.',
        body: submissionSchema,
        response: { 202: submittedSchema, ...errorResponses },
      },
    },
    async (request, reply) => {
      const { id, via = '', deadline, ...fields } = request.body;
      const submission = {
        ...{ ...fields, key: id, via, deadline: deadline ?? context.clock.now() + deadlineMsDefault },
      };
      const command = await commands.submit(request.requester, submission);
      return reply.code(202).send({ ...bodyOf(command), registered: command.isRegistered });
    },
  );
  api.get(
    '/v1/commands',
    {
      schema: {
        tags,
        summary: 'List commands, the newest first',
        querystring: z.strictObject({
          device: patternSchema.optional(),
          sender: z.string().max(200).optional(),
          open: z.enum(['true', 'false']).optional().describe('Only those that are not final, or only final ones.'),
          limit: limitSchema,
          before: cursorSchema.optional(),
        }),
        response: {
          200: z.object({ commands: z.array(commandSchema), next: z.string().optional() }),
          ...errorResponses,
        },
      },
    },
    async (request) => {
      const { device, sender, open, limit, before } = request.query;
      const isOpen = open === undefined ? undefined : open === 'true';
      const page = await commands.list(request.requester, {
        ...{ device, sender, isOpen, limit, before: cursor.from(before) },
      });
      const last = page.length === limit ? page.at(-1) : undefined;
      return { commands: page.map(bodyOf), ...(last && { next: cursor.of(last.position) }) };
    },
  );
  api.get(
    '/v1/commands/:id',
    {
      schema: {
        tags,
        summary: 'A command with its transitions',
        params: byId,
        response: { 200: commandSchema.extend({ transitions: z.array(transitionSchema) }), ...errorResponses },
      },
    },
    async (request) => {
      const command = await commands.find(request.requester, request.params.id);
      const transitions = await transitionsOf(context.database, command.id);
      return {
        ...bodyOf(command),
        transitions: transitions.map(({ number, state, awaits, changed, code, message, isFinal }) => ({
          ...{ number, state, time: changed, final: isFinal },
          ...optional({ awaits, code, message }),
        })),
      };
    },
  );
  const decisions = [
    ['cancel', 'Cancel a command', 'One that was sent to its device is not sent again, and its outcome follows.'],
    ['confirm', 'Confirm a marked command as the second person', 'With the role supervisor, and not as its sender.'],
  ] as const;
  for (const [decision, summary, description] of decisions)
    api.post(
      `/v1/commands/:id/${decision}`,
      { schema: { tags, summary, description, params: byId, response: { 200: commandSchema, ...errorResponses } } },
      async (request) => bodyOf(await commands[decision](request.requester, request.params.id)),
    );
}

/** Returns a command as the API has it. */
function bodyOf(command: Command): z.output<typeof commandSchema> {
  const { id, key, sender, device, name, params, state, awaits, isFinal, number, accepted, changed, deadline } =
    command;
  const { via, approver, code, message, confirmedBy, before, after } = command;
  return {
    ...{
      id,
      key,
      sender,
      device,
      name,
      params: { ...params },
      state,
      final: isFinal,
      number,
      accepted,
      changed,
      deadline,
    },
    ...optional({ via, awaits, approver, code, message, confirmedBy }),
    ...(before === undefined ? {} : { before }),
    ...(after === undefined ? {} : { after }),
  };
}

/** Returns the fields that are not empty. */
function optional<T extends Record<string, string>>(fields: T): { [K in keyof T]?: Exclude<T[K], ''> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== '')) as {
    [K in keyof T]?: Exclude<T[K], ''>;
  };
}
