import type { Clock } from '@tailrace/platform/clock';
import { dataFrameBytes, dataFrameJson, type FrameFlags, noFlags } from '@tailrace/protocol/server-message';
import type { SkippedReason } from '@tailrace/protocol/skipped';
import type { LogReport } from '../channels/log-report.ts';
import type { Cutter } from './cut.ts';
import { LastSentBudget } from './last-sent-readings.ts';
import { Pace, type PaceBudget } from './pace.ts';
import type { Publication } from './publication.ts';
import { Shape, type ShapeContext } from './shape.ts';
import type { SharedMessage } from './shared-message.ts';
import { type Encoding, isPlain, noOptions, type ViewOptions, viewKey } from './view-options.ts';

/** Publishes a frame to every socket of a topic. `StreamSockets` is one; a test passes a literal. */
export interface Broadcast {
  publish(topic: string, frame: string | Uint8Array): void;
}

/**
 * A channel in one encoding, with one set of options. All sockets of a view are subscribed to one topic and receive the
 * same frames, each encoded once. Reports of a batch are collected and sent in one frame by `Views.flush`; with
 * `maxRate` they may wait longer.
 *
 * What one client receives outside the topic (its snapshot, its backlog) passes `lastValues` or `shaped`, then `frame`,
 * in the turn of the event loop in which it is written to the socket. The last of it is written in the turn in which
 * the socket joins the topic. Before that turn reads last values or the client's position, `Views.flush(view)` sends
 * what is pending.
 */
export class View {
  /** The number by which clients refer to the view; unique on this node. */
  readonly number: number;
  readonly topic: string;
  readonly encoding: Encoding;
  readonly options: ViewOptions;
  /** Distinguishes equal views, so that a connection may be on several: 1, 2, 3 … */
  readonly copy: number;
  /** The number of sockets on the topic. */
  sockets = 0;
  /** The number of subscriptions, whether their socket is on the topic or not yet. */
  subscriptions = 0;
  readonly pending: Publication[] = [];
  /** Undefined where reports are sent as they come. */
  readonly shape: Shape | undefined;
  /** With `align`: receives all reports. Set for one of the views that share it. */
  cutter: Cutter | undefined;
  /** With `maxRate`: holds the reports instead of `pending`. */
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

  /** Returns last values for one client of the view: limited to `tags`, otherwise whole, whatever the deadband. */
  lastValues(logReports: readonly LogReport[]): readonly Publication[] {
    return this.shape === undefined ? logReports : this.shape.lastValues(logReports, this.sockets === 0);
  }

  /**
   * Returns reports of the history, oldest first, for one client of the view: limited to `tags`, and filtered by a
   * deadband that starts with them; never `delta`. To conflate them, conflate the result.
   */
  shaped(logReports: Iterable<LogReport>): Iterable<Publication> {
    return this.shape === undefined ? logReports : this.shape.shaped(logReports, this.sockets === 0);
  }

  /** Encodes a data frame with these reports. */
  frame(reports: readonly Publication[], flags: FrameFlags): string | Uint8Array {
    return this.encoding === 'json'
      ? dataFrameJson(
          this.number,
          reports.map((report) => report.json),
          flags,
        )
      : dataFrameBytes(
          this.number,
          reports.map((report) => report.delivery),
          flags,
        );
  }
}

export interface ViewLimits {
  /** As in `ShapeContext`. */
  readonly keyFrameMs: number;
  /** The number of last-sent readings that all views with `deadband` or `delta` remember together. */
  readonly lastSentReadingsMax: number;
  /** The bytes of reports that all views with `maxRate` hold together. */
  readonly pacedBytesMax: number;
}

/** The views of a channel, by `viewKey`. */
export type ChannelViews = Map<string, View>;

/** A channel as its views use it. */
export interface ViewedChannel {
  readonly pattern: string;
  readonly views: ChannelViews;
  /** The views without options, and those with options. */
  readonly plainViews: Set<View>;
  readonly shapedViews: Set<View>;
  /** Reports of this batch that views with options have not processed yet. */
  readonly unshaped: LogReport[];
}

/** The views that one connection is on, which limits them: see `ConnectionViews`. */
export interface ViewHolder {
  /** Returns the number of the copy for one more subscription to a group of equal views. */
  nextCopy(group: string, first: View | undefined): number;
  /** Throws `limit_reached`. */
  assertCapacity(view: View | undefined, pattern: string): void;
  add(view: View, group: string, pattern: string): void;
  remove(view: View, group: string): void;
}

/** The views of this node. */
export class Views {
  /** Frames published; reports times sockets; reports that were conflated, or left out by `tags` or the deadband. */
  readonly counts = { frames: 0, deliveries: 0, conflated: 0, untagged: 0, heldBack: 0 };
  readonly limits: ViewLimits;
  readonly lastSent: LastSentBudget;
  readonly paced: PaceBudget;
  /** The number of views, and of those with options. */
  size = 0;
  shaped = 0;
  readonly #broadcast: Broadcast;
  readonly #clock: Pick<Clock, 'monotonic' | 'after'>;
  readonly #shapeContext: ShapeContext;
  #dirty: View[] = [];
  #unshaped: ViewedChannel[] = [];
  #lastNumber = 0;

