import {
  type Accepted,
  type AlarmEvents,
  type AlarmTransition,
  acceptedFrom,
  alarmCauses,
  alarmEventsFrom,
  alarmStates,
  alarmTransitionFrom,
  type CommandEvents,
  type CommandTransition,
  commandEventsFrom,
  commandProgresses,
  commandTransitionFrom,
  confirmers,
  type EventValue,
  type LeaseEvents,
  type LeaseTransition,
  leaseActions,
  leaseEventsFrom,
  leaseTransitionFrom,
} from './control-event-json.ts';
import type { tailrace } from './generated/tailrace.js';

/*
 * Between the Protobuf form of alarms, commands and leases and the form of control-event-json.ts.
 */

type Loose = Record<string, unknown>;

/** Numbers of an enumeration count from 1 in the order of its words; 0 is unspecified. */
function wordOf(words: readonly string[], number: unknown): string | undefined {
  return typeof number === 'number' && number > 0 ? (words[number - 1] ?? `unknown_${number}`) : undefined;
}

function numberOfWord(words: readonly string[], word: unknown): number {
  const known = typeof word === 'string' ? /^unknown_(\d+)$/.exec(word) : null;
  return known ? Number(known[1]) : words.indexOf(word as string) + 1;
}

/** Returns the value of a `CommandValue`; undefined where it is absent. */
export function eventValueOf(value: tailrace.v1.ICommandValue | null | undefined): EventValue | undefined {
  return value?.number ?? value?.boolean ?? value?.text ?? undefined;
}

export function eventValueProto(value: EventValue | undefined): tailrace.v1.CommandValue.$Properties | undefined {
  if (value === undefined) return undefined;
  if (typeof value === 'number') return { number: value };
  return typeof value === 'boolean' ? { boolean: value } : { text: value };
}

/** Returns the fields without those that are empty: proto3 does not distinguish them from absent ones. */
function present(fields: object): Loose {
  const result: Loose = {};
  for (const [key, value] of Object.entries(fields))
    if (value != null && value !== '' && value !== 0 && value !== false) result[key] = value;
  return result;
}

function plain(message: object): Loose {
  return Object.fromEntries(Object.entries(message));
}

/** Converts a decoded transition. Throws `invalid_message` for one with numbers that are not finite. */
export function alarmTransitionFromProto(message: tailrace.v1.IAlarmTransition): AlarmTransition {
  const { state, previous, cause, value, context, seq, limitValue, until } = message;
  return alarmTransitionFrom({
    ...present(plain(message)),
    seq,
    limitValue,
    until,
    state: wordOf(alarmStates, state) ?? 'normal',
    previous: wordOf(alarmStates, previous),
    cause: wordOf(alarmCauses, cause),
    value: eventValueOf(value),
    context: context?.map((reading) => ({ ...present(plain(reading)), value: eventValueOf(reading.value) })),
  });
}

export function alarmTransitionProto(transition: AlarmTransition): tailrace.v1.AlarmTransition.$Properties {
  const { state, previous, cause, value, context, ...others } = transition;
  return {
    ...others,
    state: numberOfWord(alarmStates, state),
    previous: numberOfWord(alarmStates, previous),
    cause: numberOfWord(alarmCauses, cause),
    value: eventValueProto(value),
    context: context?.map((reading) => ({ ...reading, value: eventValueProto(reading.value) })),
  } as tailrace.v1.AlarmTransition.$Properties;
}

export function commandTransitionFromProto(message: tailrace.v1.ICommandTransition): CommandTransition {
  const { state, confirmedBy, params, before, after } = message;
  const values = Object.entries(params ?? {}).map(([name, value]) => [name, eventValueOf(value)]);
  return commandTransitionFrom({
    ...present(plain(message)),
    state: wordOf(commandProgresses, state),
    confirmedBy: wordOf(confirmers, confirmedBy),
    params: Object.fromEntries(values),
    before: eventValueOf(before),
    after: eventValueOf(after),
  });
}

