import type { Clock, Timer } from '@tailrace/platform/clock';
import { cutFrameBytes, cutFrameJson } from '@tailrace/protocol/cut';
import { TailraceError, tailraceErrorFrom } from '@tailrace/protocol/error';
import { type Coroutine, runCoroutine } from '../catch-up/coroutine.ts';
import type { Channel } from '../channels/channels.ts';
import type { Subscription } from '../channels/subscription.ts';
import type { Partition } from '../ownership/partition.ts';
import { type CutMoment, Cutter } from './cut.ts';
import { frameBytesMax, sizeIn } from './frames.ts';
import type { Publication } from './publication.ts';
import type { View, Views } from './view.ts';
import type { Encoding } from './view-options.ts';

/** The interval at which due cuts are checked: a quarter of the shortest `align`. */
const pollMs = 25;
/** Devices or reports processed in one step. */
const itemsPerStep = 64;

/** The views of one channel with the same `align` and `tags`, in any encoding. They share a cutter. */
interface CutGroup {
  readonly channel: Channel;
  readonly cutter: Cutter;
  readonly watchers: Map<View, Set<Subscription>>;
  /** The view that passes its reports to the cutter. */
  feed: View;
  /** Whether last values are being loaded, or a cut is being made. */
  isBusy: boolean;
  /** Late devices that no cut has named so far: a cut that was started may be discarded. */
  readonly late: Set<string>;
  /** Subscriptions to which pages of a cut are being sent, and the size of the cut. */
  readonly receiving: Map<Subscription, number>;
}

/** A cut that is ready to be encoded. */
interface EncodableCut extends CutMoment {
  readonly late: readonly string[];
  /** One page, or several of `frameBytesMax`. */
  readonly pages: readonly (readonly Publication[])[];
  readonly bytes: number;
}

export interface CutsOptions {
  readonly clock: Clock;
  readonly views: Pick<Views, 'send'>;
  readonly partitions: readonly Pick<Partition, 'index' | 'progress'>[];
  /** Returns the next position of a channel in a partition: later reports are added as they arrive. */
  readonly next: (channel: Channel, partition: number) => number;
  readonly alignWaitMs: number;
  /**
   * Of the reports that all views hold for cuts. Beyond it the largest cuts of the user that holds most are terminated.
   */
  readonly cutBytesMax: number;
}

/**
 * Sends consistent cuts to the views with `align`, instead of data. The views of a channel with the same `align` and
 * `tags` share a cutter, from their first client to their last.
 *
 * A cut is made in slices of the work scheduler and charged to the first client. Cuts that are due at the same time are
 * made one after the other. A client that is still receiving a cut skips the next one, and a cutter skips the cuts that
 * fall due while it makes one.
 */
export class Cuts {
  /**
   * A cut of at most this size is one frame, published to all clients of a view. A larger one is sent in pages, to each
   * client as it reads.
   */
  static readonly wholeBytesMax: number = 2_097_152;
  /**
   * `waitedMs`: the sum of the delays between the times of the cuts and when they were made. `terminated`:
   * subscriptions that were terminated because of the memory of their cuts.
   */
  readonly counts = { sent: 0, incomplete: 0, late: 0, waitedMs: 0, terminated: 0 };
  readonly #options: CutsOptions;
  readonly #groups = new Map<string, CutGroup>();
  #timer: Timer | undefined;

  constructor(options: CutsOptions) {
    this.#options = options;
  }

