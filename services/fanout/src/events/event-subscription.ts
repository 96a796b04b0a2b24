import type { Timer } from '@tailrace/platform/clock';
import { assertTransition, type Transitions } from '@tailrace/platform/transition';
import { shown, type TailraceError } from '@tailrace/protocol/error';
import type { Positions } from '@tailrace/protocol/position';
import type { Missing } from '@tailrace/protocol/server-message';
import type { Encoding } from '../views/view-options.ts';
import type { ControlEvent } from './control-event.ts';

/** What a subscription to events selects. */
export interface EventKinds {
  readonly alarms: boolean;
  readonly commands: boolean;
}

export interface EventSubscribeRequest extends EventKinds {
  readonly id: string;
  /** A valid pattern. */
  readonly channel: string;
  readonly snapshot: boolean;
  readonly after?: Positions;
}

export interface EventSubscriptionStart {
  readonly view: number;
  readonly epoch: string;
  /** Position token. */
  readonly position: string;
  /** Events in the snapshot. */
  readonly snapshot: number;
  readonly recovered?: boolean;
  readonly missing?: readonly Missing[];
}

/** A client as the hub of events needs it. No method throws. */
export interface EventSubscriber {
  readonly encoding: Encoding;
  sendHead(subscription: EventSubscription, start: EventSubscriptionStart): void;
  /** Sends a frame ahead of all data that waits; closes the connection where too much waits. */
  send(frame: string | Uint8Array): void;
  /** As `Socket.whenWritable`. */
  whenWritable(): Promise<void> | undefined;
  /** Sends a frame while `whenWritable` returns undefined. */
  sendData(frame: string | Uint8Array): void;
  join(topic: string): void;
  leave(topic: string): void;
  /** Closes the connection: the client reads too slowly. */
  endAsTooSlow(): void;
}

/** Clients with the same pattern, kinds and encoding get the same frames. */
export interface EventView extends EventKinds {
  readonly number: number;
  readonly topic: string;
  readonly pattern: string;
  readonly encoding: Encoding;
  readonly key: string;
  readonly partitions: readonly number[];
  readonly subscriptions: Set<EventSubscription>;
  readonly subscribers: Set<EventSubscriber>;
  /** Those that are on the topic. */
  joined: number;
}

/**
 * - `waiting`: for the boards of its partitions.
 * - `starting`: its snapshot or backlog is sent as fast as the client reads; events that arrive meanwhile are queued.
 * - `live`: on the topic of its view.
 * - `direct`: its socket is full. Events are sent to it alone, ahead of the data that waits.
 * - `closed`: nothing is sent for it.
 */
export type EventSubscriptionState = 'waiting' | 'starting' | 'live' | 'direct' | 'closed';

const transitions: Transitions<EventSubscriptionState> = {
  waiting: ['starting', 'closed'],
  starting: ['live', 'closed'],
  live: ['direct', 'closed'],
  direct: ['live', 'closed'],
  closed: [],
};

/** The subscription of one client to the events of one channel. `EventHub` changes its state. */
export class EventSubscription {
  readonly request: EventSubscribeRequest;
  readonly view: EventView;
  readonly subscriber: EventSubscriber;
  readonly onRefused: (error: TailraceError) => void;
  /** While waiting. */
  deadline: Timer | undefined;
  /** While waiting: the partition whose board is not ready, or behind the position of the client. */
  awaited: number | undefined;
  /** While starting. */
  queue: ControlEvent[] = [];
  /** The position from which it can resume, while it is starting or direct. */
  resumeFrom: Positions | undefined;
  #state: EventSubscriptionState = 'waiting';

  constructor(
    request: EventSubscribeRequest,
    view: EventView,
    subscriber: EventSubscriber,
    onRefused: (error: TailraceError) => void,
  ) {
    this.request = request;
    this.view = view;
    this.subscriber = subscriber;
    this.onRefused = onRefused;
  }

  get state(): EventSubscriptionState {
    return this.#state;
  }

  enter(state: EventSubscriptionState): void {
    assertTransition(`subscription ${shown(this.request.id)}`, transitions, this.#state, state);
    this.#state = state;
  }
}
