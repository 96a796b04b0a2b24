import type { NewRecord } from '@tailrace/eventlog/event-log';
import { RateLimit } from '@tailrace/platform/rate-limit';
import { shown, TailraceError } from '@tailrace/protocol/error';

/** Most devices with a state. Beyond it those with their full burst leave, then the oldest, which gets a full burst. */
export const ratedDevicesMax = 100_000;

/** A device whose reports a request exceeds, or a chunk of a stream. */
export interface ExceededRate {
  /** `rate_limited`. */
  readonly error: TailraceError;
  /** After how long the reports are accepted, ms. */
  readonly waitMs: number;
}

/**
 * The rates of the reports that devices send in requests, by device: so a gateway may send that many for each of its
 * devices. A request is taken as a whole, because its sender repeats it as a whole. A stream is taken by its chunks.
 */
export class ReportRates {
  readonly #limit: RateLimit;
  /** By device, see `RateLimit`; the device that was limited longest ago first. */
  readonly #tats = new Map<string, number>();

  constructor(perSecond: number, burst: number) {
    this.#limit = new RateLimit(perSecond, burst);
  }

  /** Devices with a state. For metrics. */
  get devices(): number {
    return this.#tats.size;
  }

  /**
   * Takes the reports of a request, or of a chunk, at monotonic `nowMs`. Returns the first device beyond its rate
   * instead, and takes none. More reports of a device than the burst are taken once its full burst is available.
   */
  take(records: readonly NewRecord[], nowMs: number): ExceededRate | undefined {
    const counts = new Map<string, number>();
    for (const { key } of records) counts.set(key, (counts.get(key) ?? 0) + 1);
    for (const [device, count] of counts) {
      const tatMs = this.#tats.get(device) ?? 0;
      if (this.#limit.take(tatMs, nowMs, count) !== undefined) continue;
      const { perSecond, burst } = this.#limit;
      const message = `expected at most ${perSecond} reports a second of ${shown(device)} (burst ${burst}), got more`;
      return { error: new TailraceError('rate_limited', message), waitMs: this.#limit.waitMs(tatMs, nowMs, count) };
    }
    for (const [device, count] of counts) {
      const tatMs = this.#limit.take(this.#tats.get(device) ?? 0, nowMs, count)!;
      this.#tats.delete(device);
      if (this.#tats.size >= ratedDevicesMax) this.#forget(nowMs);
      this.#tats.set(device, tatMs);
    }
    return undefined;
  }

  #forget(nowMs: number): void {
    for (const [device, tatMs] of this.#tats) if (this.#limit.hasFullBurst(tatMs, nowMs)) this.#tats.delete(device);
    const [oldest] = this.#tats.keys();
    if (oldest !== undefined && this.#tats.size >= ratedDevicesMax) this.#tats.delete(oldest);
  }
}
