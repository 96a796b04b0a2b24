import type { Timer } from '@tailrace/platform/clock';
import type { TailraceError } from '@tailrace/protocol/error';
import type { Positions } from '@tailrace/protocol/position';
import type { Missing } from '@tailrace/protocol/server-message';
import type { CatchUp } from '../catch-up/catch-up.ts';
import type { WorkQueue } from '../catch-up/work-scheduler.ts';
import type { ConnectionViews } from '../views/connection-views.ts';
import type { View } from '../views/view.ts';
import type { Encoding, ViewOptions } from '../views/view-options.ts';
import type { Channel } from './channel.ts';
import type { Mutex } from './mutex.ts';
import type { Snapshot } from './snapshot.ts';

/** A client as the hub sees it: something that can be told, and be put on a topic. */
export interface Subscriber {
  readonly encoding: Encoding;
  /** Takes the work that it causes beside the live path, and is charged for it. */
  readonly work: WorkQueue;
  /** For what its subscriptions hold while they begin or catch up, and while they replay: one at a time. */
  readonly turns: Mutex;
  readonly replayTurns: Mutex;
  /** Those that its subscriptions are on. */
  readonly views: ConnectionViews;
  /** The subscription has begun: its head. Its snapshot and what it missed are given, then it joins. */
  begin(subscription: Subscription, start: SubscriptionStart): void;
  /** Undefined: there is room for a frame. Else resolves when it is worth asking again. */
  room(): Promise<void> | undefined;
  /** A frame for this client alone. */
  give(subscription: Subscription, frame: string | Uint8Array): void;
  /** On the topic, which brings the rest. `position`: where the client asked for the past, a token of up to where it has it. */
  join(subscription: Subscription, position?: string): void;
  /** Off the topic, before anything else is published. */
  part(subscription: Subscription): void;
}

export interface SubscriptionStart {
  readonly epoch: string;
  /** Position token. */
  readonly position: string;
  /** Devices in the snapshot. */
  readonly devices: number;
  /** With `after` or `from`: whether everything after it follows, and what does not. */
  readonly recovered?: boolean;
  readonly missing?: readonly Missing[];
}

export interface SubscribeRequest {
  readonly id: string;
  /** A valid pattern. */
  readonly channel: string;
  readonly snapshot: boolean;
  /** Of a client that was away. */
  readonly after?: Positions;
  /** Epoch ms: what has come since is replayed. Not with `after`. */
  readonly from?: number;
  /** Of that replay; absent: as fast as the client reads. */
  readonly speed?: number;
  readonly options?: ViewOptions;
}

/**
 * One client's wish to watch one channel.
 * - `waiting`: the channel has not joined all its partitions yet, or what the client missed is being read.
 * - `behind`: begun, and not on the topic: on its `catchUp` to where the channel is.
 * - `live`: on the topic.
 * - `paused`: its client wants nothing for now; `catchUp` says where it is.
 * - `ended`: let go.
 */
export interface Subscription {
  readonly channel: Channel;
  readonly view: View;
  readonly subscriber: Subscriber;
  readonly wish: SubscribeRequest;
  state: 'waiting' | 'behind' | 'live' | 'paused' | 'ended';
  catchUp: CatchUp | undefined;
  /** What of it has not been sent yet; its client may pause in the middle of it. */
  snapshot: Snapshot | undefined;
  /** Whether it counts as a replay with a speed. */
  paced: boolean;
  /** While waiting. */
  deadline: Timer | undefined;
  /** Its channel is live. */
  readonly onLive: () => void;
  /** Ends it with an error. Idempotent. */
  readonly refuse: (error: TailraceError) => void;
}
