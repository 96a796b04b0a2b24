import { shown } from './error.ts';
import {
  booleanOf,
  countOf,
  type Fields,
  fieldsOf,
  invalidMessage,
  listFrom,
  numberOf,
  textOf,
} from './message-fields.ts';

/*
 * Alarms, commands and leases as clients see them: proto/tailrace/v1/alarm.proto and command.proto, with enumerations
 * as lower-case words, and values as numbers, booleans and texts. Without Protobuf, for browsers.
 */

/** In the order of the enumeration in alarm.proto. A later server may add more, here and below. */
export const alarmStates = [
  'normal',
  'unacknowledged',
  'acknowledged',
  'returned_unacknowledged',
  'latched',
  'shelved',
  'suppressed',
  'out_of_service',
] as const;
/** States of ISA-18.2. */
export type AlarmState = (typeof alarmStates)[number];

export const alarmCauses = [
  'raised',
  'limit_changed',
  'returned',
  'acknowledged',
  'reset',
  'shelved',
  'unshelved',
  'shelf_expired',
  'suppressed',
  'unsuppressed',
  'removed_from_service',
  'returned_to_service',
  'realarmed',
  'escalated',
  'rule_changed',
] as const;
export type AlarmCause = (typeof alarmCauses)[number];

export const commandProgresses = [
  'accepted',
  'queued',
  'sent',
  'delivered',
  'done',
  'failed',
  'expired',
  'canceled',
  'unconfirmed',
] as const;
/**
 * `done`, `failed`, `expired`, `canceled` and `unconfirmed` are final: a command has exactly one of them. Before that,
 * `unconfirmed` may await the outcome, see `isFinal`.
 */
export type CommandProgress = (typeof commandProgresses)[number];

export const leaseActions = ['acquire', 'renew', 'release', 'take_over'] as const;
export type LeaseAction = (typeof leaseActions)[number];

export const confirmers = ['device', 'read_back', 'protocol'] as const;

export type EventValue = number | boolean | string;

/** A reading at the time of an alarm. */
export interface AlarmReading {
  readonly tag: string;
  readonly value?: EventValue;
  readonly unit?: string;
  /** Epoch ms by the clock of the device. */
  readonly time?: number;
}

/** One transition of the alarm of a rule at a device. Fields that are empty are absent. */
export interface AlarmTransition {
  readonly id: string;
  /** The activation: the same for all transitions from one raise to the next. */
  readonly alarm: string;
  readonly rule: string;
  readonly ruleVersion?: number;
  readonly device: string;
  /** Rises by one with each transition of the rule at the device, from 1. */
  readonly number: number;
  /** After the transition: an `AlarmState`. */
  readonly state: string;
  readonly previous?: string;
  /** An `AlarmCause`. */
  readonly cause?: string;
  /** LL, L, H or HH. */
  readonly limit?: string;
  /** 1 is the highest, 5 the lowest. */
  readonly priority?: number;
  readonly alarmClass?: string;
  /** Epoch ms: event time of the cause, or the time of a person's action. */
  readonly time: number;
  /** Epoch ms: event time of the activation. */
  readonly activated?: number;
  /** Of the report that has caused it. */
  readonly epoch?: string;
  readonly seq?: number;
  readonly tag?: string;
  readonly value?: EventValue;
  readonly limitValue?: number;
  readonly context?: readonly AlarmReading[];
  /** Subject of the person's token. */
  readonly by?: string;
  readonly note?: string;
  /** Of a shelf, epoch ms. */
  readonly until?: number;
  readonly firstOut?: boolean;
  readonly message?: string;
  /** ID of the action of a person, as in `accepted`. */
  readonly action?: string;
}

/** What a person wanted to do about an alarm was refused: the alarm has changed meanwhile. */
export interface AlarmActionRefused {
  readonly action: string;
  readonly device: string;
  readonly rule: string;
  readonly code: string;
  readonly message?: string;
}

export interface CommandTransition {
  /** Of the command, as control has named it. */
  readonly id: string;
  /** The sender's key. */
  readonly key?: string;
  readonly device: string;
  readonly name?: string;
  readonly params?: Readonly<Record<string, EventValue>>;
  /** Rises by one with each transition of the command, from 1. */
  readonly number: number;
  /** A `CommandProgress`. */
  readonly state: string;
  readonly time: number;
  readonly by?: string;
  readonly code?: string;
  readonly message?: string;
  readonly confirmedBy?: string;
  readonly before?: EventValue;
  readonly after?: EventValue;
  readonly deadline?: number;
  /** What it waits for: `confirmation`, `device` or `outcome`. */
  readonly awaits?: string;
}

