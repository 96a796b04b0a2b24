import { type EventValue, type LeaseAction, leaseActions, optionalValues } from './control-event-json.ts';
import { shown } from './error.ts';
import {
  allowedFieldsOf,
  booleanOf,
  countOf,
  type Fields,
  fieldsOf,
  idOf,
  invalidMessage,
  numberOf,
  textOf,
} from './message-fields.ts';

/*
 * Messages of a client for control. Types and sizes are validated here, so that a malformed message closes the
 * connection; control validates the rest, and an error of it fails the request.
 */

export interface CommandMessage {
  /** The client's key of the command: the same one is the same command. 1 to 64 bytes. */
  readonly id: string;
  readonly device: string;
  readonly name: string;
  readonly params?: Readonly<Record<string, EventValue>>;
  /** 0, 1 or 2. Default 1. */
  readonly qos?: number;
  /** Epoch ms. */
  readonly deadline: number;
  /** Fencing token of the lease that the client holds. */
  readonly lease?: number;
  /** A CEL expression over the last values of the device. It must hold now, and right before the command is sent. */
  readonly onlyIf?: string;
  /**
   * By tag, the `seq` of the last report with a value of it that the person has seen. It must still be the last one, as
   * `onlyIf` must hold. At most 32 tags.
   */
  readonly seen?: Readonly<Record<string, number>>;
  /** Checked, and not accepted. */
  readonly dryRun?: boolean;
  /** W3C Trace Context of the requester. */
  readonly traceparent?: string;
}

/** Names a command of control, to cancel or to confirm it. */
export interface CommandReferenceMessage {
  /** The client's name for the request, 1 to 64 bytes. */
  readonly id: string;
  readonly command: string;
}

/** Names an alarm, as the client has seen it. */
export interface AlarmReferenceMessage {
  readonly id: string;
  readonly device: string;
  readonly rule: string;
  /** The activation; another one is refused. Absent: any. */
  readonly alarm?: string;
  /** The last transition that the client has seen; refused if a later one exists. Absent: any. */
  readonly number?: number;
  readonly note?: string;
}

export interface ShelveMessage extends Omit<AlarmReferenceMessage, 'note'> {
  readonly reason: string;
  readonly forMs: number;
}

export interface LeaseMessage {
  readonly id: string;
  /** A device path or a pattern. */
  readonly scope: string;
  readonly action: LeaseAction;
  /** Absent: the default of the installation. */
  readonly forMs?: number;
  /** Of the lease to renew or release. */
  readonly token?: number;
}

/** Messages that control answers. */
export type ControlMessage =
  | { readonly command: CommandMessage }
  | { readonly cancel: CommandReferenceMessage }
  | { readonly confirm: CommandReferenceMessage }
  | { readonly acknowledge: AlarmReferenceMessage }
  | { readonly shelve: ShelveMessage }
  | { readonly unshelve: AlarmReferenceMessage }
  | { readonly reset: AlarmReferenceMessage }
  | { readonly removeFromService: AlarmReferenceMessage }
  | { readonly returnToService: AlarmReferenceMessage }
  | { readonly lease: LeaseMessage };

export const controlMessageKinds = [
  'command',
  'cancel',
  'confirm',
  'acknowledge',
  'shelve',
  'unshelve',
  'reset',
  'removeFromService',
  'returnToService',
  'lease',
] as const;

/** Characters of a text for people, and of an expression. */
const textCharactersMax = 1_000;
/** Parameters of a command, and tags in `seen`. */
const paramsMax = 32;

/** Validates the value of a kind; undefined for a kind that is not for control. Throws `invalid_message`. */
export function controlMessageFrom(kind: string, value: unknown): ControlMessage | undefined {
  switch (kind) {
    case 'command':
      return { command: commandFrom(value) };
    case 'cancel':
      return { cancel: commandReferenceFrom(value, kind) };
    case 'confirm':
      return { confirm: commandReferenceFrom(value, kind) };
    case 'acknowledge':
      return { acknowledge: alarmReferenceFrom(value, kind) };
    case 'unshelve':
      return { unshelve: alarmReferenceFrom(value, kind) };
    case 'reset':
      return { reset: alarmReferenceFrom(value, kind) };
    case 'removeFromService':
      return { removeFromService: alarmReferenceFrom(value, kind) };
    case 'returnToService':
      return { returnToService: alarmReferenceFrom(value, kind) };
    case 'shelve':
      return { shelve: shelveFrom(value) };
    case 'lease':
      return { lease: leaseFrom(value) };
    default:
      return undefined;
  }
}

const commandKeys = [
  'id',
  'device',
  'name',
  'params',
  'qos',
  'deadline',
  'lease',
  'onlyIf',
  'seen',
  'dryRun',
  'traceparent',
];

