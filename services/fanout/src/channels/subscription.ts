import type { Timer } from '@tailrace/platform/clock';
import { assertTransition, type Transitions } from '@tailrace/platform/transition';
import { shown, type TailraceError } from '@tailrace/protocol/error';
import type { Positions } from '@tailrace/protocol/position';
import type { Missing } from '@tailrace/protocol/server-message';
import type { CatchUp } from '../catch-up/catch-up.ts';
import type { WorkQueue } from '../catch-up/work-scheduler.ts';
import type { ConnectionViews } from '../views/connection-views.ts';
import type { View } from '../views/view.ts';
import type { Encoding, ViewOptions } from '../views/view-options.ts';
import type { Channel } from './channels.ts';
import type { Mutex } from './mutex.ts';
import type { Snapshot } from './snapshot.ts';

/** A client as the hub needs it: frames can be sent to it, and it can join the topic of a view. */
export interface Subscriber {
  readonly encoding: Encoding;
  /** Runs the work that it causes beside the live path, and charges the user for it. */
  readonly work: WorkQueue;
  /** Its subscriptions use memory to start or to catch up one at a time, and to replay one at a time. */
  readonly catchUpMutex: Mutex;
  readonly replayMutex: Mutex;
  /** The views of its subscriptions. */
  readonly views: ConnectionViews;
  /** Sends the head of the subscription. Its snapshot and backlog follow, then it joins the topic. */
  sendHead(subscription: Subscription, start: SubscriptionStart): void;
  /** Returns undefined if a frame can be written. Else resolves when the caller should ask again. */
  whenWritable(): Promise<void> | undefined;
  /** Sends a frame to this client alone. */
  send(subscription: Subscription, frame: string | Uint8Array): void;
  /**
   * Joins the topic, which delivers what follows. `position`: after a replay, the token of what the client has so far.
   */
  join(subscription: Subscription, position?: string): void;
  /** Leaves the topic, before anything else is published. */
  leave(subscription: Subscription): void;
}

export interface SubscriptionStart {
  readonly epoch: string;
  /** Position token. */
  readonly position: string;
  /** Devices in the snapshot. */
  readonly devices: number;
  /** With `after` or `from`: whether everything after it follows, and the ranges that do not. */
  readonly recovered?: boolean;
  readonly missing?: readonly Missing[];
}

export interface SubscribeRequest {
  readonly id: string;
  /** A valid pattern. */
  readonly channel: string;
  readonly snapshot: boolean;
  /** The position of a client that resumes. */
  readonly after?: Positions;
  /** Epoch ms: reports received since then are replayed. Not with `after`. */
  readonly from?: number;
  /** Speed of that replay; absent: as fast as the client reads. */
  readonly speed?: number;
  readonly options?: ViewOptions;
}

/**
 * - `waiting`: the channel has not joined all its partitions yet, or the backlog is being read.
 * - `behind`: started, and not on the topic; `catchUp` brings it to the position of the channel.
 * - `live`: on the topic.
 * - `paused`: by its client; `catchUp` has its position.
 * - `closed`: nothing is sent for it.
 */
export type SubscriptionState = 'waiting' | 'behind' | 'live' | 'paused' | 'closed';

const transitions: Transitions<SubscriptionState> = {
  waiting: ['behind', 'closed'],
  behind: ['live', 'paused', 'closed'],
  live: ['behind', 'paused', 'closed'],
  paused: ['behind', 'closed'],
  closed: [],
};

/** Opens, serves and closes subscriptions: the hub. */
export interface SubscriptionOwner {
  onLive(subscription: Subscription): void;
  unsubscribe(subscription: Subscription): void;
}

export interface SubscriptionOptions {
  readonly channel: Channel;
  readonly view: View;
  readonly subscriber: Subscriber;
  readonly request: SubscribeRequest;
  /** When the client sent the request, monotonic ms. */
  readonly requestedMs: number;
  readonly owner: SubscriptionOwner;
  /** Called once if the owner closes it with an error. */
  readonly onRefused: (error: TailraceError) => void;
}

/** The subscription of one client to one channel. Only its methods change its state, one for each event. */
export class Subscription {
  readonly channel: Channel;
  readonly view: View;
  readonly subscriber: Subscriber;
  readonly request: SubscribeRequest;
  readonly requestedMs: number;
  /** A snapshot that is not sent completely. The client may pause in the middle of it. */
  snapshot: Snapshot | undefined;
  /** Whether it counts as a replay with a speed. */
  isPaced = false;
  /** While waiting. */
  deadline: Timer | undefined;
  readonly #owner: SubscriptionOwner;
  readonly #onRefused: (error: TailraceError) => void;
  #state: SubscriptionState = 'waiting';
  #catchUp: CatchUp | undefined;

  constructor(options: SubscriptionOptions) {
    this.channel = options.channel;
    this.view = options.view;
    this.subscriber = options.subscriber;
    this.request = options.request;
    this.requestedMs = options.requestedMs;
    this.#owner = options.owner;
    this.#onRefused = options.onRefused;
  }

  get state(): SubscriptionState {
    return this.#state;
  }

  /** While behind, and while paused. */
  get catchUp(): CatchUp | undefined {
    return this.#catchUp;
  }

  /** The channel is live: called once, by the channel. */
  onLive(): void {
    this.deadline?.cancel();
    this.#owner.onLive(this);
  }

  /** Called before the head is sent. */
  start(catchUp: CatchUp): void {
    this.#enter('behind', catchUp);
  }

  /** Called when the client is complete and on the topic. */
  join(): void {
    this.#enter('live', undefined);
  }

  /** Called when the client reads too slowly, and was taken off the topic. */
  fallBehind(catchUp: CatchUp): void {
    this.#enter('behind', catchUp);
  }

  /** `catchUp`: its position. */
  pause(catchUp: CatchUp): void {
    this.#enter('paused', catchUp);
    catchUp.stop();
  }

  resume(catchUp: CatchUp): void {
    this.#enter('behind', catchUp);
  }

  close(): void {
    this.#enter('closed', this.#catchUp);
    this.#catchUp?.stop();
    this.deadline?.cancel();
  }

  /** Closes it with an error. Idempotent. */
  refuse(error: TailraceError): void {
    if (this.#state === 'closed') return;
    this.#owner.unsubscribe(this);
    this.#onRefused(error);
  }

  #enter(state: SubscriptionState, catchUp: CatchUp | undefined): void {
    assertTransition(`subscription ${shown(this.request.id)}`, transitions, this.#state, state);
    if (catchUp !== this.#catchUp) this.#catchUp?.stop();
    this.#state = state;
    this.#catchUp = catchUp;
  }
}
