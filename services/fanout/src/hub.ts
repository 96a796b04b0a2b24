import type { Clock, Timer } from '@tailrace/platform/clock';
import { TailraceError, tailraceErrorFrom } from '@tailrace/protocol/error';
import { Positions, tokenFromPositions } from '@tailrace/protocol/position';
import type { Arrival } from './arrival.ts';
import type { Channel } from './channel.ts';
import type { Channels } from './channels.ts';
import type { Ownership } from './ownership.ts';
import type { Encoding, View, Views } from './view.ts';

/** A client as the hub sees it: something that can be told, and be put on a topic. */
export interface Subscriber {
  readonly encoding: Encoding;
  /** The subscription has begun: its head, and the frames of its snapshot. From the next flush on the topic brings the rest. */
  begin(subscription: Subscription, start: SubscriptionStart): void;
}

export interface SubscriptionStart {
  readonly epoch: string;
  /** Position token. */
  readonly position: string;
  /** Devices in the snapshot. */
  readonly devices: number;
  readonly frames: readonly (string | Uint8Array)[];
}

/**
 * One client's wish to watch one channel.
 * - `waiting`: the channel has not joined all its partitions yet.
 * - `live`: begun.
 * - `ended`: let go.
 */
export interface Subscription {
  readonly id: string;
  readonly channel: Channel;
  readonly view: View;
  readonly subscriber: Subscriber;
  readonly snapshot: boolean;
  state: 'waiting' | 'live' | 'ended';
  /** While waiting. */
  deadline?: Timer;
}

/** Frames of a snapshot are cut at about this size, so that no single one holds up the socket. */
const snapshotFrameBytesMax = 64 * 1024;

/** Where clients' wishes meet what the node has: opens channels, joins snapshot and live without a gap, lets channels go. */
export class Hub {
  readonly #channels: Channels;
  readonly #views: Views;
  readonly #ownership: Pick<Ownership, 'admit' | 'release' | 'next' | 'partitions'>;
  readonly #epoch: string;
  readonly #snapshotBytesMax: number;
  readonly #clock: Clock;
  readonly #joinDeadlineMs: number;

  constructor(parts: {
    channels: Channels;
    views: Views;
    ownership: Pick<Ownership, 'admit' | 'release' | 'next' | 'partitions'>;
    epoch: string;
    snapshotBytesMax: number;
    clock: Clock;
    /** How long a subscription may wait for the owners of its partitions. */
    joinDeadlineMs: number;
  }) {
    this.#channels = parts.channels;
    this.#views = parts.views;
    this.#ownership = parts.ownership;
    this.#epoch = parts.epoch;
    this.#snapshotBytesMax = parts.snapshotBytesMax;
    this.#clock = parts.clock;
    this.#joinDeadlineMs = parts.joinDeadlineMs;
  }

  /**
   * Begins a subscription to a valid pattern, now or as soon as the channel is live. `onRefused` is told where that does not happen within
   * `joinDeadlineMs`, or its snapshot is larger than `snapshotBytesMax`; the subscription has ended then.
   */
  subscribe(
    subscriber: Subscriber,
    wish: { id: string; channel: string; snapshot: boolean },
    onRefused: (error: TailraceError) => void,
  ): Subscription {
    const isNew = this.#channels.find(wish.channel) === undefined;
    const channel = this.#channels.open(wish.channel);
    let view = channel.views.get(subscriber.encoding);
    if (view === undefined) {
      view = this.#views.create(subscriber.encoding);
      channel.views.set(subscriber.encoding, view);
    }
    const subscription: Subscription = {
      id: wish.id,
      channel,
      view,
      subscriber,
      snapshot: wish.snapshot,
      state: 'waiting',
    };
    channel.subscriptions++;
    const refuse = (error: TailraceError) => {
      this.unsubscribe(subscription);
      onRefused(error);
    };
    const begin = () => {
      if (subscription.state !== 'waiting') return;
      subscription.deadline?.cancel();
      try {
        this.#begin(subscription);
      } catch (thrown) {
        // Whatever it is, it concerns this client: the others wait for their turn, and the batch that made the channel live goes on.
        refuse(tailraceErrorFrom(thrown));
      }
    };
    channel.onLive.push(begin);
    if (isNew) this.#ownership.admit(channel);
    else if (channel.live) for (const call of channel.onLive.splice(0)) call();
    if (subscription.state === 'waiting') {
      subscription.deadline = this.#clock.after(this.#joinDeadlineMs, () => refuse(this.#notJoined(channel)));
    }
    return subscription;
  }

  #notJoined(channel: Channel): TailraceError {
    const missing = channel.partitions.filter((partition) => channel.slot(partition).state !== 'joined');
    return new TailraceError(
      'unavailable',
      `nobody served ${channel.pattern} within ${this.#joinDeadlineMs} ms: partitions ${missing.join(', ')} wait for their owners; try again`,
    );
  }

  /** Idempotent. The last one to leave closes the channel. */
  unsubscribe(subscription: Subscription): void {
    if (subscription.state === 'ended') return;
    subscription.state = 'ended';
    subscription.deadline?.cancel();
    const { channel } = subscription;
    if (--channel.subscriptions > 0) return;
    this.#channels.close(channel);
    this.#ownership.release(channel);
  }

  /**
   * One moment: what was pending goes to those who were there before, then the snapshot is taken, then the subscriber joins the topic.
   * So the snapshot holds exactly what came before the first frame of the topic.
   */
  #begin(subscription: Subscription): void {
    const { channel, view } = subscription;
    this.#views.flush();
    const positions = new Positions(this.#epoch);
    for (const partition of channel.partitions) {
      positions.advance(partition, this.#ownership.next(channel, partition) - 1);
    }
    const snapshot = subscription.snapshot ? this.#snapshot(channel, view) : { devices: 0, frames: [] };
    subscription.state = 'live';
    subscription.subscriber.begin(subscription, {
      epoch: this.#epoch,
      position: tokenFromPositions(positions),
      ...snapshot,
    });
  }

  #snapshot(channel: Channel, view: View): { devices: number; frames: (string | Uint8Array)[] } {
    const frames: (string | Uint8Array)[] = [];
    let arrivals: Arrival[] = [];
    let frameBytes = 0;
    let bytes = 0;
    let devices = 0;
    let device = '';
    for (const partition of channel.partitions) {
      for (const arrival of this.#ownership.partitions[partition]!.lastValues(channel)) {
        if (arrival.report.device !== device) devices++;
        device = arrival.report.device;
        const size = view.encoding === 'json' ? Buffer.byteLength(arrival.json) : arrival.delivery.length;
        bytes += size;
        if (bytes > this.#snapshotBytesMax) throw snapshotTooLarge(channel.pattern, this.#snapshotBytesMax);
        if (frameBytes + size > snapshotFrameBytesMax && arrivals.length > 0) {
          frames.push(view.frame(arrivals, true));
          arrivals = [];
          frameBytes = 0;
        }
        arrivals.push(arrival);
        frameBytes += size;
      }
    }
    if (arrivals.length > 0) frames.push(view.frame(arrivals, true));
    return { devices, frames };
  }
}

function snapshotTooLarge(channel: string, bytesMax: number): TailraceError {
  return new TailraceError(
    'limit_reached',
    `the last values of ${channel} are more than ${bytesMax} bytes; subscribe to smaller subtrees, or with "snapshot": false`,
  );
}
