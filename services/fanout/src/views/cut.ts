import { effectiveTime } from '@tailrace/protocol/source-time';
import type { Shown } from './shown.ts';

/** A report that the cut holds, and of how many tags it has the last value. */
interface Kept {
  readonly shown: Shown;
  tags: number;
}

/** Where the last value of a tag is, and its effective time, epoch ms. */
interface LastValue {
  kept: Kept;
  timeMs: number;
}

export interface CutTaken {
  /** Epoch ms by ingest's clock. */
  readonly at: number;
  /** The last values as of then, by partition and position: the same for everybody who cuts then. */
  readonly reports: readonly Shown[];
  /** Devices of which a report of an earlier cut came after that cut. */
  readonly late: readonly string[];
  /** Partitions of which reports may be missing. */
  readonly missing: readonly number[];
}

/** A clock of an ingest that is further ahead than this does not decide when the first cut is. */
const aheadMsMax = 10_000;

/**
 * Everything of a channel as of one moment after another: at each multiple of `alignMs` of ingest's time, so that all who cut, cut at the same moments.
 *
 * A report belongs to the first cut that is not before it was received. The last value of a tag is the one of the
 * newest effective time, then of the highest position, as in `Device`, among those that belong to the cut or to one
 * before; what is kept is the smallest set of whole reports that holds them, and what came for a later cut waits.
 *
 * A cut is due when each partition has passed it: its watermark says that all that ingest took until then is here. After `waitMs` it
 * is due anyway, and says which had not. Moments that nobody got to in time, because the process stood still, are left out but for the last.
 *
 * Pure: told of reports, asked with watermarks and the time.
 */
export class Cutter {
  readonly alignMs: number;
  /** The next moment, epoch ms. */
  at: number;
  /** Of the reports held. */
  bytes = 0;
  readonly #partitions: readonly number[];
  readonly #waitMs: number;
  readonly #devices = new Map<string, Map<string, LastValue>>();
  readonly #kept = new Set<Kept>();
  readonly #late = new Set<string>();
  #waiting: Shown[] = [];
  #cutAt = Number.NEGATIVE_INFINITY;

  /** `lastValues`: all that is known of the channel, as of now. */
  constructor(
    options: { partitions: readonly number[]; alignMs: number; waitMs: number },
    lastValues: Iterable<Shown>,
    nowMs: number,
  ) {
    this.alignMs = options.alignMs;
    this.#partitions = options.partitions;
    this.#waitMs = options.waitMs;
    let from = nowMs;
    for (const shown of lastValues) {
      // Of a tag that was said again before this moment nobody knows any more what it was at an earlier one.
      from = Math.max(from, Math.min(receivedAt(shown), nowMs + aheadMsMax));
      this.#keep(shown);
    }
    this.at = Math.ceil(from / this.alignMs) * this.alignMs;
  }

  /** A report that came; each once, of one device in order. */
  take(shown: Shown): void {
    const receivedMs = receivedAt(shown);
    if (receivedMs > this.at) {
      this.#waiting.push(shown);
      this.bytes += shown.bytes.length;
      return;
    }
    if (receivedMs <= this.#cutAt) this.#late.add(shown.report.device);
    this.#keep(shown);
  }

  /** The cut that is due, if any: ask until there is none. `watermarkOf` a partition: what ingest took before is here; epoch ms. */
  due(watermarkOf: (partition: number) => number, nowMs: number): CutTaken | undefined {
    const behind = (partition: number) => watermarkOf(partition) <= this.at;
    if (!this.#partitions.some(behind)) return this.#cut([]);
    if (nowMs < this.at + this.#waitMs) return undefined;
    const latest = Math.floor((nowMs - this.#waitMs) / this.alignMs) * this.alignMs;
    if (latest > this.at) this.#turnTo(latest);
    return this.#cut(this.#partitions.filter(behind));
  }

  #cut(missing: readonly number[]): CutTaken {
    const reports = Array.from(this.#kept, ({ shown }) => shown).sort(
      (a, b) => a.partition - b.partition || a.seq - b.seq,
    );
    const taken = { at: this.at, reports, late: [...this.#late].sort(), missing };
    this.#late.clear();
    this.#cutAt = this.at;
    this.#turnTo(this.at + this.alignMs);
    return taken;
  }

  /** The next cut is at another moment: more of what waits belongs to it. */
  #turnTo(at: number): void {
    this.at = at;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const shown of waiting) {
      this.bytes -= shown.bytes.length;
      this.take(shown);
    }
  }

  #keep(shown: Shown): void {
    const { report } = shown;
    const { device, readings } = report;
    let tags = this.#devices.get(device);
    if (tags === undefined) {
      tags = new Map();
      this.#devices.set(device, tags);
    }
    const kept: Kept = { shown, tags: 0 };
    for (const { tag, time } of readings) {
      const timeMs = effectiveTime(report, time);
      const before = tags.get(tag);
      if (before === undefined) {
        tags.set(tag, { kept, timeMs });
        kept.tags++;
        continue;
      }
      // Clocks of several ingests may differ: an earlier report may belong to a later cut. Of equal times positions
      // decide.
      if (timeMs < before.timeMs || (timeMs === before.timeMs && before.kept.shown.seq > shown.seq)) continue;
      before.timeMs = timeMs;
      if (before.kept === kept) continue;
      if (--before.kept.tags === 0) {
        this.#kept.delete(before.kept);
        this.bytes -= before.kept.shown.bytes.length;
      }
      before.kept = kept;
      kept.tags++;
    }
    if (kept.tags === 0) return;
    this.#kept.add(kept);
    this.bytes += shown.bytes.length;
  }
}

/** What something else than ingest wrote has no such time: it belongs to the next cut. */
function receivedAt(shown: Shown): number {
  return shown.report.received ?? 0;
}
