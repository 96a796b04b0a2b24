import {
  alarmTransitionFromProto,
  commandTransitionFromProto,
  leaseTransitionFromProto,
} from '@tailrace/protocol/control-event';
import type {
  AlarmActionRefused,
  AlarmTransition,
  CommandTransition,
  LeaseTransition,
} from '@tailrace/protocol/control-event-json';
import { tailrace } from '@tailrace/protocol/generated';

const { Event } = tailrace.v1;

interface EventBase {
  readonly partition: number;
  /** Position in the topic of events; undefined: before what the topic has. */
  readonly seq: number | undefined;
  /** The bytes of the log, an `Event`. */
  readonly bytes: Uint8Array;
  /** The device, or the scope of a lease: a pattern. */
  readonly of: string;
}

/** An event of an alarm, a command or a lease, in the topic of events. */
export type ControlEvent = EventBase &
  (
    | { readonly kind: 'alarm'; readonly transition: AlarmTransition; readonly owner: number }
    | { readonly kind: 'refused'; readonly refused: AlarmActionRefused; readonly owner: number }
    | { readonly kind: 'command'; readonly transition: CommandTransition }
    | { readonly kind: 'lease'; readonly transition: LeaseTransition }
  );

/** A process of alarms has taken over the partition. */
export interface OwnerEvent {
  readonly kind: 'owner';
}

/** The tags of the fields of `Event` that clients may watch; all others are of sessions and of services. */
const watchedTags: ReadonlySet<number> = new Set([tagOf(5), tagOf(7), tagOf(8), tagOf(9)]);
const ownerField = 20;

function tagOf(field: number): number {
  return (field << 3) | 2;
}

/**
 * Decodes a record of the topic of events. Undefined: it is for no client, as those of sessions, which are most.
 * `invalid`: it is no event.
 */
export function controlEventFrom(
  partition: number,
  seq: number | undefined,
  bytes: Uint8Array,
): ControlEvent | OwnerEvent | 'invalid' | undefined {
  const [first = 0, second = 0] = bytes;
  // The tag of a field above 15 has two bytes.
  const isOwner = first === ((tagOf(ownerField) & 0x7f) | 0x80) && second === tagOf(ownerField) >>> 7;
  if (!isOwner && !watchedTags.has(first)) return undefined;
  try {
    const event = Event.decode(bytes);
    if (event.alarmOwner) return { kind: 'owner' };
    return watchedEventFrom({ partition, seq, bytes }, event);
  } catch {
    return 'invalid';
  }
}

function watchedEventFrom(base: Omit<EventBase, 'of'>, event: tailrace.v1.Event): ControlEvent | undefined {
  const { alarmTransition, alarmActionRefused, commandTransition, leaseTransition } = event;
  if (alarmTransition) {
    const transition = alarmTransitionFromProto(alarmTransition);
    return { ...base, kind: 'alarm', of: transition.device, transition, owner: alarmTransition.owner ?? 0 };
  }
  if (alarmActionRefused) {
    const { action = '', device = '', rule = '', code = '', message = '', owner } = alarmActionRefused;
    const refused = { action, device, rule, code, ...(message === '' ? {} : { message }) } as AlarmActionRefused;
    return { ...base, kind: 'refused', of: refused.device, refused, owner: owner ?? 0 };
  }
  if (commandTransition) {
    const transition = commandTransitionFromProto(commandTransition);
    return { ...base, kind: 'command', of: transition.device, transition };
  }
  if (leaseTransition) {
    const transition = leaseTransitionFromProto(leaseTransition);
    return { ...base, kind: 'lease', of: transition.scope, transition };
  }
  return undefined;
}
