import type { Timer } from '@tailrace/platform/clock';
import type { TailraceError } from '@tailrace/protocol/error';
import type { Positions } from '@tailrace/protocol/position';
import type { Missing } from '@tailrace/protocol/server-message';
import type { CatchUp } from '../catch-up/catch-up.ts';
import type { WorkQueue } from '../catch-up/work-scheduler.ts';
import type { ConnectionViews } from '../views/connection-views.ts';
import type { Encoding, View } from '../views/view.ts';
import type { ViewOptions } from '../views/view-options.ts';
import type { Channel } from './channel.ts';
import type { Mutex } from './mutex.ts';
import type { Snapshot } from './snapshot.ts';

/** A client as the hub needs it: frames can be sent to it, and it can join the topic of a view. */
export interface Subscriber {
  readonly encoding: Encoding;
  /** Runs the work that it causes beside the live path, and charges the user for it. */
  readonly work: WorkQueue;
  /** Its subscriptions use memory to start or to catch up one at a time, and to replay one at a time. */
  readonly turns: Mutex;
  readonly replayTurns: Mutex;
  /** The views of its subscriptions. */
  readonly views: ConnectionViews;
  /** Sends `subscribed`. The snapshot and the backlog follow, then the subscription joins the topic. */
  begin(subscription: Subscription, start: SubscriptionStart): void;
  /** Returns undefined if a frame can be written. Else resolves when the caller should ask again. */
  room(): Promise<void> | undefined;
  /** Sends a frame to this client alone. */
  give(subscription: Subscription, frame: string | Uint8Array): void;
  /**
   * Joins the topic, which delivers what follows. `position`: after a replay, the token of what the client has so far.
   */
  join(subscription: Subscription, position?: string): void;
  /** Leaves the topic, before anything else is published. */
  part(subscription: Subscription): void;
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
 * The subscription of one client to one channel.
 * - `waiting`: the channel has not joined all its partitions yet, or the backlog is being read.
 * - `behind`: started, and not on the topic; `catchUp` brings it to the position of the channel.
 * - `live`: on the topic.
 * - `paused`: by its client; `catchUp` has its position.
 * - `ended`: closed.
 */
export interface Subscription {
  readonly channel: Channel;
  readonly view: View;
  readonly subscriber: Subscriber;
  readonly wish: SubscribeRequest;
  state: 'waiting' | 'behind' | 'live' | 'paused' | 'ended';
  catchUp: CatchUp | undefined;
  /** A snapshot that is not sent completely. The client may pause in the middle of it. */
  snapshot: Snapshot | undefined;
  /** Whether it counts as a replay with a speed. */
  paced: boolean;
  /** While waiting. */
  deadline: Timer | undefined;
  /** Called when the channel is live. */
  readonly onLive: () => void;
  /** Closes it with an error. Idempotent. */
  readonly refuse: (error: TailraceError) => void;
}
