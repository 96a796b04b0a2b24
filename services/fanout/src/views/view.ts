import type { Clock } from '@tailrace/platform/clock';
import { dataFrameBytes, dataFrameJson, type FrameFlags, noFlags } from '@tailrace/protocol/server-message';
import type { SkippedReason } from '@tailrace/protocol/skipped';
import type { LogReport } from '../channels/log-report.ts';
import type { Cutter } from './cut.ts';
import { LastSentBudget } from './last-sent-readings.ts';
import { Pace, type PaceBudget } from './pace.ts';
import type { Publication } from './publication.ts';
import { Shape, type ShapeParts } from './shape.ts';
import type { SharedMessage } from './shared-message.ts';
import { type Encoding, isPlain, noOptions, type ViewOptions, viewKey } from './view-options.ts';

/** Sends one frame to every socket of a topic. The stream server is one; a test passes a literal. */
export interface Broadcast {
  publish(topic: string, frame: string | Uint8Array): void;
}

/**
 * One way of seeing a channel. All sockets of a view are subscribed to one topic and get the same frames, each encoded once.
 * Reports gather while a batch is worked through and leave in one frame when `Views.flush` ends it; with `maxRate` they may wait for longer.
 *
 * What a client is told beside the topic, in its snapshot or because it was away or slow, goes through `lastValues` or `shaped`, then `frame`, in
 * the same turn in which it is handed to the socket, the last of it in the turn in which the socket joins the topic. Before that turn takes last values
 * or says where the client stands, `Views.flush(view)` sends what waits.
 */
export class View {
  /** The number under which clients know it; unique on this node. */
  readonly number: number;
  readonly topic: string;
  readonly encoding: Encoding;
  readonly options: ViewOptions;
  /** Of views that are equal, so that a connection may be on several: 1, 2, 3 … */
  readonly copy: number;
  /** On the topic. */
  sockets = 0;
  /** That want it, on the topic or not yet. */
  subscriptions = 0;
  readonly pending: Publication[] = [];
  /** Undefined: everything as it comes. */
  readonly shape: Shape | undefined;
  /** With `align`, for one of the views that get the same cuts: everything goes there. */
  cutter: Cutter | undefined;
  /** With `maxRate`: takes the place of `pending`. */
  readonly pace: Pace | undefined;

  constructor(number: number, encoding: Encoding, options: ViewOptions, shape?: Shape, pace?: Pace, copy = 1) {
    this.number = number;
    this.topic = `v${number}`;
    this.encoding = encoding;
    this.options = options;
    this.copy = copy;
    this.shape = shape;
    this.pace = pace;
  }

  /** Last values as one client of the view is told them: cut to `tags`, else exact and whole, whatever the deadband. */
  lastValues(logReports: readonly LogReport[]): readonly Publication[] {
    return this.shape === undefined ? logReports : this.shape.lastValues(logReports, this.sockets === 0);
  }

  /**
   * Reports of the past, oldest first, as one client of the view is told them: cut to `tags`, and by a deadband that begins with them; never `delta`.
   * To conflate them, conflate what this returns.
   */
  shaped(logReports: readonly LogReport[]): readonly Publication[] {
    return this.shape === undefined ? logReports : this.shape.shaped(logReports, this.sockets === 0);
  }

  /** One data frame with these reports. */
  frame(reports: readonly Publication[], marks: FrameFlags): string | Uint8Array {
    return this.encoding === 'json'
      ? dataFrameJson(
          this.number,
          reports.map((report) => report.json),
          marks,
        )
      : dataFrameBytes(
          this.number,
          reports.map((report) => report.delivery),
          marks,
        );
  }
}

export interface ViewLimits {
  /** As in `ShapeParts`. */
  readonly keyFrameMs: number;
  /** Readings that all views with `deadband` or `delta` remember together. */
  readonly toldReadingsMax: number;
  /** Bytes of reports that all views with `maxRate` hold together. */
  readonly pacedBytesMax: number;
}

/** The views of a channel, by their keys: equal for equal views of different connections. */
export type ChannelViews = Map<string, View>;

/** What is seen. */
export interface ViewedChannel {
  readonly pattern: string;
  readonly views: ChannelViews;
  /** Those of `views` without options, and those with. */
  readonly plainViews: Set<View>;
  readonly shapedViews: Set<View>;
  /** Reports of this batch that views with options have not looked at yet. */
  readonly unshaped: LogReport[];
}

