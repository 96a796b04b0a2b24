import type { Clock, Timer } from '@tailrace/platform/clock';
import { TailraceError, tailraceErrorFrom } from '@tailrace/protocol/error';
import { Positions, tokenFromPositions } from '@tailrace/protocol/position';
import { type FrameMarks, type Missing, noMarks } from '@tailrace/protocol/servermessage';
import type { Arrival } from './arrival.ts';
import type { Channel } from './channel.ts';
import type { Channels } from './channels.ts';
import type { Ownership } from './ownership.ts';
import type { Resume } from './resume.ts';
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
  /** With `after`: whether everything after it follows, and what does not. */
  readonly recovered?: boolean;
  readonly missing?: readonly Missing[];
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
  /** Of a client that was away. */
  readonly after: Positions | undefined;
  state: 'waiting' | 'live' | 'ended';
  /** While waiting. */
  deadline?: Timer;
}

/** Of snapshots and of what was missed. */
const frameBytesMax = 64 * 1024;
const snapshotMarks: FrameMarks = Object.freeze({ snapshot: true });

/** Where clients' wishes meet what the node has: opens channels, joins snapshot and live without a gap, lets channels go. */
export class Hub {
  readonly #channels: Channels;
  readonly #views: Views;
  readonly #ownership: Pick<Ownership, 'admit' | 'release' | 'next' | 'partitions'>;
  readonly #epoch: string;
  readonly #snapshotBytesMax: number;
  readonly #clock: Clock;
  readonly #joinDeadlineMs: number;
  readonly #past: Pick<Resume, 'reach' | 'missed'>;

  constructor(parts: {
    channels: Channels;
    views: Views;
    ownership: Pick<Ownership, 'admit' | 'release' | 'next' | 'partitions'>;
    epoch: string;
    snapshotBytesMax: number;
    clock: Clock;
    /** How long a subscription may wait for the owners of its partitions. */
    joinDeadlineMs: number;
    past: Pick<Resume, 'reach' | 'missed'>;
  }) {
    this.#channels = parts.channels;
    this.#views = parts.views;
    this.#ownership = parts.ownership;
    this.#epoch = parts.epoch;
    this.#snapshotBytesMax = parts.snapshotBytesMax;
    this.#clock = parts.clock;
    this.#joinDeadlineMs = parts.joinDeadlineMs;
    this.#past = parts.past;
  }

  /**
   * Begins a subscription to a valid pattern, now or as soon as the channel is live. `onRefused` is told where that does not happen within
   * `joinDeadlineMs`, or its snapshot is larger than `snapshotBytesMax`; the subscription has ended then.
   */
  subscribe(
    subscriber: Subscriber,
    wish: { id: string; channel: string; snapshot: boolean; after?: Positions },
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
      after: wish.after,
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
      if (subscription.after !== undefined) {
        this.#resume(subscription, subscription.after).catch((thrown: unknown) => refuse(tailraceErrorFrom(thrown)));
        return;
      }
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
    if (subscription.state === 'waiting' && !channel.live) {
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

  /**
   * For a client that was away: first what it missed, which may have to be read, then, in one moment, what came meanwhile, and the topic. The tap takes what came
   * meanwhile from the very turn in which it is settled up to where is read.
   */
  async #resume(subscription: Subscription, after: Positions): Promise<void> {
    const { channel, view } = subscription;
    await this.#past.reach(channel, after);
    if (subscription.state !== 'waiting') return;
    const tap: Arrival[] = [];
    channel.taps.add(tap);
    try {
      const missed = await this.#past.missed(channel, after);
      if (subscription.state !== 'waiting') return;
      this.#views.flush();
      const positions = new Positions(this.#epoch);
      for (const { partition, from } of missed) positions.advance(partition, from - 1);
      const missing = missed.flatMap((each) => each.missing ?? []);
      // Of what is missing the last values can still be had; they are older than what follows, so that positions only grow.
      const snapshot = subscription.snapshot ? this.#snapshot(channel, view, missing) : { devices: 0, frames: [] };
      const news = [...this.#frames(view, [...missed.flatMap(({ arrivals }) => arrivals), ...tap], noMarks)];
      subscription.state = 'live';
      subscription.subscriber.begin(subscription, {
        epoch: this.#epoch,
        position: tokenFromPositions(positions),
        devices: snapshot.devices,
        frames: [...snapshot.frames, ...news],
        recovered: missing.length === 0,
        ...(missing.length === 0 ? {} : { missing }),
      });
    } finally {
      channel.taps.delete(tap);
    }
  }

  /** Last values; with `within`, only those whose reports lie in these ranges. */
  #snapshot(
    channel: Channel,
    view: View,
    within?: readonly Missing[],
  ): { devices: number; frames: (string | Uint8Array)[] } {
    const arrivals: Arrival[] = [];
    let bytes = 0;
    let devices = 0;
    let device = '';
    for (const partition of channel.partitions) {
      const range = within?.find((each) => each.partition === partition);
      if (within !== undefined && range === undefined) continue;
      for (const arrival of this.#ownership.partitions[partition]!.lastValues(channel)) {
        if (range !== undefined && (arrival.seq < range.from || arrival.seq > range.to)) continue;
        if (arrival.report.device !== device) devices++;
        device = arrival.report.device;
        bytes += sizeIn(view, arrival);
        if (bytes > this.#snapshotBytesMax) throw snapshotTooLarge(channel.pattern, this.#snapshotBytesMax);
        arrivals.push(arrival);
      }
    }
    return { devices, frames: [...this.#frames(view, arrivals, snapshotMarks)] };
  }

  /** Cut so that no frame holds up the socket for long. */
  *#frames(view: View, arrivals: readonly Arrival[], marks: FrameMarks): Iterable<string | Uint8Array> {
    let from = 0;
    let bytes = 0;
    for (const [i, arrival] of arrivals.entries()) {
      const size = sizeIn(view, arrival);
      if (bytes + size > frameBytesMax && i > from) {
        yield view.frame(arrivals.slice(from, i), marks);
        from = i;
        bytes = 0;
      }
      bytes += size;
    }
    if (from < arrivals.length) yield view.frame(arrivals.slice(from), marks);
  }
}

function sizeIn(view: View, arrival: Arrival): number {
  return view.encoding === 'json' ? Buffer.byteLength(arrival.json) : arrival.delivery.length;
}

function snapshotTooLarge(channel: string, bytesMax: number): TailraceError {
  return new TailraceError(
    'limit_reached',
    `the last values of ${channel} are more than ${bytesMax} bytes; subscribe to smaller subtrees, or with "snapshot": false`,
  );
}
