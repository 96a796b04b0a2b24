import type { AlarmActionRefused, AlarmEvent, AlarmTransition } from '@tailrace/protocol/control-event-json';
import { notify } from './notify.ts';
import type { SubscriptionState } from './state.ts';
import type { Stream } from './stream.ts';
import type { Subscription } from './subscription.ts';

/** Alarms whose last number is known while they are normal. */
const normalsMax = 100_000;

/** The current alarms of a channel. */
export interface Alarms {
  /** The last transitions of the alarms that are not normal, the most important first. A new array at each change. */
  readonly current: readonly AlarmTransition[];
  /** Whether `current` is complete and up to date. */
  readonly isLive: boolean;
  readonly state: SubscriptionState;
  /** Calls `listener` after each change of `current` or of the state. Returns a function that removes it. */
  onChange(listener: () => void): () => void;
  /** Calls `listener` with each transition, once; not with those of a snapshot. Returns a function that removes it. */
  onTransition(listener: (transition: AlarmTransition) => void): () => void;
  /** Calls `listener` with each refused action on an alarm of the channel. Returns a function that removes it. */
  onRefused(listener: (refused: AlarmActionRefused) => void): () => void;
  /** Closes the subscription. Idempotent. */
  close(): void;
}

/**
 * Keeps the current alarms of a channel: of each rule and device the last transition, unless it is normal. A transition
 * whose number is not above the known one is dropped: a server may send it again.
 */
export class AlarmStore implements Alarms {
  readonly #subscription: Subscription;
  readonly #listeners = new Set<() => void>();
  readonly #transitionListeners = new Set<(transition: AlarmTransition) => void>();
  readonly #refusedListeners = new Set<(refused: AlarmActionRefused) => void>();
  #alarms = new Map<string, AlarmTransition>();
  #numbers = new Map<string, number>();
  /** The alarms of a snapshot that is not complete. They replace `#alarms` then. */
  #snapshot: Map<string, AlarmTransition> | undefined;
  #current: readonly AlarmTransition[] | undefined = [];

  constructor(stream: Stream, channel: string) {
    this.#subscription = stream.subscribe(channel, {
      alarms: true,
      onAlarms: (events, isSnapshot) => this.#take(events, isSnapshot),
      onSnapshotComplete: () => this.#complete(),
      onState: (state) => {
        // The server sends the alarms again, and not what has changed: those that are missing have become normal.
        if (state.name === 'live') this.#snapshot = state.recovered === true ? undefined : new Map();
        this.#changed();
      },
    });
  }

  get state(): SubscriptionState {
    return this.#subscription.state;
  }

  get isLive(): boolean {
    return this.state.name === 'live' && this.#snapshot === undefined;
  }

  get current(): readonly AlarmTransition[] {
    this.#current ??= [...this.#alarms.values()].sort(byImportance);
    return this.#current;
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  onTransition(listener: (transition: AlarmTransition) => void): () => void {
    this.#transitionListeners.add(listener);
    return () => this.#transitionListeners.delete(listener);
  }

  onRefused(listener: (refused: AlarmActionRefused) => void): () => void {
    this.#refusedListeners.add(listener);
    return () => this.#refusedListeners.delete(listener);
  }

  close(): void {
    this.#subscription.unsubscribe();
  }

  #take(events: readonly AlarmEvent[], isSnapshot: boolean): void {
    for (const { transition, refused } of events) {
      if (refused !== undefined) for (const listener of [...this.#refusedListeners]) notify(() => listener(refused));
      if (transition === undefined) continue;
      const key = `${transition.device} ${transition.rule}`;
      if (isSnapshot) {
        this.#snapshot ??= new Map();
        this.#snapshot.set(key, transition);
      } else if (transition.number > (this.#numbers.get(key) ?? 0)) {
        this.#numbers.set(key, transition.number);
        setIn(this.#alarms, key, transition);
        if (this.#snapshot !== undefined) setIn(this.#snapshot, key, transition);
        for (const listener of [...this.#transitionListeners]) notify(() => listener(transition));
      }
    }
    while (this.#numbers.size > normalsMax + this.#alarms.size) {
      const [oldest] = this.#numbers.keys();
      this.#numbers.delete(oldest!);
    }
    this.#changed();
  }

  #complete(): void {
    if (this.#snapshot === undefined) return;
    this.#alarms = this.#snapshot;
    this.#numbers = new Map([...this.#alarms].map(([key, { number }]) => [key, number]));
    this.#snapshot = undefined;
    this.#changed();
  }

  #changed(): void {
    this.#current = undefined;
    for (const listener of [...this.#listeners]) notify(listener);
  }
}

function setIn(alarms: Map<string, AlarmTransition>, key: string, transition: AlarmTransition): void {
  if (transition.state === 'normal') alarms.delete(key);
  else alarms.set(key, transition);
}

/** Unacknowledged before others, then by priority, then the newest activation first. */
function byImportance(a: AlarmTransition, b: AlarmTransition): number {
  return (
    Number(isAcknowledged(a)) - Number(isAcknowledged(b)) ||
    (a.priority ?? 5) - (b.priority ?? 5) ||
    (b.activated ?? b.time) - (a.activated ?? a.time) ||
    (a.device < b.device ? -1 : 1)
  );
}

function isAcknowledged({ state }: AlarmTransition): boolean {
  return state !== 'unacknowledged' && state !== 'returned_unacknowledged';
}