function commandFrom(value: unknown): CommandMessage {
  const where = 'command';
  const fields = allowedFieldsOf(value, where, commandKeys);
  const params = fieldsOf(fields['params'] ?? {}, 'command.params');
  const names = Object.keys(params);
  if (names.length > paramsMax)
    throw invalidMessage(`command.params: expected at most ${paramsMax} parameters, got ${names.length}`);
  for (const name of names)
    if (params[name] == null)
      throw invalidMessage(`command.params.${shown(name)}: expected a finite number, boolean or text, got null`);
  return {
    id: idOf(fields, where),
    device: shortText(fields, 'device', where),
    name: shortText(fields, 'name', where),
    ...(names.length === 0
      ? {}
      : { params: optionalValues(params, 'command.params', names) as Record<string, EventValue> }),
    ...(fields['qos'] == null ? {} : { qos: countOf(fields, 'qos', where) }),
    ...counts(fields, where, ['lease']),
    deadline: numberOf(fields, 'deadline', where),
    ...(fields['onlyIf'] == null || fields['onlyIf'] === '' ? {} : { onlyIf: shortText(fields, 'onlyIf', where) }),
    ...seenFrom(fields['seen']),
    ...(booleanOf(fields, 'dryRun', where, false) ? { dryRun: true } : {}),
    ...(fields['traceparent'] == null || fields['traceparent'] === ''
      ? {}
      : { traceparent: shortText(fields, 'traceparent', where) }),
  };
}

function seenFrom(value: unknown): Pick<CommandMessage, 'seen'> {
  const seen = fieldsOf(value ?? {}, 'command.seen');
  const tags = Object.keys(seen);
  if (tags.length > paramsMax)
    throw invalidMessage(`command.seen: expected at most ${paramsMax} tags, got ${tags.length}`);
  if (tags.length === 0) return {};
  return { seen: Object.fromEntries(tags.map((tag) => [tag, countOf(seen, tag, 'command.seen')])) };
}

function commandReferenceFrom(value: unknown, where: string): CommandReferenceMessage {
  const fields = allowedFieldsOf(value, where, ['id', 'command']);
  return { id: idOf(fields, where), command: shortText(fields, 'command', where) };
}

function alarmFrom(fields: Fields, where: string): Omit<AlarmReferenceMessage, 'note'> {
  return {
    id: idOf(fields, where),
    device: shortText(fields, 'device', where),
    rule: shortText(fields, 'rule', where),
    ...(fields['alarm'] == null || fields['alarm'] === '' ? {} : { alarm: shortText(fields, 'alarm', where) }),
    ...counts(fields, where, ['number']),
  };
}

function alarmReferenceFrom(value: unknown, where: string): AlarmReferenceMessage {
  const fields = allowedFieldsOf(value, where, ['id', 'device', 'rule', 'alarm', 'number', 'note']);
  const isNoted = fields['note'] != null && fields['note'] !== '';
  return { ...alarmFrom(fields, where), ...(isNoted ? { note: shortText(fields, 'note', where) } : {}) };
}

function shelveFrom(value: unknown): ShelveMessage {
  const where = 'shelve';
  const fields = allowedFieldsOf(value, where, ['id', 'device', 'rule', 'alarm', 'number', 'reason', 'forMs']);
  return {
    ...alarmFrom(fields, where),
    reason: shortText(fields, 'reason', where),
    forMs: numberOf(fields, 'forMs', where),
  };
}

function leaseFrom(value: unknown): LeaseMessage {
  const where = 'lease';
  const fields = allowedFieldsOf(value, where, ['id', 'scope', 'action', 'forMs', 'token']);
  const { action } = fields;
  if (!(leaseActions as readonly unknown[]).includes(action))
    throw invalidMessage(`lease.action: expected ${leaseActions.join(', ')}, got ${shown(action)}`);
  const hasTime = fields['forMs'] != null && fields['forMs'] !== 0;
  return {
    id: idOf(fields, where),
    scope: shortText(fields, 'scope', where),
    action: action as LeaseAction,
    ...(hasTime ? { forMs: numberOf(fields, 'forMs', where) } : {}),
    ...counts(fields, where, ['token']),
  };
}

/** Returns the integers that are neither absent nor 0. */
function counts<K extends string>(fields: Fields, where: string, keys: readonly K[]): { [each in K]?: number } {
  const result: { [each in K]?: number } = {};
  for (const key of keys) if (fields[key] != null && fields[key] !== 0) result[key] = countOf(fields, key, where);
  return result;
}

function shortText(fields: Fields, key: string, where: string): string {
  const text = textOf(fields, key, where);
  if (text.length <= textCharactersMax && text.isWellFormed()) return text;
  throw invalidMessage(
    `${where}.${key}: expected a text of at most ${textCharactersMax} characters, got ${shown(text)}`,
  );
}