/** The views that one connection is on, which limits them: see `ConnectionViews`. */
export interface ViewHolder {
  /** Returns the number of the copy for one more subscription to a group of equal views. */
  nextCopy(group: string, first: View | undefined): number;
  /** Throws `limit_reached`. */
  assertRoom(view: View | undefined, pattern: string): void;
  add(view: View, group: string, pattern: string): void;
  remove(view: View, group: string): void;
}

/** The views of this node, and those that have something to send. */
export class Views {
  /** Frames published, reports times sockets they went to, and reports that views told only in sum, or not at all. */
  readonly counts = { frames: 0, deliveries: 0, conflated: 0, untagged: 0, heldBack: 0 };
  readonly limits: ViewLimits;
  readonly told: LastSentBudget;
  readonly paced: PaceBudget;
  /** Views there are, and those of them with options. */
  size = 0;
  shaped = 0;
  readonly #broadcast: Broadcast;
  readonly #clock: Pick<Clock, 'monotonic' | 'after'>;
  readonly #shapes: ShapeParts;
  #dirty: View[] = [];
  #unshaped: ViewedChannel[] = [];
  #lastNumber = 0;

  constructor(broadcast: Broadcast, clock: Pick<Clock, 'monotonic' | 'after'>, limits: ViewLimits) {
    this.#broadcast = broadcast;
    this.#clock = clock;
    this.limits = limits;
    this.told = new LastSentBudget(limits.toldReadingsMax);
    this.paced = { bytes: 0, bytesMax: limits.pacedBytesMax };
    this.#shapes = { budget: this.told, keyFrameMs: limits.keyFrameMs, counts: this.counts };
  }

  /**
   * The view of a channel for one more subscription of a connection, made if it is new. `leave` for each call. Throws
   * `limit_reached` where the connection or its user may have no view with options more; without options there is
   * always room.
   */
  enter(
    channel: ViewedChannel,
    encoding: Encoding,
    options: ViewOptions = noOptions,
    connection?: ViewHolder,
  ): View {
    const { pattern, views } = channel;
    const first = viewKey(encoding, options);
    const group = groupOf(pattern, first);
    const copy = connection?.nextCopy(group, views.get(first)) ?? 1;
    const key = keyOfCopy(first, copy);
    let view = views.get(key);
    if (!isPlain(options)) connection?.assertRoom(view, pattern);
    if (view === undefined) {
      view = this.#create(encoding, options, copy);
      views.set(key, view);
      this.size++;
      if (view.shape === undefined) channel.plainViews.add(view);
      else {
        channel.shapedViews.add(view);
        this.shaped++;
      }
    }
    view.subscriptions++;
    connection?.add(view, group, pattern);
    return view;
  }

  /** A subscription goes. With the last one the view goes, and all that it remembers. */
  leave(channel: ViewedChannel, view: View, connection?: ViewHolder): void {
    const { pattern, views } = channel;
    const first = viewKey(view.encoding, view.options);
    connection?.remove(view, groupOf(pattern, first));
    if (--view.subscriptions > 0) return;
    views.delete(keyOfCopy(first, view.copy));
    this.size--;
    if (view.shape === undefined) channel.plainViews.delete(view);
    else {
      channel.shapedViews.delete(view);
      this.shaped--;
    }
    forget(view);
  }