  constructor(broadcast: Broadcast, clock: Pick<Clock, 'monotonic' | 'after'>, limits: ViewLimits) {
    this.#broadcast = broadcast;
    this.#clock = clock;
    this.limits = limits;
    this.lastSent = new LastSentBudget(limits.lastSentReadingsMax);
    this.paced = { bytes: 0, bytesMax: limits.pacedBytesMax };
    this.#shapeContext = { budget: this.lastSent, keyFrameMs: limits.keyFrameMs, counts: this.counts };
  }

  /** Returns the number of a new view, which no other view of the node has. */
  nextNumber(): number {
    return ++this.#lastNumber;
  }

  /**
   * Returns the view of a channel for one more subscription of a connection, and creates it if it is new. Call `leave`
   * once for each call. Throws `limit_reached` where the connection or its user has its maximum of views with options;
   * views without options are not limited.
   */
  enter(channel: ViewedChannel, encoding: Encoding, options: ViewOptions = noOptions, connection?: ViewHolder): View {
    const { pattern, views } = channel;
    const first = viewKey(encoding, options);
    const group = groupOf(pattern, first);
    const copy = connection?.nextCopy(group, views.get(first)) ?? 1;
    const key = keyOfCopy(first, copy);
    let view = views.get(key);
    if (!isPlain(options)) connection?.assertCapacity(view, pattern);
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

  /** Removes a subscription from a view. The view is removed with its last subscription. */
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
    const number = this.nextNumber();
    if (isPlain(options)) return new View(number, encoding, options, undefined, undefined, copy);
    const pace = options.maxRate === undefined ? undefined : new Pace(options.maxRate, this.paced);
    return new View(number, encoding, options, new Shape(options, this.#shapeContext), pace, copy);
  }

  /** Adds a report to all views of a channel. Views with options process it once the others have sent theirs. */
  add(channel: ViewedChannel, logReport: LogReport): void {
    for (const view of channel.plainViews) {
      if (view.sockets > 0 && view.pending.push(logReport) === 1) this.#dirty.push(view);
    }
    if (channel.shapedViews.size > 0 && channel.unshaped.push(logReport) === 1) this.#unshaped.push(channel);
  }

  /** Publishes a message to all clients of the view, before its pending reports. */
  publishMessage(view: View, message: SharedMessage): void {
    if (view.sockets > 0) this.#broadcast.publish(view.topic, message.frame(view.encoding));
  }

  /** Publishes a frame that the caller has encoded. `reports`: how many are in it. */
  send(view: View, frame: string | Uint8Array, reports: number): void {
    if (view.sockets === 0) return;
    this.#broadcast.publish(view.topic, frame);
    this.counts.frames++;
    this.counts.deliveries += reports * view.sockets;
  }

  /** Reports a range of a partition as missing to all clients of the channel: every loss is reported. */
  publishMissing(
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
    // A subscription that is catching up would not see a gap between its history and its live buffer.
    for (const liveBuffer of channel.liveBuffers) liveBuffer.overflow();
  }

  /**
   * Sends pending reports. Called at the end of every batch, so that between two turns of the event loop only views
   * with `maxRate` hold any. `joining`: a view that a socket is about to join; it sends those as well.
   */
  flush(joining?: View): void {
    this.#flushDirty();
    if (this.#unshaped.length > 0) {
      const channels = this.#unshaped;
      this.#unshaped = [];
      for (const channel of channels) this.#shape(channel);
      this.#flushDirty();
    }
    if (joining?.pace !== undefined) this.#sendPaced(joining, joining.pace);
  }

  /** Processes view by view, so that the CPU cache has what a view remembers of the devices. */
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
        const reports = view.shape?.withoutUnchanged(view.pending, this.#clock.monotonic()) ?? view.pending;
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
    // One of the views that share a cutter feeds it.
    if (align !== undefined && view.cutter === undefined) return;
    const publication = shape.filter(logReport);
    if (publication === undefined) return;
    if (align !== undefined) {
      view.cutter?.add(publication);
      return;
    }
    if (view.pace === undefined) {
      if (view.pending.push(publication) === 1) this.#dirty.push(view);
      return;
    }
    const wasEmpty = view.pace.isEmpty;
    if (view.pace.hold(publication) || wasEmpty) this.#dirty.push(view);
  }

  /** Sends now if the frame is due, otherwise when it is. */
  #flushPaced(view: View, pace: Pace): void {
    if (pace.isEmpty) return;
    const waitMs = pace.dueMs - this.#clock.monotonic();
    if (waitMs <= 0) this.#sendPaced(view, pace);
    else pace.timer ??= this.#clock.after(waitMs, () => this.#sendPaced(view, pace));
  }

  #sendPaced(view: View, pace: Pace): void {
    if (pace.isEmpty) return;
    const nowMs = this.#clock.monotonic();
    const { logReports, skipped } = pace.take(nowMs);
    for (const { count } of skipped) this.counts.conflated += count;
    const publications = view.shape?.withoutUnchanged(logReports, nowMs) ?? logReports;
    this.#publish(view, publications, skipped.length === 0 ? noFlags : { skipped });
  }

  #publish(view: View, reports: readonly Publication[], flags: FrameFlags): void {
    this.#broadcast.publish(view.topic, view.frame(reports, flags));
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

/** Clears a view that has no socket: no client needs what it holds, or knows what it sent. */
function forget(view: View): void {
  view.pending.length = 0;
  view.shape?.clear();
  view.pace?.clear();
}
