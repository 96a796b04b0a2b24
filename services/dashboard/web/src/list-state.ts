import type { SubscriptionState } from '@tailrace/client/state';

/** State of the list of devices and of the subscriptions to the visible ones. */
export type ListState =
  | { readonly name: 'waiting' }
  | { readonly name: 'live' }
  /** The server has not read reports of visible devices since then, epoch ms of its clock. */
  | { readonly name: 'interrupted'; readonly since: number }
  | { readonly name: 'failed'; readonly error: { readonly code: string; readonly message: string } };

export interface ListStateSources {
  /** The worst state of the subscriptions to the visible devices. */
  readonly visible: ListState;
  /** Of the subscription to the selected device. On a narrow screen it is the only subscription. */
  readonly device: SubscriptionState;
  /** Whether the list of devices is complete. */
  readonly isComplete: boolean;
  /** Why the list of devices cannot be loaded. */
  readonly error: { readonly code: string; readonly message: string } | undefined;
}

/** Returns the state of the whole page: an interruption first, then an error of the list, then the visible devices. */
export function listStateFrom({ visible, device, isComplete, error }: ListStateSources): ListState {
  const worst =
    device.name === 'interrupted' ? worstOf([visible, { name: device.name, since: device.since }]) : visible;
  if (worst.name === 'interrupted') return worst;
  if (error !== undefined) return { name: 'failed', error };
  return isComplete ? worst : { name: 'waiting' };
}

/** Returns the earliest interruption; without one, an error; without that, `live`. */
export function worstOf(states: Iterable<ListState>): ListState {
  let worst: ListState = { name: 'live' };
  for (const state of states) {
    if (state.name === 'interrupted') {
      if (worst.name !== 'interrupted' || state.since < worst.since) worst = state;
    } else if (worst.name === 'live') worst = state;
  }
  return worst;
}
