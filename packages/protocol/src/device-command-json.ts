import { assertCommand, type CommandValue, type DeviceCommand } from './device-command.ts';
import { shown, TailraceError } from './error.ts';
import { isObject } from './reading.ts';

const keys = [
  'id',
  'device',
  'name',
  'params',
  'qos',
  'deadline',
  'issued',
  'fence',
  'session',
  'subject',
  'traceparent',
  'via',
] as const;

/**
 * Returns a command that is written as JSON. Absent: no `params`, `qos` 1, and 0 or an empty text for the other fields
 * but `id`, `device`, `name` and `deadline`. Throws `invalid_message`, and `invalid_path` for the device.
 */
export function deviceCommandFromJson(value: unknown): DeviceCommand {
  if (!isObject(value)) throw invalid('command', 'an object', value);
  for (const key in value)
    if (!(keys as readonly string[]).includes(key))
      throw new TailraceError('invalid_message', `command: expected ${keys.join(', ')}, got the key ${shown(key)}`);
  const fields = value as Partial<Record<(typeof keys)[number], unknown>>;
  const params = fields.params ?? {};
  if (!isObject(params) || Array.isArray(params)) throw invalid('params', 'an object', params);
  const command = {
    id: fields.id,
    device: fields.device,
    name: fields.name,
    params: params as Readonly<Record<string, CommandValue>>,
    qos: fields.qos ?? 1,
    deadline: fields.deadline,
    issued: fields.issued ?? 0,
    fence: fields.fence ?? 0,
    session: fields.session ?? 0,
    subject: fields.subject ?? '',
    traceparent: fields.traceparent ?? '',
    via: fields.via ?? '',
  } as DeviceCommand;
  assertCommand(command);
  return command;
}

function invalid(field: string, expected: string, value: unknown): TailraceError {
  return new TailraceError('invalid_message', `${field}: expected ${expected}, got ${shown(value)}`);
}
