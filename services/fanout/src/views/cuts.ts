import type { Clock, Timer } from '@tailrace/platform/clock';
import { cutFrameBytes, cutFrameJson } from '@tailrace/protocol/cut';
import { TailraceError } from '@tailrace/protocol/error';
import type { Arrival } from '../channels/arrival.ts';
import type { Channel } from '../channels/channel.ts';
import type { Partition } from '../ownership/partition.ts';
import { type CutTaken, Cutter } from './cut.ts';
import type { View, Views } from './view.ts';

/** How long after it is due a cut may be sent. A tenth of the shortest `align` would not be noticed either. */
const lookMs = 25;

/** Whoever watches by cuts, and can be told that it is over. */
export interface CutWatcher {
  refuse(error: TailraceError): void;
}

interface Running {
  readonly channel: Channel;
  readonly watchers: Set<CutWatcher>;
  readonly cutter: Cutter;
}

export interface CutsParts {
  readonly clock: Clock;
  readonly views: Pick<Views, 'send'>;
  readonly partitions: readonly Pick<Partition, 'lastValues' | 'progress'>[];
  /** Up to where a channel is complete in a partition: later values come as news. */
  readonly next: (channel: Channel, partition: number) => number;
  readonly alignWaitMs: number;
  /** Of the reports that one view holds, and of one cut. */
  readonly bytesMax: number;
}

/** The views that get cuts instead of data: each has its cutter from its first client to its last. */
export class Cuts {
  /** `waitedMs`: from the moments of the cuts until they were sent, together. */
  readonly counts = { sent: 0, incomplete: 0, late: 0, waitedMs: 0, tooLarge: 0 };
  readonly #parts: CutsParts;
  readonly #running = new Map<View, Running>();
  #timer: Timer | undefined;

  constructor(parts: CutsParts) {
    this.#parts = parts;
  }

  get size(): number {
    return this.#running.size;
  }

  /** Of the reports held for cuts, by the view that holds most. */
  get bytesMost(): number {
    let most = 0;
    for (const { cutter } of this.#running.values()) most = Math.max(most, cutter.bytes);
    return most;
  }

  /** A client of a view with `align` begins; its channel is live. */
  enter(channel: Channel, view: View, watcher: CutWatcher): void {
    let running = this.#running.get(view);
    if (running === undefined) {
      running = { channel, watchers: new Set(), cutter: this.#cutter(channel, view) };
      this.#running.set(view, running);
      view.cutter = running.cutter;
    }
    running.watchers.add(watcher);
    this.#timer ??= this.#parts.clock.every(lookMs, () => this.#look());
  }

  /** Idempotent; also for who never entered. */
  leave(view: View, watcher: CutWatcher): void {
    const running = this.#running.get(view);
    if (running === undefined || !running.watchers.delete(watcher) || running.watchers.size > 0) return;
    this.#running.delete(view);
    view.cutter = undefined;
    if (this.#running.size > 0) return;
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #cutter(channel: Channel, view: View): Cutter {
    const { clock, partitions, next, alignWaitMs } = this.#parts;
    const last: Arrival[] = [];
    for (const number of channel.partitions) {
      const until = next(channel, number);
      for (const arrival of partitions[number]!.lastValues(channel)) if (arrival.seq < until) last.push(arrival);
    }
    const options = { partitions: channel.partitions, alignMs: view.options.align!, waitMs: alignWaitMs };
    return new Cutter(options, view.lastValues(last), clock.now());
  }

  #look(): void {
    const nowMs = this.#parts.clock.now();
    for (const [view, running] of this.#running) {
      const { channel, cutter } = running;
      if (cutter.bytes > this.#parts.bytesMax) {
        this.#end(view, running);
        continue;
      }
      // What has not joined says nothing of time: reports of it may be under way.
      const watermarkOf = (partition: number) =>
        channel.slot(partition).state === 'joined' ? this.#parts.partitions[partition]!.progress.watermarkMs : 0;
      for (let cut = cutter.due(watermarkOf, nowMs); cut !== undefined; cut = cutter.due(watermarkOf, nowMs)) {
        if (!this.#send(view, cut, nowMs)) {
          this.#end(view, running);
          break;
        }
      }
    }
  }

  /** False where it is too large. */
  #send(view: View, { at, reports, late, missing }: CutTaken, nowMs: number): boolean {
    const head = { view: view.number, at, late, missing };
    const frame =
      view.encoding === 'json'
        ? cutFrameJson(
            head,
            reports.map(({ json }) => json),
          )
        : cutFrameBytes(
            head,
            reports.map(({ delivery }) => delivery),
          );
    if (frame.length > this.#parts.bytesMax) return false;
    this.#parts.views.send(view, frame, reports.length);
    this.counts.sent++;
    this.counts.late += late.length;
    if (missing.length > 0) this.counts.incomplete++;
    this.counts.waitedMs += Math.max(0, nowMs - at);
    return true;
  }

  #end(view: View, { channel, watchers }: Running): void {
    this.counts.tooLarge++;
    const { bytesMax } = this.#parts;
    const message = `a cut of ${channel.pattern} takes more than ${bytesMax} bytes; subscribe to smaller subtrees, or to fewer tags`;
    for (const watcher of [...watchers]) {
      this.leave(view, watcher);
      watcher.refuse(new TailraceError('limit_reached', message));
    }
  }
}
