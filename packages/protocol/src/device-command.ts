import { type ErrorCode, errorCodes, shown, TailraceError } from './error.ts';
import { tailrace } from './generated/tailrace.js';
import { assertDevicePath } from './path.ts';
import { isPlainText, utf8Bytes } from './text.ts';

/*
 * Commands for devices, as proto/tailrace/v1/command.proto defines them, and their outcomes.
 */

export type CommandValue = number | boolean | string;

/** A command for a device, as its requester sends it. */
export interface DeviceCommand {
  /** 1 to 64 bytes. A command with the same ID is the same command. */
  readonly id: string;
  /** Device path. */
  readonly device: string;
  /** 1 to 64 of `A-Z a-z 0-9 _ -`. */
  readonly name: string;
  readonly params: Readonly<Record<string, CommandValue>>;
  /** 0: sent once. 1, 2: sent again while the device has not confirmed its receipt. */
  readonly qos: 0 | 1 | 2;
  /** Epoch ms by the requester's clock. */
  readonly deadline: number;
  /** Epoch ms by the requester's clock; 0: unknown. */
  readonly issued: number;
  /** 0: none. */
  readonly fence: number;
  /** Number of the session that it is for; 0: any. */
  readonly session: number;
  /** Who has requested it, for people; at most 200 bytes. */
  readonly subject: string;
  /** W3C Trace Context; '' for none. */
  readonly traceparent: string;
  /** Path of the gateway in front of the device, which has the session; '': the device has one itself. */
  readonly via: string;
  /**
   * Number of the session by which the requester has found the node. The request is refused if the device has another
   * one, so that a request that was delayed is not taken by a node that does not know later fences. Absent, 0: any.
   */
  readonly foundSession?: number;
}

/**
 * States of a command: `accepted`, then `delivered`, then one of the others. `unconfirmed`: it was sent to the device,
 * and what became of it is unknown; `done`, `failed` or `expired` may still follow it, once.
 */
export const commandStates = ['accepted', 'delivered', 'done', 'failed', 'expired', 'unconfirmed'] as const;
export type CommandState = (typeof commandStates)[number];

const confirmations = ['device', 'read_back', 'protocol'] as const;
/** What has confirmed that a command is done: the device, a value read after the write, or its protocol. */
export type ConfirmedBy = (typeof confirmations)[number];

export interface CommandOutcome {
  readonly id: string;
  readonly device: string;
  readonly state: CommandState;
  /** Epoch ms by the clock of the node. */
  readonly time: number;
  /** The ingest node. */
  readonly node: string;
  /** Number of the session to which it was sent; 0: none. */
  readonly session: number;
  /** How often it was sent; 0: not, or by another node. */
  readonly attempt: number;
  readonly code?: ErrorCode;
  /** At most 500 characters; '' for none. */
  readonly message: string;
  readonly confirmedBy?: ConfirmedBy;
  /** Of what was written; undefined: unknown. */
  readonly before?: CommandValue;
  readonly after?: CommandValue;
  /** The ingest node that has the device, if it is not this one; '': none is known. */
  readonly holder: string;
}

/** Names a command of a node. */
export interface CommandReference {
  readonly id: string;
  readonly device: string;
}

/** A request to an ingest node: a command, for the last outcome of one, or to cancel one. */
export type CommandRequest =
  | { readonly command: DeviceCommand }
  | { readonly query: CommandReference }
  | { readonly cancel: CommandReference };

export const commandLimits = {
  idBytesMax: 64,
  paramsMax: 32,
  /** Of a parameter, which may be a tag. */
  paramCharactersMax: 128,
  /** Of all parameters, encoded. */
  paramsBytesMax: 4_096,
  subjectBytesMax: 200,
  messageCharactersMax: 500,
  /** From a request to its deadline. */
  lifetimeMsMax: 86_400_000,
} as const;

const namePattern = /^[A-Za-z0-9_-]{1,64}$/;
const timeMsMax = 8.64e15;

/** Returns whether a command in the state stays in it, apart from a correction of `unconfirmed`. */
export function isFinal(state: CommandState): boolean {
  return state !== 'accepted' && state !== 'delivered';
}

