import { type Delivery, effectiveTime, type Quality, type Reading } from '@tailrace/client/report';
import { skewToleranceMs } from './fleet.ts';
import { type QualityCode, Series } from './series.ts';

/** The longest window of the page, and a minute for devices whose clocks are behind. */
export const keepMs: number = 16 * 60_000;
/** Of one tag: 70 a second over the longest window. */
const tagPointsMax = 65_536;
/** Of all tags together, at 17 bytes each about 50 MB. Beyond it the devices viewed longest ago lose theirs. */
const allPointsMax = 3_000_000;
/** Of one device: as many as a report may have. */
const tagsMax = 1000;
/** Different texts of one tag. A tag with more is no state, and only its last value is shown. */
const labelsMax = 64;

export type TagKind = 'number' | 'boolean' | 'text';

export function kindOf(value: Reading['value']): TagKind {
  return typeof value === 'number' ? 'number' : typeof value === 'boolean' ? 'boolean' : 'text';
}

export function qualityCode(quality: Quality | undefined): QualityCode {
  return quality === 'bad' ? 2 : quality === 'uncertain' ? 1 : 0;
}

/** The points of one tag. Booleans are 0 and 1, texts the index of theirs in `labels`. */
export interface TagHistory {
  readonly kind: TagKind;
  readonly series: Series;
  readonly labels: string[];
}

type DeviceHistory = Map<string, TagHistory>;

/** The last minutes of every device, so that a selected one shows its history at once. */
export class History {
  /** Devices that were never viewed, and those that were, in the order of their last view. */
  readonly #unseen = new Map<string, DeviceHistory>();
  readonly #viewed = new Map<string, DeviceHistory>();
  #points = 0;
  /** Raised with each report that is older than those before: charts that are paused have more to show. */
  olderCount = 0;

  /**
   * Readings lie at their own times. One ahead of its receipt by the device's clock, which is behind by `skewMs`, lies
   * at its receipt: no point of a chart is in the future.
   */
  add(report: Delivery, skewMs = 0): void {
    this.#add(report, skewMs, false);
  }

  /** Adds a report that is older than those added so far. Skips tags whose values were of another kind then. */
  addOlder(report: Delivery, skewMs = 0): void {
    this.#add(report, skewMs, true);
    this.olderCount++;
  }

  #add(report: Delivery, skewMs: number, isOlder: boolean): void {
    const device = this.#deviceOf(report.device);
    const receivedMs = (report.received ?? Number.POSITIVE_INFINITY) - skewMs;
    for (const reading of report.readings) {
      const known = device.get(reading.tag);
      if (isOlder && known !== undefined && known.kind !== kindOf(reading.value)) continue;
      const timeMs = effectiveTime(report, reading.time);
      this.#addReading(device, reading, timeMs > receivedMs + skewToleranceMs ? receivedMs : timeMs);
    }
    if (this.#points > allPointsMax) this.#evict(report.device);
  }

  tags(device: string): ReadonlyMap<string, TagHistory> | undefined {
    return this.#unseen.get(device) ?? this.#viewed.get(device);
  }

  /** The user views the device: it is the last to be dropped. */
  view(path: string): void {
    const device = this.#deviceOf(path);
    this.#unseen.delete(path);
    this.#viewed.delete(path);
    this.#viewed.set(path, device);
  }

  #deviceOf(path: string): DeviceHistory {
    let device = this.#unseen.get(path) ?? this.#viewed.get(path);
    if (device === undefined) {
      device = new Map();
      this.#unseen.set(path, device);
    }
    return device;
  }

  #addReading(device: DeviceHistory, { tag, value, quality }: Reading, timeMs: number): void {
    const kind = kindOf(value);
    let history = device.get(tag);
    if (history?.kind !== kind) {
      if (history === undefined && device.size === tagsMax) return;
      this.#points -= history?.series.capacity ?? 0;
      history = { kind, series: new Series(keepMs, tagPointsMax), labels: [] };
      this.#points += history.series.capacity;
      device.set(tag, history);
    }
    const number = typeof value === 'string' ? labelIndex(history.labels, value) : Number(value);
    if (number === undefined) return;
    const before = history.series.capacity;
    history.series.add(timeMs, number, qualityCode(quality));
    this.#points += history.series.capacity - before;
  }

  /** Drops devices viewed longest ago until the rest is within the bound, except the one that has just reported. */
  #evict(except: string): void {
    for (const devices of [this.#unseen, this.#viewed]) {
      for (const [path, device] of devices) {
        if (this.#points <= allPointsMax) return;
        if (path === except) continue;
        for (const { series } of device.values()) this.#points -= series.capacity;
        devices.delete(path);
      }
    }
  }
}

function labelIndex(labels: string[], text: string): number | undefined {
  const index = labels.indexOf(text);
  if (index !== -1) return index;
  return labels.length < labelsMax ? labels.push(text) - 1 : undefined;
}