export function commandTransitionProto(transition: CommandTransition): tailrace.v1.CommandTransition.$Properties {
  const { state, confirmedBy, params, before, after, ...others } = transition;
  return {
    ...others,
    state: numberOfWord(commandProgresses, state),
    confirmedBy: numberOfWord(confirmers, confirmedBy),
    params: paramsProto(params ?? {}),
    before: eventValueProto(before),
    after: eventValueProto(after),
  } as tailrace.v1.CommandTransition.$Properties;
}

export function paramsProto(
  params: Readonly<Record<string, EventValue>>,
): Record<string, tailrace.v1.CommandValue.$Properties> {
  return Object.fromEntries(Object.entries(params).map(([name, value]) => [name, eventValueProto(value)!]));
}

/** Returns the positions of last values that a person has seen, by tag, as Protobuf has them. */
export function seenProto(seen: Readonly<Record<string, number>> = {}): tailrace.v1.SeenTag.$Properties[] {
  return Object.entries(seen).map(([tag, position]) => ({ tag, position }));
}

export function leaseTransitionFromProto(message: tailrace.v1.ILeaseTransition): LeaseTransition {
  return leaseTransitionFrom({ ...present(plain(message)), action: wordOf(leaseActions, message.action) });
}

export function leaseTransitionProto(transition: LeaseTransition): tailrace.v1.LeaseTransition.$Properties {
  return { ...transition, action: leaseActionNumber(transition.action) } as tailrace.v1.LeaseTransition.$Properties;
}

/** Returns the number of a `LeaseAction`; 0 for none. */
export function leaseActionNumber(action: string | undefined): number {
  return numberOfWord(leaseActions, action);
}

/** Returns the word of a `LeaseAction`; undefined for none. */
export function leaseActionWord(number: unknown): string | undefined {
  return wordOf(leaseActions, number);
}

/** The messages of a server that have events, and `accepted`. */
export type ControlServerMessage =
  | { readonly alarm: AlarmEvents }
  | { readonly command: CommandEvents }
  | { readonly lease: LeaseEvents }
  | { readonly accepted: Accepted };

/** Returns the message for `ServerMessage.encode`; undefined for one of another kind. */
export function controlServerMessageProto(message: object): object | undefined {
  const { alarm, command, lease } = message as Partial<Record<'alarm' | 'command' | 'lease', unknown>>;
  if (alarm !== undefined) {
    const { events, ...frame } = alarm as AlarmEvents;
    const protos = events.map(({ transition, refused, ...position }) =>
      transition === undefined
        ? { ...position, refused }
        : { ...position, transition: alarmTransitionProto(transition) },
    );
    return { alarm: { ...frame, events: protos } };
  }
  if (command !== undefined) {
    const { events, ...frame } = command as CommandEvents;
    const protos = events.map(({ transition, ...position }) => ({
      ...position,
      transition: commandTransitionProto(transition),
    }));
    return { command: { ...frame, events: protos } };
  }
  if (lease !== undefined) {
    const { events, ...frame } = lease as LeaseEvents;
    const protos = events.map(({ transition, ...position }) => ({
      ...position,
      transition: leaseTransitionProto(transition),
    }));
    return { lease: { ...frame, events: protos } };
  }
  return undefined;
}

/** Converts a decoded message of the kind; undefined for one of another kind. Throws `invalid_message`. */
export function controlServerMessageFromProto(kind: string, fields: object): ControlServerMessage | undefined {
  const { events = [], ...frame } = fields as { events?: Loose[] };
  const each = (convert: (transition: never) => unknown) =>
    events.map((event) => ({
      partition: event['partition'],
      seq: event['seq'],
      refused: event['refused'],
      transition: event['transition'] == null ? undefined : convert(event['transition'] as never),
    }));
  const plainFrame = { ...frame };
  if (kind === 'alarm') return { alarm: alarmEventsFrom({ ...plainFrame, events: each(alarmTransitionFromProto) }) };
  if (kind === 'command')
    return { command: commandEventsFrom({ ...plainFrame, events: each(commandTransitionFromProto) }) };
  if (kind === 'lease') return { lease: leaseEventsFrom({ ...plainFrame, events: each(leaseTransitionFromProto) }) };
  if (kind === 'accepted') return { accepted: acceptedFrom({ ...plainFrame }) };
  return undefined;
}