/** Throws `invalid_message`, and `invalid_path`, with the field. */
export function assertCommand(command: DeviceCommand): void {
  const { id, device, name, params, qos, deadline, issued, fence, session, subject, traceparent, via } = command;
  const { foundSession = 0 } = command;
  assertCommandId(id);
  assertDevicePath(device);
  if (via !== '') assertDevicePath(via);
  if (typeof name !== 'string' || !namePattern.test(name))
    throw invalid('name', '1 to 64 letters, digits, "_" or "-"', name);
  assertParams(params);
  if (qos !== 0 && qos !== 1 && qos !== 2) throw invalid('qos', '0, 1 or 2', qos);
  if (!isTime(deadline) || deadline === 0) throw invalid('deadline', 'milliseconds since 1970', deadline);
  if (!isTime(issued)) throw invalid('issued', 'milliseconds since 1970, or 0', issued);
  for (const [field, value] of [
    ['fence', fence],
    ['session', session],
    ['foundSession', foundSession],
  ] as const)
    if (!Number.isSafeInteger(value) || value < 0) throw invalid(field, 'an integer of 0 or more', value);
  const { subjectBytesMax } = commandLimits;
  if (typeof subject !== 'string' || !isPlainText(subject) || utf8Bytes(subject) > subjectBytesMax)
    throw invalid('subject', `a text of at most ${subjectBytesMax} bytes without control characters`, subject);
  if (typeof traceparent !== 'string' || traceparent.length > 64 || !isPlainText(traceparent))
    throw invalid('traceparent', 'a W3C traceparent, or an empty text', traceparent);
}

/** Throws `invalid_message`. `field`: its name, for the error. */
export function assertCommandId(id: unknown, field = 'id'): asserts id is string {
  const { idBytesMax } = commandLimits;
  if (typeof id === 'string' && id !== '' && id.length <= idBytesMax && utf8Bytes(id) <= idBytesMax && isPlainText(id))
    return;
  throw invalid(field, `a text of 1 to ${idBytesMax} bytes without control characters`, id);
}

/**
 * Returns whether the value is one of a parameter: a finite number, a boolean, or a text. As that of a reading, it has
 * no NUL, which PostgreSQL cannot store.
 */
export function isCommandValue(value: unknown): value is CommandValue {
  if (typeof value === 'number') return Number.isFinite(value);
  if (typeof value !== 'string') return typeof value === 'boolean';
  return value.length <= commandLimits.paramsBytesMax && value.isWellFormed() && !value.includes('\0');
}

function assertParams(params: Readonly<Record<string, CommandValue>>): void {
  const { paramsMax, paramCharactersMax, paramsBytesMax } = commandLimits;
  const entries = Object.entries(params);
  if (entries.length > paramsMax) throw invalid('params', `at most ${paramsMax}`, entries.length);
  let bytes = 0;
  for (const [name, value] of entries) {
    if (name === '' || name.length > paramCharactersMax || !isPlainText(name))
      throw invalid('params', `names of 1 to ${paramCharactersMax} characters without control characters`, name);
    if (!isCommandValue(value))
      throw invalid(`params.${name}`, 'a finite number, a boolean or a text without NUL', value);
    // Tag and length of the entry, of its name, and of its value, as Protobuf has them.
    bytes += utf8Bytes(name) + (typeof value === 'string' ? utf8Bytes(value) : 8) + 8;
  }
  if (bytes > paramsBytesMax) throw invalid('params', `at most ${paramsBytesMax} bytes`, bytes);
}

function isTime(value: unknown): value is number {
  return typeof value === 'number' && value >= 0 && value <= timeMsMax;
}

function invalid(field: string, expected: string, value: unknown): TailraceError {
  return new TailraceError('invalid_message', `${field}: expected ${expected}, got ${shown(value)}`);
}

const { CommandRequest: RequestMessage, CommandOutcome: OutcomeMessage } = tailrace.v1;

/** Returns the bytes of a request. Throws as `assertCommand` does. */
export function encodeCommandRequest(request: CommandRequest): Uint8Array {
  if (!('command' in request)) return RequestMessage.encode(request).finish();
  const { command } = request;
  assertCommand(command);
  const params = Object.fromEntries(Object.entries(command.params).map(([name, value]) => [name, valueMessage(value)]));
  return RequestMessage.encode({ command: { ...command, params } }).finish();
}

