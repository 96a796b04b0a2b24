import { tailrace } from '@tailrace/protocol/generated';
import type { LeaseAction } from './lease.ts';

const { Event, LeaseAction: Action } = tailrace.v1;

/** The holder of a lease has changed, or its time. */
export interface LeaseTransition {
  readonly scope: string;
  /** Fencing token. */
  readonly token: number;
  /** Subject; '' for none: the scope is free. */
  readonly holder: string;
  /** Epoch ms. */
  readonly until: number;
  readonly action: LeaseAction | 'expire';
  /** Subject of the former holder; '' for none. */
  readonly previous: string;
  /** Epoch ms by the clock of control. */
  readonly time: number;
}

const actions = {
  expire: Action.LEASE_ACTION_UNSPECIFIED,
  acquire: Action.LEASE_ACTION_ACQUIRE,
  renew: Action.LEASE_ACTION_RENEW,
  release: Action.LEASE_ACTION_RELEASE,
  take_over: Action.LEASE_ACTION_TAKE_OVER,
} as const;

export function leaseMessage(transition: LeaseTransition): tailrace.v1.ILeaseTransition {
  return { ...transition, action: actions[transition.action] };
}

/** Returns the record of `<prefix>.events` of a transition. */
export function leaseEvent(transition: LeaseTransition): Uint8Array {
  return Event.encode({ leaseTransition: leaseMessage(transition) }).finish();
}

/** Returns the action of a request over the bus; undefined for another number. */
export function leaseActionFrom(number: number | null | undefined): LeaseAction | undefined {
  const all = ['acquire', 'renew', 'release', 'take_over'] as const;
  return all.find((action) => actions[action] === number);
}
