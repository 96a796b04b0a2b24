import { createHash } from 'node:crypto';
import { assertCommand, type CommandValue } from '@tailrace/protocol/device-command';
import { shown, TailraceError } from '@tailrace/protocol/error';
import { z } from 'zod';
import { assertCondition, onlyIfCharactersMax } from '../commands/command-condition.ts';
import { commandValueSchema, deviceSchema, patternSchema } from '../http/query.ts';
import { idSchema } from '../registry/fields.ts';
import { fleetLimits } from './fleet-command.ts';

const rateSchema = z.strictObject({
  perMinute: z
    .number()
    .min(0.1)
    .max(fleetLimits.perMinuteMax)
    .default(60)
    .describe('Devices a minute that get their command, at the start.'),
  factor: z
    .number()
    .min(1)
    .max(5)
    .default(1)
    .describe('The rate is multiplied by it after each `growAfter` devices that are done. 1: it does not grow.'),
  growAfter: z.int().min(1).max(100_000).default(10).describe('Devices that are done before the rate grows again.'),
  perMinuteMax: z.number().min(0.1).max(fleetLimits.perMinuteMax).default(600).describe('The rate at most.'),
});

const stopSchema = z.strictObject({
  failedShare: z
    .number()
    .gt(0)
    .max(1)
    .default(0.2)
    .describe('Of the devices that have finished, those that have failed, expired, or are unconfirmed.'),
  devicesMin: z
    .int()
    .min(1)
    .max(100_000)
    .default(5)
    .describe('It does not stop before this number of devices has finished.'),
});

/** A fleet command as a person requests it. */
export const fleetRequestSchema = z.strictObject({
  id: z
    .string()
    .min(1)
    .max(64)
    .describe('Chosen by the sender: a repeated request with the same ID is the same fleet command.'),
  pattern: patternSchema.optional().describe('All active devices of the registry that it matches.'),
  group: idSchema.optional().describe('Instead: all active devices of a group of the registry.'),
  devices: z.array(deviceSchema).min(1).max(100_000).optional().describe('Instead: these devices.'),
  name: z.string().regex(/^[A-Za-z0-9_-]{1,64}$/),
  params: z.record(z.string().min(1).max(128), commandValueSchema).default({}),
  qos: z.union([z.literal(0), z.literal(1), z.literal(2)]).default(1),
  deviceTimeoutMs: z
    .int()
    .min(1_000)
    .max(fleetLimits.deviceTimeoutMsMax)
    .default(60_000)
    .describe('How long the command of each device is valid after it was submitted, ms.'),
  rate: rateSchema.default(rateSchema.parse({})),
  stop: stopSchema.default(stopSchema.parse({})),
  order: z
    .enum(['path', 'given', 'random'])
    .default('path')
    .describe('Order of the devices: by path, as in `devices`, or random.'),
  devicesMax: z.int().min(1).optional().describe('More devices are refused. Default: the limit of the installation.'),
  lease: z.int().min(0).default(0).describe('Fencing token of the lease that the sender holds; 0: none.'),
  onlyIf: z
    .string()
    .max(onlyIfCharactersMax)
    .optional()
    .describe(
      'Expression over the last values of each device. One for which it does not hold is refused, and counts as failed.',
    ),
  dryRun: z.boolean().default(false).describe('Checks the request, and starts nothing: the answer has the devices.'),
});

export type FleetRequest = z.output<typeof fleetRequestSchema>;

/** The part of a request that is stored: without the key of the sender, and without a list of devices. */
export type StoredRequest = Omit<FleetRequest, 'id' | 'devices' | 'dryRun' | 'devicesMax'>;

/** Throws `invalid_message` for a request without exactly one target, and for a command that no device can get. */
export function assertFleetRequest(request: FleetRequest): void {
  const { pattern, group, devices, name, params, qos, rate, onlyIf = '' } = request;
  assertCondition({ onlyIf, seen: {} });
  const targets = [pattern, group, devices].filter((target) => target !== undefined).length;
  if (targets !== 1)
    throw new TailraceError('invalid_message', `expected one of pattern, group and devices, got ${targets}`);
  if (rate.perMinuteMax < rate.perMinute && rate.factor > 1)
    throw new TailraceError(
      'invalid_message',
      `rate.perMinuteMax: expected at least perMinute, ${rate.perMinute}, got ${shown(rate.perMinuteMax)}`,
    );
  const placeholder = { id: 'fleet', device: 'plant.device', via: '', deadline: 1, issued: 0, fence: 0, session: 0 };
  assertCommand({
    ...placeholder,
    name,
    params: params as Record<string, CommandValue>,
    qos,
    subject: '',
    traceparent: '',
  });
}

/** Returns what is stored of a request. */
export function storedRequestOf(request: FleetRequest): StoredRequest {
  const { id: _id, devices: _devices, dryRun: _dryRun, devicesMax: _devicesMax, ...stored } = request;
  return stored;
}

/** Returns a hash of a request, the same for the same one, in whichever order its fields are. */
export function contentOf(request: FleetRequest): string {
  const { id: _id, dryRun: _dryRun, ...content } = request;
  return createHash('sha256').update(sortedJson(content)).digest('hex');
}

function sortedJson(value: unknown): string {
  return JSON.stringify(value, (_key, each: unknown) =>
    typeof each === 'object' && each !== null && !Array.isArray(each)
      ? Object.fromEntries(Object.entries(each).sort(([a], [b]) => (a < b ? -1 : 1)))
      : each,
  );
}

/** Returns devices in the order in which they get their commands, each once. `seed`: of a random order. */
export function orderedDevices(
  devices: readonly string[],
  order: FleetRequest['order'],
  seed: string,
): readonly string[] {
  const each = [...new Set(devices)];
  if (order === 'given') return each;
  if (order === 'path') return each.sort();
  const keys = new Map(
    each.map((device) => [
      device,
      createHash('sha256')
        .update(seed + device)
        .digest('hex'),
    ]),
  );
  return each.sort((a, b) => (keys.get(a)! < keys.get(b)! ? -1 : 1));
}

/** The key of the command of a device. The trigger of the table of commands reads fleet command and place from it. */
export function deviceKey(fleet: string, place: number): string {
  return `fleet/${fleet}/${place}`;
}