  /** The number of views with cuts. */
  get size(): number {
    let size = 0;
    for (const { watchers } of this.#groups.values()) size += watchers.size;
    return size;
  }

  /** The memory of the reports held for cuts. */
  get bytes(): number {
    let bytes = 0;
    for (const group of this.#groups.values()) bytes += bytesOf(group);
    return bytes;
  }

  /** Adds a subscription to a view with `align`, once its channel is live. */
  enter(subscription: Subscription): void {
    const { view } = subscription;
    const group = this.#groups.get(keyOf(subscription)) ?? this.#start(subscription);
    const watchers = group.watchers.get(view);
    if (watchers === undefined) group.watchers.set(view, new Set([subscription]));
    else watchers.add(subscription);
    this.#timer ??= this.#options.clock.every(pollMs, () => this.#poll());
  }

  /** Removes a subscription. Idempotent; does nothing for one that was not added. */
  leave(subscription: Subscription): void {
    const { view } = subscription;
    if (view.options.align === undefined) return;
    const key = keyOf(subscription);
    const group = this.#groups.get(key);
    const watchers = group?.watchers.get(view);
    if (group === undefined || watchers === undefined || !watchers.delete(subscription) || watchers.size > 0) return;
    group.watchers.delete(view);
    if (group.feed === view) {
      view.cutter = undefined;
      const [next] = group.watchers.keys();
      if (next === undefined) this.#groups.delete(key);
      else {
        group.feed = next;
        next.cutter = group.cutter;
      }
    }
    if (this.#groups.size > 0) return;
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #start(subscription: Subscription): CutGroup {
    const { channel, view } = subscription;
    const group: CutGroup = {
      ...{ channel, watchers: new Map(), feed: view, isBusy: true, late: new Set(), receiving: new Map() },
      cutter: new Cutter({
        partitions: channel.partitions,
        alignMs: view.options.align!,
        waitMs: this.#options.alignWaitMs,
      }),
    };
    this.#groups.set(keyOf(subscription), group);
    view.cutter = group.cutter;
    const isNeeded = () => this.#groups.get(keyOf(subscription)) === group;
    runCoroutine(subscription.subscriber.work, this.#loadLastValues(group), isNeeded).then(
      () => {
        group.isBusy = false;
      },
      (thrown: unknown) => refuseAll(group, tailraceErrorFrom(thrown)),
    );
    return group;
  }

  /** Loads all last values of the channel, while it has clients. The cutter takes the reports that arrive meanwhile. */
  *#loadLastValues({ channel, cutter, feed, watchers }: CutGroup): Coroutine {
    const { clock, partitions, next } = this.#options;
    for (const number of channel.partitions) {
      const until = next(channel, number);
      let after = '';
      for (;;) {
        const devices = partitions[number]!.index.page(channel.pattern, after, itemsPerStep);
        for (const device of devices) {
          const known = device.lastValues().filter(({ seq }) => seq < until);
          for (const publication of feed.lastValues(known)) cutter.addLastValue(publication);
        }
        if (devices.length < itemsPerStep) break;
        after = devices.at(-1)!.path;
        yield undefined;
        // All clients have left: the loaded last values are released with this work.
        if (watchers.size === 0) return;
      }
    }
    cutter.start(clock.now());
  }

  #poll(): void {
    const { clock, cutBytesMax, partitions } = this.#options;
    if (this.bytes > cutBytesMax) this.#terminateLargest();
    const nowMs = clock.now();
    for (const group of this.#groups.values()) {
      if (group.isBusy) continue;
      const { channel, cutter } = group;
      // Without joining, a partition has no watermark: reports of it may be in flight.
      const watermarkOf = (partition: number) =>
        channel.slot(partition).state === 'joined' ? partitions[partition]!.progress.watermarkMs : 0;
      const moment = cutter.due(watermarkOf, nowMs);
      if (moment === undefined) continue;
      group.isBusy = true;
      const [first] = subscriptionsOf(group);
      const isNeeded = () => group.watchers.size > 0;
      runCoroutine(first!.subscriber.work, this.#cut(group, moment), isNeeded)
        .catch((thrown: unknown) => {
          const error = tailraceErrorFrom(thrown);
          // If too much work is queued, the cut is skipped, as after a pause of the process.
          if (!error.retryable) refuseAll(group, error);
        })
        .finally(() => {
          group.isBusy = false;
        });
    }
  }

  *#cut(group: CutGroup, moment: CutMoment): Coroutine {
    const { channel, cutter, watchers } = group;
    yield* cutter.settle();
    if (watchers.size === 0) return;
    const reports: Publication[] = [];
    for (const partition of channel.partitions) {
      const partitionCut = cutter.takePartition(partition);
      for (const report of partitionCut.reports) reports.push(report);
      for (const device of partitionCut.late) group.late.add(device);
      yield undefined;
    }
    const late = [...group.late].sort();
    const byEncoding = new Map<Encoding, EncodableCut>();
    for (const [view, subscriptions] of watchers) {
      let cut = byEncoding.get(view.encoding);
      if (cut === undefined) {
        cut = { ...moment, late, ...(yield* this.#pages(view, reports)) };
        byEncoding.set(view.encoding, cut);
      }
      if (cut.pages.length === 1) this.#options.views.send(view, frameOf(view, cut, 0), reports.length);
      else for (const subscription of subscriptions) this.#sendPages(group, subscription, cut);
      this.counts.sent++;
      this.counts.late += late.length;
      if (moment.missing.length > 0) this.counts.incomplete++;
      this.counts.waitedMs += Math.max(0, this.#options.clock.now() - moment.at);
      yield undefined;
    }
    group.late.clear();
  }

  /** Divides the reports into pages. Encodes them by the way: they cache their encoding. */
  *#pages(view: View, reports: readonly Publication[]): Coroutine<Pick<EncodableCut, 'pages' | 'bytes'>> {
    const pages: Publication[][] = [[]];
    let bytes = 0;
    let pageBytes = 0;
    for (const [i, report] of reports.entries()) {
      const size = sizeIn(view, report);
      if (pageBytes > 0 && pageBytes + size > frameBytesMax) {
        pages.push([]);
        pageBytes = 0;
      }
      pages.at(-1)!.push(report);
      pageBytes += size;
      bytes += size;
      if (i % itemsPerStep === itemsPerStep - 1) yield undefined;
    }
    return { pages: bytes <= Cuts.wholeBytesMax ? [reports] : pages, bytes };
  }

  /** Sends one page after the other, as the client reads. */
  #sendPages(group: CutGroup, subscription: Subscription, cut: EncodableCut): void {
    const { receiving } = group;
    if (subscription.state !== 'live' || receiving.has(subscription)) return;
    receiving.set(subscription, cut.bytes);
    runCoroutine(subscription.subscriber.work, sendPages(subscription, cut))
      .catch((thrown: unknown) => {
        const error = tailraceErrorFrom(thrown);
        // If too much work is queued, the client gets the next cut, from its first page.
        if (!error.retryable) subscription.refuse(error);
      })
      .finally(() => receiving.delete(subscription));
  }

  /** Terminates the largest cuts of the user that holds most. Shared views count in equal parts for their users. */
  #terminateLargest(): void {
    const held = new Map<string, { bytes: number; most: number; largest: CutGroup }>();
    for (const group of this.#groups.values()) {
      const users = new Set(Array.from(subscriptionsOf(group), userOf));
      const bytes = bytesOf(group) / users.size;
      for (const user of users) {
        const before = held.get(user);
        if (before === undefined) held.set(user, { bytes, most: bytes, largest: group });
        else {
          before.bytes += bytes;
          if (bytes > before.most) Object.assign(before, { most: bytes, largest: group });
        }
      }
    }
    const [first, ...others] = held;
    if (first === undefined) return;
    const [user, { largest }] = others.reduce((most, each) => (each[1].bytes > most[1].bytes ? each : most), first);
    const { cutBytesMax } = this.#options;
    const message = `expected at most ${cutBytesMax} bytes to be held for cuts on this node, got ${this.bytes}; subscribe to fewer devices or tags, or try again later`;
    for (const subscription of [...subscriptionsOf(largest)]) {
      if (userOf(subscription) !== user) continue;
      this.counts.terminated++;
      this.leave(subscription);
      subscription.refuse(new TailraceError('rate_limited', message));
    }
  }
}

function* sendPages(subscription: Subscription, cut: EncodableCut): Coroutine {
  const { subscriber, view } = subscription;
  for (let page = 0; page < cut.pages.length; page++) {
    for (let writable = subscriber.whenWritable(); writable !== undefined; writable = subscriber.whenWritable()) {
      yield writable;
      if (subscription.state !== 'live') return;
    }
    // A subscription that fell behind or left gets the next cut, from its first page.
    if (subscription.state !== 'live') return;
    subscriber.send(subscription, frameOf(view, cut, page));
    yield undefined;
  }
}

function frameOf(view: View, { at, late, missing, pages }: EncodableCut, page: number): string | Uint8Array {
  const more = page < pages.length - 1;
  const head = { view: view.number, at, page, more, ...(page === 0 ? { late, missing } : {}) };
  const reports = pages[page]!;
  return view.encoding === 'json'
    ? cutFrameJson(
        head,
        reports.map(({ json }) => json),
      )
    : cutFrameBytes(
        head,
        reports.map(({ delivery }) => delivery),
      );
}

function keyOf({ channel, view }: Subscription): string {
  return JSON.stringify([channel.pattern, view.options.align, view.options.tags]);
}

function* subscriptionsOf({ watchers }: CutGroup): Iterable<Subscription> {
  for (const subscriptions of watchers.values()) yield* subscriptions;
}

/** Iterates over a copy: a subscription that is refused leaves the group. */
function refuseAll(group: CutGroup, error: TailraceError): void {
  for (const subscription of [...subscriptionsOf(group)]) subscription.refuse(error);
}

function bytesOf({ cutter, receiving }: CutGroup): number {
  let { bytes } = cutter;
  for (const cut of receiving.values()) bytes += cut;
  return bytes;
}

function userOf({ subscriber }: Subscription): string {
  return subscriber.work.user;
}
