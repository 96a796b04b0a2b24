import type { Clock, Timer } from '@tailrace/platform/clock';
import { cutFrameBytes, cutFrameJson } from '@tailrace/protocol/cut';
import { TailraceError, tailraceErrorFrom } from '@tailrace/protocol/error';
import { drive, type Steps } from '../catch-up/steps.ts';
import type { Channel } from '../channels/channels.ts';
import type { Subscription } from '../channels/subscription.ts';
import type { Partition } from '../ownership/partition.ts';
import { type CutMoment, Cutter } from './cut.ts';
import { frameBytesMax, sizeIn } from './frames.ts';
import type { Publication } from './publication.ts';
import type { View, Views } from './view.ts';
import type { Encoding } from './view-options.ts';

/** How long after it is due a cut may be noticed. A tenth of the shortest `align` would not be noticed either. */
const lookMs = 25;
/**
 * A cut of at most so many bytes is one frame, for all clients of a view. A larger one goes in pages, to each client as
 * it reads.
 */
const wholeCutBytesMaxDefault = 2_097_152;
/** Devices or reports in one step. */
const itemsPerStep = 64;

/**
 * What the views of one channel share that have the same moments and tags, whatever their encoding and however many.
 */
interface Running {
  readonly channel: Channel;
  readonly cutter: Cutter;
  readonly watchers: Map<View, Set<Subscription>>;
  /** The one of the views that the cutter gets the reports from. */
  feed: View;
  /** Last values are being learned, or a cut is being made. */
  isBusy: boolean;
  /** Late devices that no cut has named yet: one that was begun may be left out. */
  readonly late: Set<string>;
  /** Clients that are still being sent the pages of a cut, and how many bytes it has. */
  readonly receiving: Map<Subscription, number>;
}

/** A cut, ready to be encoded. */
interface Ready extends CutMoment {
  readonly late: readonly string[];
  /** In one page, or in several of `frameBytesMax`. */
  readonly pages: readonly (readonly Publication[])[];
  readonly bytes: number;
}

export interface CutsParts {
  readonly clock: Clock;
  readonly views: Pick<Views, 'send'>;
  readonly partitions: readonly Pick<Partition, 'index' | 'progress'>[];
  /** Up to where a channel is complete in a partition: later values come as news. */
  readonly next: (channel: Channel, partition: number) => number;
  readonly alignWaitMs: number;
  /** Of the reports that all views hold for their cuts. Beyond it those of the user that holds most end. */
  readonly cutBytesMax: number;
  /** Default: 2 MiB. */
  readonly wholeCutBytesMax?: number | undefined;
}

/**
 * The views that get cuts instead of data. Those of one channel with the same moments and tags share a cutter, from
 * their first client to their last.
 *
 * A cut is made in slices of the scheduler, at the cost of the client that came first, and those of one moment are made
 * one after the other. A client that is still being given a cut is not given the next one, and a cutter that has not
 * finished one makes none of the moments between.
 */
export class Cuts {
  /**
   * `waitedMs`: from the moments of the cuts until they were made, together. `ended`: subscriptions, because of the
   * memory that cuts took.
   */
  readonly counts = { sent: 0, incomplete: 0, late: 0, waitedMs: 0, ended: 0 };
  readonly #parts: CutsParts;
  readonly #running = new Map<string, Running>();
  #timer: Timer | undefined;

  constructor(parts: CutsParts) {
    this.#parts = parts;
  }

