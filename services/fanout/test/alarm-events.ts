import { alarmTransitionProto, commandTransitionProto, leaseTransitionProto } from '@tailrace/protocol/control-event';
import type { AlarmTransition, CommandTransition, LeaseTransition } from '@tailrace/protocol/control-event-json';
import { tailrace } from '@tailrace/protocol/generated';

const { Event } = tailrace.v1;

export const rule = 'too-hot';

/** Returns a transition: odd numbers raise the alarm, even ones return it to normal. */
export function alarmOf(device: string, number: number, fields: Partial<AlarmTransition> = {}): AlarmTransition {
  const isRaised = number % 2 === 1;
  return {
    id: `${device}-${number}`,
    alarm: `${device}-${Math.ceil(number / 2)}`,
    rule,
    device,
    number,
    state: isRaised ? 'unacknowledged' : 'normal',
    cause: isRaised ? 'raised' : 'returned',
    priority: 2,
    time: 1_700_000_000_000 + number,
    value: 92.5,
    ...fields,
  };
}

/** `owner`: position of the `AlarmOwner` of the writer. */
export function alarmEvent(transition: AlarmTransition, owner = 0): tailrace.v1.Event.$Properties {
  return { alarmTransition: { ...alarmTransitionProto(transition), owner } };
}

export function commandEvent(transition: CommandTransition): tailrace.v1.Event.$Properties {
  return { commandTransition: commandTransitionProto(transition) };
}

export function leaseEvent(transition: LeaseTransition): tailrace.v1.Event.$Properties {
  return { leaseTransition: leaseTransitionProto(transition) };
}

export function bytesOf(event: tailrace.v1.Event.$Properties): Uint8Array {
  return Event.encode(event).finish();
}