/** The holder of a lease has changed. */
export interface LeaseTransition {
  /** A device path or a pattern. */
  readonly scope: string;
  /** Fencing token; rises with each holder. */
  readonly token: number;
  /** Subject; absent: free. */
  readonly holder?: string;
  readonly until?: number;
  /** A `LeaseAction`; absent: the lease has expired. */
  readonly action?: string;
  readonly previous?: string;
  readonly time: number;
}

/** Where an event is in the topic of events. */
export interface EventPosition {
  readonly partition: number;
  /** Absent: before what the topic has. */
  readonly seq?: number;
}

/** Either `transition` or `refused`. */
export interface AlarmEvent extends EventPosition {
  readonly transition?: AlarmTransition;
  readonly refused?: AlarmActionRefused;
}

export interface CommandEvent extends EventPosition {
  readonly transition: CommandTransition;
}

export interface LeaseEvent extends EventPosition {
  readonly transition: LeaseTransition;
}

interface EventFrameFields {
  /** The view, as in `subscribed`; 0: sent to the client that has requested it. */
  readonly view: number;
  /** The events are the current state, not changes. */
  readonly snapshot?: boolean;
  /** The last frame of a snapshot. */
  readonly snapshotComplete?: boolean;
}

export interface AlarmEvents extends EventFrameFields {
  readonly events: readonly AlarmEvent[];
}

export interface CommandEvents extends EventFrameFields {
  readonly events: readonly CommandEvent[];
  /** To the sender: the `id` of its message. */
  readonly request?: string;
}

export interface LeaseEvents extends EventFrameFields {
  readonly events: readonly LeaseEvent[];
  /** Of a reply: the `id` of the message. */
  readonly request?: string;
}

/** What the client wants to do about an alarm was accepted, and is in the audit. */
export interface Accepted {
  readonly request: string;
  readonly action?: string;
}

/**
 * Returns whether a command has no transition after this one. `unconfirmed` may have one while it awaits the outcome of
 * the device.
 */
export function isFinal({ state, awaits }: Pick<CommandTransition, 'state' | 'awaits'>): boolean {
  if (state === 'unconfirmed') return awaits === undefined;
  return ['done', 'failed', 'expired', 'canceled'].includes(state);
}

/** Parses `alarm`. Throws `invalid_message`, as the functions below. */
export function alarmEventsFrom(fields: Fields): AlarmEvents {
  return {
    ...frameFrom(fields, 'alarm'),
    events: listFrom(fields['events'], 'alarm.events').map((value): AlarmEvent => {
      const each = fieldsOf(value, 'alarm.events');
      const { transition, refused } = each;
      if (transition != null) return { ...positionFrom(each), transition: alarmTransitionFrom(transition) };
      if (refused != null) return { ...positionFrom(each), refused: refusedFrom(refused) };
      throw invalidMessage(`alarm.events: expected a transition or refused, got ${shown(value)}`);
    }),
  };
}

export function commandEventsFrom(fields: Fields): CommandEvents {
  return {
    ...frameFrom(fields, 'command'),
    events: listFrom(fields['events'], 'command.events').map((value) => {
      const each = fieldsOf(value, 'command.events');
      return { ...positionFrom(each), transition: commandTransitionFrom(each['transition']) };
    }),
    ...requestFrom(fields),
  };
}

export function leaseEventsFrom(fields: Fields): LeaseEvents {
  return {
    ...frameFrom(fields, 'lease'),
    events: listFrom(fields['events'], 'lease.events').map((value) => {
      const each = fieldsOf(value, 'lease.events');
      return { ...positionFrom(each), transition: leaseTransitionFrom(each['transition']) };
    }),
    ...requestFrom(fields),
  };
}

export function acceptedFrom(fields: Fields): Accepted {
  return { request: textOf(fields, 'request', 'accepted'), ...optionalTexts(fields, 'accepted', ['action']) };
}

const alarmTexts = [
  'previous',
  'cause',
  'limit',
  'alarmClass',
  'epoch',
  'tag',
  'by',
  'note',
  'message',
  'action',
] as const;
const alarmNumbers = ['ruleVersion', 'priority', 'activated', 'seq', 'limitValue', 'until'] as const;

