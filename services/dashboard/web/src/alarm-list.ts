import { computed, type ReadonlySignal, type Signal, signal } from '@preact/signals';
import type { AlarmActionRefused, AlarmTransition } from '@tailrace/client/control';
import type { ControlError } from './control-words.ts';

/** The present alarms of a channel. */
export interface ChannelAlarms {
  readonly alarms: readonly AlarmTransition[];
  readonly isLive: boolean;
}

/** Refusals that are known at once. */
const refusalsMax = 100;

/** The present alarms of all channels of the page, the most important first, and the actions that were refused. */
export class AlarmList {
  readonly current: ReadonlySignal<readonly AlarmTransition[]>;
  /** Whether the alarms of all channels are complete and up to date. */
  readonly isLive: ReadonlySignal<boolean>;
  readonly unacknowledged: ReadonlySignal<number>;
  /** Why actions were refused, by their IDs. */
  readonly refusals: Signal<ReadonlyMap<string, ControlError>> = signal(new Map());
  readonly #channels: Signal<ReadonlyMap<string, ChannelAlarms>> = signal(new Map());

  constructor() {
    this.current = computed(() => merged([...this.#channels.value.values()].map(({ alarms }) => alarms)));
    this.isLive = computed(() => {
      const channels = [...this.#channels.value.values()];
      return channels.length > 0 && channels.every(({ isLive }) => isLive);
    });
    this.unacknowledged = computed(() => this.current.value.filter(isUnacknowledged).length);
  }

  set(channel: string, alarms: ChannelAlarms): void {
    this.#channels.value = new Map(this.#channels.peek()).set(channel, alarms);
  }

  delete(channel: string): void {
    const channels = new Map(this.#channels.peek());
    channels.delete(channel);
    this.#channels.value = channels;
  }

  refused({ action, code, message }: Pick<AlarmActionRefused, 'action' | 'code' | 'message'>): void {
    const refusals = new Map(this.refusals.peek()).set(action, { code, message: message ?? code });
    const [oldest] = refusals.keys();
    if (refusals.size > refusalsMax) refusals.delete(oldest!);
    this.refusals.value = refusals;
  }
}

/** Returns the alarms of disjoint lists in one, in the order of `Alarms.current`. */
function merged(lists: readonly (readonly AlarmTransition[])[]): readonly AlarmTransition[] {
  const [first = [], ...others] = lists;
  if (others.length === 0) return first;
  return lists
    .flat()
    .sort(
      (a, b) =>
        Number(isUnacknowledged(b)) - Number(isUnacknowledged(a)) ||
        (a.priority ?? 5) - (b.priority ?? 5) ||
        (b.activated ?? b.time) - (a.activated ?? a.time),
    );
}

/** Whether a person has to acknowledge the alarm. */
export function isUnacknowledged({ state }: Pick<AlarmTransition, 'state'>): boolean {
  return state === 'unacknowledged' || state === 'returned_unacknowledged';
}

const stateWords: Readonly<Record<string, string>> = {
  unacknowledged: 'Unacknowledged',
  acknowledged: 'Acknowledged',
  returned_unacknowledged: 'Returned, unacknowledged',
  latched: 'Returned, reset needed',
  shelved: 'Shelved',
  suppressed: 'Suppressed by design',
  out_of_service: 'Out of service',
};

/** Returns the words for a state; a later server may have more states. */
export function stateWord(state: string): string {
  return stateWords[state] ?? state.replaceAll('_', ' ');
}

/** What a person can do about an alarm. */
export type AlarmAction = 'acknowledge' | 'shelve' | 'unshelve' | 'reset' | 'return_to_service';

/** A transition or a refusal follows an action within this time, ms, unless alarms is away. */
const appliedWithinMs = 5_000;

/** Returns whether an action that was sent should have been applied or refused by now. */
export function isLate(sentMs: number, nowMs: number): boolean {
  return nowMs > sentMs + appliedWithinMs;
}

/** Returns what a person can do about an alarm in a state, the most usual first. */
export function actionsFor(state: string): readonly AlarmAction[] {
  switch (state) {
    case 'unacknowledged':
    case 'returned_unacknowledged':
      return ['acknowledge', 'shelve'];
    case 'acknowledged':
      return ['shelve'];
    case 'latched':
      return ['reset', 'shelve'];
    case 'shelved':
      return ['unshelve'];
    case 'out_of_service':
      return ['return_to_service'];
    default:
      return [];
  }
}
