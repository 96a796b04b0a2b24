import {
  assertCommandId,
  type CommandOutcome,
  type CommandValue,
  commandLimits,
  confirmedByFrom,
  type DeviceCommand,
  isCommandValue,
} from '@tailrace/protocol/device-command';
import { errorCodes, shown, TailraceError } from '@tailrace/protocol/error';
import { isObject } from '@tailrace/protocol/reading';
import type { SessionProtocol } from './device-metrics.ts';

/*
 * Commands between the sessions of devices and `DeviceCommands`, which has their states, and their JSON, which the
 * protocols share.
 */

/** A command that is sent to its device now. */
export interface DeliveredCommand
  extends Pick<DeviceCommand, 'id' | 'device' | 'name' | 'params' | 'qos' | 'deadline'> {
  /** Time until its deadline, by the clock of this server; above 0. */
  readonly expiresInMs: number;
  /** 0: none. */
  readonly fence: number;
}

/** What a device reports of a command. */
export interface CommandReply extends Pick<CommandOutcome, 'code' | 'confirmedBy' | 'before' | 'after'> {
  readonly id: string;
  readonly state: ReplyState;
  /** '' for none. */
  readonly message: string;
}

const replyStates = ['done', 'failed', 'unconfirmed', 'expired'] as const;
export type ReplyState = (typeof replyStates)[number];

/** A session to which commands are delivered. */
export interface CommandSession {
  /** Device path. */
  readonly device: string;
  /** Of its claim. */
  readonly number: number;
  readonly protocol: SessionProtocol;
  /** Whether its device takes commands now. */
  readonly takesCommands: boolean;
  /** Whether its credential allows it to receive the commands of the device. */
  mayReceiveCommands(device: string): boolean;
  /** Sends a command. False: too much waits for the device, and nothing was sent. */
  deliver(command: DeliveredCommand): boolean;
}

/** What a session reports of commands. */
export interface CommandEvents {
  /** The session has its device, or its device takes commands now. */
  sessionOpened(session: CommandSession): void;
  /** `successor`: the node of the newer session that replaces it; '' for none. */
  sessionClosed(session: CommandSession, successor: string): void;
  /** The device has a command. Returns whether the command is known. */
  commandReceived(session: CommandSession, id: string): boolean;
  /**
   * The device has reported what became of a command. `device`: the one that the reply is from. Returns whether the
   * report counts: the command is known, or this node may publish what another one cannot.
   */
  commandReplied(session: CommandSession, device: string, reply: CommandReply): boolean;
}

/** Returns the JSON object of a command, without its ID and device. */
export function commandPayload({ name, params, deadline, expiresInMs, qos, fence }: DeliveredCommand): object {
  return { name, params, deadline, expiresInMs, qos, fence: fence === 0 ? undefined : fence };
}

interface UncheckedReply {
  readonly command?: unknown;
  readonly id?: unknown;
  readonly state?: unknown;
  readonly code?: unknown;
  readonly message?: unknown;
  readonly result?: unknown;
  readonly before?: unknown;
  readonly after?: unknown;
  readonly confirmedBy?: unknown;
}

const replyKeys = 'command, state, code, message, before, after and confirmedBy';

/**
 * Returns the reply of a device. Null counts as absent. A longer message is shortened, because the reply reports what
 * has happened. Throws `invalid_message`.
 */
export function commandReplyFrom(value: unknown): CommandReply {
  if (!isObject(value)) throw invalidReply('payload', 'an object', value);
  for (const key in value) {
    switch (key) {
      case 'command':
      case 'id':
      case 'state':
      case 'code':
      case 'message':
      case 'before':
      case 'after':
      case 'confirmedBy':
        break;
      default:
        throw new TailraceError('invalid_message', `payload: expected ${replyKeys}, got the unknown key ${shown(key)}`);
    }
  }
  const { command, id, state, code, message, before, after, confirmedBy } = value as UncheckedReply;
  const commandId = command ?? id;
  assertCommandId(commandId, 'payload.command');
  const reported = replyStates.find((each) => each === state);
  if (reported === undefined) throw invalidReply('payload.state', replyStates.join(', '), state);
  const text = message ?? '';
  if (typeof text !== 'string') throw invalidReply('payload.message', 'a text', text);
  const [codeOf, confirmation] = [errorCodes.find((each) => each === code), confirmedByFrom(confirmedBy)];
  if ((code ?? undefined) !== undefined && codeOf === undefined)
    throw invalidReply('payload.code', 'an error code', code);
  if ((confirmedBy ?? undefined) !== undefined && confirmation === undefined)
    throw invalidReply('payload.confirmedBy', 'device, read_back or protocol', confirmedBy);
  return {
    id: commandId,
    state: reported,
    message: plainMessage(text),
    ...(codeOf === undefined ? {} : { code: codeOf }),
    ...(confirmation === undefined ? {} : { confirmedBy: confirmation }),
    ...reportedValue('before', before),
    ...reportedValue('after', after),
  };
}

/**
 * Returns a reply, parsed by JSON.parse, in which no integer has lost digits: one that a double does not hold is the
 * text of its digits. `withDigits`: returns the reply from the text as `jsonWithDigits` reads it.
 */
export function exactReplyOf(value: unknown, withDigits: () => unknown): unknown {
  if (!isObject(value)) return value;
  const { before, after } = value as UncheckedReply;
  return isUnsafe(before) || isUnsafe(after) ? withDigits() : value;
}

function isUnsafe(value: unknown): boolean {
  return typeof value === 'number' && Math.abs(value) > Number.MAX_SAFE_INTEGER;
}

function reportedValue<Key extends 'before' | 'after'>(
  key: Key,
  value: unknown,
): { readonly [K in Key]?: CommandValue } {
  if (value === undefined || value === null) return {};
  if (!isCommandValue(value))
    throw invalidReply(`payload.${key}`, 'a finite number, a boolean or a text without NUL', value);
  return { [key]: value } as { readonly [K in Key]?: CommandValue };
}

/** Returns the text without control characters, at most `commandLimits.messageCharactersMax`. */
function plainMessage(text: string): string {
  return text
    .slice(0, commandLimits.messageCharactersMax)
    .replace(/\p{Cc}/gu, ' ')
    .toWellFormed();
}

function invalidReply(field: string, expected: string, value: unknown): TailraceError {
  return new TailraceError('invalid_message', `${field}: expected ${expected}, got ${shown(value)}`);
}