export function alarmTransitionFrom(value: unknown): AlarmTransition {
  const where = 'transition';
  const fields = fieldsOf(value, where);
  const context = listFrom(fields['context'], `${where}.context`).map(readingFrom);
  return {
    id: textOf(fields, 'id', where, ''),
    alarm: textOf(fields, 'alarm', where, ''),
    rule: textOf(fields, 'rule', where, ''),
    device: textOf(fields, 'device', where),
    number: countOf(fields, 'number', where, 0),
    state: textOf(fields, 'state', where, 'normal'),
    time: numberOf(fields, 'time', where, 0),
    ...optionalTexts(fields, where, alarmTexts),
    ...optionalNumbers(fields, where, alarmNumbers),
    ...optionalValues(fields, where, ['value']),
    ...(context.length === 0 ? {} : { context }),
    ...(fields['firstOut'] == null ? {} : { firstOut: booleanOf(fields, 'firstOut', where) }),
  };
}

export function commandTransitionFrom(value: unknown): CommandTransition {
  const where = 'transition';
  const fields = fieldsOf(value, where);
  const params = fieldsOf(fields['params'] ?? {}, `${where}.params`);
  const names = Object.keys(params);
  return {
    id: textOf(fields, 'id', where, ''),
    device: textOf(fields, 'device', where, ''),
    number: countOf(fields, 'number', where, 0),
    state: textOf(fields, 'state', where, ''),
    time: numberOf(fields, 'time', where, 0),
    ...optionalTexts(fields, where, ['key', 'name', 'by', 'code', 'message', 'confirmedBy', 'awaits']),
    ...(names.length === 0
      ? {}
      : { params: optionalValues(params, `${where}.params`, names) as Record<string, EventValue> }),
    ...optionalNumbers(fields, where, ['deadline']),
    ...optionalValues(fields, where, ['before', 'after']),
  };
}

export function leaseTransitionFrom(value: unknown): LeaseTransition {
  const where = 'transition';
  const fields = fieldsOf(value, where);
  return {
    scope: textOf(fields, 'scope', where),
    token: countOf(fields, 'token', where, 0),
    time: numberOf(fields, 'time', where, 0),
    ...optionalTexts(fields, where, ['holder', 'action', 'previous']),
    ...optionalNumbers(fields, where, ['until']),
  };
}

function refusedFrom(value: unknown): AlarmActionRefused {
  const where = 'refused';
  const fields = fieldsOf(value, where);
  return {
    action: textOf(fields, 'action', where, ''),
    device: textOf(fields, 'device', where),
    rule: textOf(fields, 'rule', where, ''),
    code: textOf(fields, 'code', where, ''),
    ...optionalTexts(fields, where, ['message']),
  };
}

function readingFrom(value: unknown): AlarmReading {
  const where = 'transition.context';
  const fields = fieldsOf(value, where);
  return {
    tag: textOf(fields, 'tag', where, ''),
    ...optionalValues(fields, where, ['value']),
    ...optionalTexts(fields, where, ['unit']),
    ...optionalNumbers(fields, where, ['time']),
  };
}

function frameFrom(fields: Fields, where: string): EventFrameFields {
  return {
    view: countOf(fields, 'view', where, 0),
    ...(booleanOf(fields, 'snapshot', where, false) ? { snapshot: true } : {}),
    ...(booleanOf(fields, 'snapshotComplete', where, false) ? { snapshotComplete: true } : {}),
  };
}

function positionFrom(fields: Fields): EventPosition {
  return {
    partition: countOf(fields, 'partition', 'events', 0),
    ...(fields['seq'] == null ? {} : { seq: countOf(fields, 'seq', 'events') }),
  };
}

function requestFrom(fields: Fields): { readonly request?: string } {
  return optionalTexts(fields, 'message', ['request']);
}

/** Returns the texts that are neither absent nor empty. */
function optionalTexts<K extends string>(fields: Fields, where: string, keys: readonly K[]): { [each in K]?: string } {
  const texts: { [each in K]?: string } = {};
  for (const key of keys) if (fields[key] != null && fields[key] !== '') texts[key] = textOf(fields, key, where);
  return texts;
}

function optionalNumbers<K extends string>(
  fields: Fields,
  where: string,
  keys: readonly K[],
): { [each in K]?: number } {
  const numbers: { [each in K]?: number } = {};
  for (const key of keys) if (fields[key] != null) numbers[key] = numberOf(fields, key, where);
  return numbers;
}

/** Returns the values that are present, each a finite number, a boolean or a text. */
export function optionalValues<K extends string>(
  fields: Fields,
  where: string,
  keys: readonly K[],
): { [each in K]?: EventValue } {
  const values: { [each in K]?: EventValue } = {};
  for (const key of keys) {
    const value = fields[key];
    if (value == null) continue;
    if (typeof value !== 'boolean' && typeof value !== 'string' && !Number.isFinite(value))
      throw invalidMessage(`${where}.${key}: expected a finite number, boolean or text, got ${shown(value)}`);
    values[key] = value as EventValue;
  }
  return values;
}