  #create(encoding: Encoding, options: ViewOptions, copy: number): View {
    const number = ++this.#lastNumber;
    if (isPlain(options)) return new View(number, encoding, options, undefined, undefined, copy);
    const pace = options.maxRate === undefined ? undefined : new Pace(options.maxRate, this.paced);
    return new View(number, encoding, options, new Shape(options, this.#shapes), pace, copy);
  }

  /** A report for all views of a channel. Those with options look at it when the others have sent what has gathered. */
  add(channel: ViewedChannel, logReport: LogReport): void {
    for (const view of channel.plainViews) {
      if (view.sockets > 0 && view.pending.push(logReport) === 1) this.#dirty.push(view);
    }
    if (channel.shapedViews.size > 0 && channel.unshaped.push(logReport) === 1) this.#unshaped.push(channel);
  }

  /** Tells everybody on the view, before what has gathered for it. */
  tell(view: View, message: SharedMessage): void {
    if (view.sockets > 0) this.#broadcast.publish(view.topic, message.frame(view.encoding));
  }

  /** A frame made elsewhere, with so many reports. */
  send(view: View, frame: string | Uint8Array, reports: number): void {
    if (view.sockets === 0) return;
    this.#broadcast.publish(view.topic, frame);
    this.counts.frames++;
    this.counts.deliveries += reports * view.sockets;
  }

  /** Notifies all clients of the channel that reports of it are not available: no loss is silent. */
  tellMissing(
    channel: {
      readonly views: ReadonlyMap<string, View>;
      readonly liveBuffers: ReadonlySet<{ overflow(): void }>;
    },
    partition: number,
    from: number,
    until: number,
    reason: SkippedReason,
  ): void {
    const skipped = [{ partition, device: '', from, to: until - 1, count: 0, reason }];
    for (const view of channel.views.values()) {
      this.flush(view);
      this.send(view, view.frame([], { skipped }), 0);
    }
    // Who is catching up would not see that something is missing between what it reads and what it taps.
    for (const liveBuffer of channel.liveBuffers) liveBuffer.overflow();
  }

  /**
   * Sends what has gathered. Called at the end of every batch, so that between two turns of the loop nothing is pending but what a rate holds back;
   * of `whole`, which somebody is about to join, that goes, too.
   */
  flush(whole?: View): void {
    this.#flushDirty();
    if (this.#unshaped.length > 0) {
      const channels = this.#unshaped;
      this.#unshaped = [];
      for (const channel of channels) this.#shape(channel);
      this.#flushDirty();
    }
    if (whole?.pace !== undefined) this.#sendPaced(whole, whole.pace);
  }

  /** One view after the other: what each remembers of the devices is at hand then. */
  #shape({ shapedViews, unshaped }: ViewedChannel): void {
    const logReports = unshaped.splice(0);
    for (const view of shapedViews) {
      for (const logReport of logReports) this.#addShaped(view, view.shape!, logReport);
    }
  }

  #flushDirty(): void {
    if (this.#dirty.length === 0) return;
    const dirty = this.#dirty;
    this.#dirty = [];
    for (const view of dirty) {
      if (view.pace !== undefined) this.#flushPaced(view, view.pace);
      else if (view.pending.length > 0) {
        const reports = view.shape?.sent(view.pending, this.#clock.monotonic()) ?? view.pending;
        this.#publish(view, reports, noFlags);
        view.pending.length = 0;
      }
    }
  }

  #addShaped(view: View, shape: Shape, logReport: LogReport): void {
    const { align } = view.options;
    if (view.sockets === 0 && align === undefined) {
      forget(view);
      return;
    }
    // Of the views that share a cutter one feeds it.
    if (align !== undefined && view.cutter === undefined) return;
    const shown = shape.taken(logReport);
    if (shown === undefined) return;
    if (align !== undefined) {
      view.cutter?.take(shown);
      return;
    }
    if (view.pace === undefined) {
      if (view.pending.push(shown) === 1) this.#dirty.push(view);
      return;
    }
    const wasEmpty = view.pace.empty;
    if (view.pace.hold(shown) || wasEmpty) this.#dirty.push(view);
  }

  /** Now if it is due, else when it is. */
  #flushPaced(view: View, pace: Pace): void {
    if (pace.empty) return;
    const waitMs = pace.dueMs - this.#clock.monotonic();
    if (waitMs <= 0) this.#sendPaced(view, pace);
    else pace.timer ??= this.#clock.after(waitMs, () => this.#sendPaced(view, pace));
  }

  #sendPaced(view: View, pace: Pace): void {
    if (pace.empty) return;
    const nowMs = this.#clock.monotonic();
    const { logReports, skipped } = pace.take(nowMs);
    for (const { count } of skipped) this.counts.conflated += count;
    const shown = view.shape?.sent(logReports, nowMs) ?? logReports;
    this.#publish(view, shown, skipped.length === 0 ? noFlags : { skipped });
  }

  #publish(view: View, reports: readonly Publication[], marks: FrameFlags): void {
    this.#broadcast.publish(view.topic, view.frame(reports, marks));
    this.counts.frames++;
    this.counts.deliveries += reports.length * view.sockets;
  }
}

function groupOf(pattern: string, key: string): string {
  return `${pattern} ${key}`;
}

function keyOfCopy(first: string, copy: number): string {
  return copy === 1 ? first : `${first} ${copy}`;
}

/** Nobody is on the view: what it holds has no taker, and what it has told nobody remembers. */
function forget(view: View): void {
  view.pending.length = 0;
  view.shape?.clear();
  view.pace?.clear();
}