  /** Views that get cuts. */
  get size(): number {
    let size = 0;
    for (const { watchers } of this.#running.values()) size += watchers.size;
    return size;
  }

  /** Of the reports held for cuts. */
  get bytes(): number {
    let bytes = 0;
    for (const running of this.#running.values()) bytes += bytesOf(running);
    return bytes;
  }

  /** A client of a view with `align` begins; its channel is live. */
  enter(subscription: Subscription): void {
    const { view } = subscription;
    const running = this.#running.get(keyOf(subscription)) ?? this.#begin(subscription);
    const watchers = running.watchers.get(view);
    if (watchers === undefined) running.watchers.set(view, new Set([subscription]));
    else watchers.add(subscription);
    this.#timer ??= this.#parts.clock.every(lookMs, () => this.#look());
  }

  /** Idempotent; also for one that never entered. */
  leave(subscription: Subscription): void {
    const { view } = subscription;
    if (view.options.align === undefined) return;
    const key = keyOf(subscription);
    const running = this.#running.get(key);
    const watchers = running?.watchers.get(view);
    if (running === undefined || watchers === undefined || !watchers.delete(subscription) || watchers.size > 0) return;
    running.watchers.delete(view);
    if (running.feed === view) {
      view.cutter = undefined;
      const [next] = running.watchers.keys();
      if (next === undefined) this.#running.delete(key);
      else {
        running.feed = next;
        next.cutter = running.cutter;
      }
    }
    if (this.#running.size > 0) return;
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #begin(subscription: Subscription): Running {
    const { channel, view } = subscription;
    const running: Running = {
      ...{ channel, watchers: new Map(), feed: view, isBusy: true, late: new Set(), receiving: new Map() },
      cutter: new Cutter({
        partitions: channel.partitions,
        alignMs: view.options.align!,
        waitMs: this.#parts.alignWaitMs,
      }),
    };
    this.#running.set(keyOf(subscription), running);
    view.cutter = running.cutter;
    const isWanted = () => this.#running.get(keyOf(subscription)) === running;
    drive(subscription.subscriber.work, this.#learn(running), isWanted).then(
      () => {
        running.isBusy = false;
      },
      (thrown: unknown) => refuseAll(running, tailraceErrorFrom(thrown)),
    );
    return running;
  }

  /** All that is known of the channel, while there are clients. What comes meanwhile the cutter takes. */
  *#learn({ channel, cutter, feed, watchers }: Running): Steps {
    const { clock, partitions, next } = this.#parts;
    for (const number of channel.partitions) {
      const until = next(channel, number);
      let after = '';
      for (;;) {
        const devices = partitions[number]!.index.page(channel.pattern, after, itemsPerStep);
        for (const device of devices) {
          const known = device.lastValues().filter(({ seq }) => seq < until);
          for (const shown of feed.lastValues(known)) cutter.learn(shown);
        }
        if (devices.length < itemsPerStep) break;
        after = devices.at(-1)!.path;
        yield undefined;
        // All clients have left: the last values that were learned are released with this work.
        if (watchers.size === 0) return;
      }
    }
    cutter.start(clock.now());
  }

  #look(): void {
    const { clock, cutBytesMax, partitions } = this.#parts;
    if (this.bytes > cutBytesMax) this.#endLargest();
    const nowMs = clock.now();
    for (const running of this.#running.values()) {
      if (running.isBusy) continue;
      const { channel, cutter } = running;
      // What has not joined says nothing of time: reports of it may be under way.
      const watermarkOf = (partition: number) =>
        channel.slot(partition).state === 'joined' ? partitions[partition]!.progress.watermarkMs : 0;
      const moment = cutter.due(watermarkOf, nowMs);
      if (moment === undefined) continue;
      running.isBusy = true;
      const [first] = subscriptionsOf(running);
      const isWanted = () => running.watchers.size > 0;
      drive(first!.subscriber.work, this.#cut(running, moment), isWanted)
        .catch((thrown: unknown) => {
          const error = tailraceErrorFrom(thrown);
          // Where too much work waits, the cut is left out as if the process had stood still.
          if (!error.retryable) refuseAll(running, error);
        })
        .finally(() => {
          running.isBusy = false;
        });
    }
  }

  *#cut(running: Running, moment: CutMoment): Steps {
    const { channel, cutter, watchers } = running;
    yield* cutter.settle();
    if (watchers.size === 0) return;
    const reports: Publication[] = [];
    for (const partition of channel.partitions) {
      const taken = cutter.takePartition(partition);
      for (const report of taken.reports) reports.push(report);
      for (const device of taken.late) running.late.add(device);
      yield undefined;
    }
    const late = [...running.late].sort();
    const ready = new Map<Encoding, Ready>();
    for (const [view, subscriptions] of watchers) {
      let cut = ready.get(view.encoding);
      if (cut === undefined) {
        cut = { ...moment, late, ...(yield* this.#pages(view, reports)) };
        ready.set(view.encoding, cut);
      }
      if (cut.pages.length === 1) this.#parts.views.send(view, frameOf(view, cut, 0), reports.length);
      else for (const subscription of subscriptions) this.#sendPages(running, subscription, cut);
      this.counts.sent++;
      this.counts.late += late.length;
      if (moment.missing.length > 0) this.counts.incomplete++;
      this.counts.waitedMs += Math.max(0, this.#parts.clock.now() - moment.at);
      yield undefined;
    }
    running.late.clear();
  }

  /** Encodes the reports on the way: they are kept encoded. */
  *#pages(view: View, reports: readonly Publication[]): Steps<Pick<Ready, 'pages' | 'bytes'>> {
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
    const { wholeCutBytesMax = wholeCutBytesMaxDefault } = this.#parts;
    return { pages: bytes <= wholeCutBytesMax ? [reports] : pages, bytes };
  }

  /** One page after the other, as the client reads. */
  #sendPages(running: Running, subscription: Subscription, cut: Ready): void {
    const { receiving } = running;
    if (subscription.state !== 'live' || receiving.has(subscription)) return;
    receiving.set(subscription, cut.bytes);
    drive(subscription.subscriber.work, sendPages(subscription, cut))
      .catch((thrown: unknown) => {
        const error = tailraceErrorFrom(thrown);
        // Where too much work waits, the client is given the next cut, from its first page on.
        if (!error.retryable) subscription.refuse(error);
      })
      .finally(() => receiving.delete(subscription));
  }

  /** Of the user that holds most, where views are shared each user a part of them. */
  #endLargest(): void {
    const held = new Map<string, { bytes: number; most: number; largest: Running }>();
    for (const running of this.#running.values()) {
      const users = new Set(Array.from(subscriptionsOf(running), userOf));
      const bytes = bytesOf(running) / users.size;
      for (const user of users) {
        const before = held.get(user);
        if (before === undefined) held.set(user, { bytes, most: bytes, largest: running });
        else {
          before.bytes += bytes;
          if (bytes > before.most) Object.assign(before, { most: bytes, largest: running });
        }
      }
    }
    const [first, ...others] = held;
    if (first === undefined) return;
    const [user, { largest }] = others.reduce((most, each) => (each[1].bytes > most[1].bytes ? each : most), first);
    const { cutBytesMax } = this.#parts;
    const message = `expected at most ${cutBytesMax} bytes to be held for cuts on this node, got ${this.bytes}; subscribe to fewer devices or tags, or try again later`;
    for (const subscription of [...subscriptionsOf(largest)]) {
      if (userOf(subscription) !== user) continue;
      this.counts.ended++;
      this.leave(subscription);
      subscription.refuse(new TailraceError('rate_limited', message));
    }
  }
}

function* sendPages(subscription: Subscription, cut: Ready): Steps {
  const { subscriber, view } = subscription;
  for (let page = 0; page < cut.pages.length; page++) {
    for (let wait = subscriber.whenWritable(); wait !== undefined; wait = subscriber.whenWritable()) {
      yield wait;
      if (subscription.state !== 'live') return;
    }
    // One that got behind or left is given the next cut, from its first page on.
    if (subscription.state !== 'live') return;
    subscriber.send(subscription, frameOf(view, cut, page));
    yield undefined;
  }
}

function frameOf(view: View, { at, late, missing, pages }: Ready, page: number): string | Uint8Array {
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

function* subscriptionsOf({ watchers }: Running): Iterable<Subscription> {
  for (const subscriptions of watchers.values()) yield* subscriptions;
}

/** A copy: who is refused leaves. */
function refuseAll(running: Running, error: TailraceError): void {
  for (const subscription of [...subscriptionsOf(running)]) subscription.refuse(error);
}

function bytesOf({ cutter, receiving }: Running): number {
  let { bytes } = cutter;
  for (const cut of receiving.values()) bytes += cut;
  return bytes;
}

function userOf({ subscriber }: Subscription): string {
  return subscriber.work.user;
}