/** Returns a request that is valid. Throws `invalid_message`, and `invalid_path` for the device. */
export function decodeCommandRequest(bytes: Uint8Array): CommandRequest {
  const { command, query, cancel } = decoded(() => RequestMessage.decode(bytes), 'command request');
  if (query != null) return { query: referenceFrom(query) };
  if (cancel != null) return { cancel: referenceFrom(cancel) };
  if (command == null)
    throw new TailraceError('invalid_message', 'command request: expected a command, a query or a cancel, got none');
  const params = Object.entries(command.params ?? {}).map(([name, value]) => [name, valueFrom(value)]);
  const from: DeviceCommand = {
    id: command.id ?? '',
    device: command.device ?? '',
    name: command.name ?? '',
    params: Object.fromEntries(params),
    qos: (command.qos ?? 0) as DeviceCommand['qos'],
    deadline: command.deadline ?? 0,
    issued: command.issued ?? 0,
    fence: command.fence ?? 0,
    session: command.session ?? 0,
    subject: command.subject ?? '',
    traceparent: command.traceparent ?? '',
    via: command.via ?? '',
    ...(command.foundSession ? { foundSession: command.foundSession } : {}),
  };
  assertCommand(from);
  return { command: from };
}

/** Throws `invalid_message`, and `invalid_path` for the device. */
function referenceFrom({ id = '', device }: tailrace.v1.ICommandQuery): CommandReference {
  assertCommandId(id);
  assertDevicePath(device);
  return { id, device };
}

export function encodeCommandOutcome(outcome: CommandOutcome): Uint8Array {
  const { state, confirmedBy, before, after, ...fields } = outcome;
  return OutcomeMessage.encode({
    ...fields,
    // UNSPECIFIED is 0 in both.
    state: commandStates.indexOf(state) + 1,
    confirmedBy: confirmedBy === undefined ? 0 : confirmations.indexOf(confirmedBy) + 1,
    ...(before === undefined ? {} : { before: valueMessage(before) }),
    ...(after === undefined ? {} : { after: valueMessage(after) }),
  }).finish();
}

/** Throws `invalid_message`. */
export function decodeCommandOutcome(bytes: Uint8Array): CommandOutcome {
  const message = decoded(() => OutcomeMessage.decode(bytes), 'command outcome');
  const state = commandStates[(message.state ?? 0) - 1];
  if (state === undefined) throw invalid('state', commandStates.join(', '), message.state);
  const confirmedBy = confirmations[(message.confirmedBy ?? 0) - 1];
  const [before, after] = [valueFrom(message.before), valueFrom(message.after)];
  const code = errorCodes.find((each) => each === message.code);
  return {
    id: message.id ?? '',
    device: message.device ?? '',
    state,
    time: message.time ?? 0,
    node: message.node ?? '',
    session: message.session ?? 0,
    attempt: message.attempt ?? 0,
    ...(code === undefined ? {} : { code }),
    message: message.message ?? '',
    ...(confirmedBy === undefined ? {} : { confirmedBy }),
    ...(before === undefined ? {} : { before }),
    ...(after === undefined ? {} : { after }),
    holder: message.holder ?? '',
  };
}

/** Returns what a reply of a device may contain of these. */
export function confirmedByFrom(value: unknown): ConfirmedBy | undefined {
  return confirmations.find((each) => each === value);
}

function decoded<T>(decode: () => T, what: string): T {
  try {
    return decode();
  } catch (cause) {
    throw new TailraceError('invalid_message', `${what}: expected the Protobuf message, got other bytes`, { cause });
  }
}

function valueMessage(value: CommandValue): tailrace.v1.ICommandValue {
  if (typeof value === 'number') return { number: value };
  return typeof value === 'boolean' ? { boolean: value } : { text: value };
}

/** Returns undefined for an absent value, and for one of no type. */
function valueFrom(message: tailrace.v1.ICommandValue | null | undefined): CommandValue | undefined {
  return message?.number ?? message?.boolean ?? message?.text ?? undefined;
}
