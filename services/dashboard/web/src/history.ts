import type { Delivery, Quality, Reading } from '@tailrace/client/report';
import { type QualityCode, Series } from './series.ts';

/** The longest window of the page, and a minute for devices whose clocks are behind. */
export const keepMs: number = 16 * 60_000;
/** Of one tag: 70 a second over the longest window. */
const tagPointsMax = 65_536;
/** Of all tags together, at 17 bytes each about 50 MB. Beyond it the devices not looked at for longest lose theirs. */
const allPointsMax = 3_000_000;
/** Of one device: as many as a report may have. */
const tagsMax = 1000;
/** Different texts of one tag; more are no states but prose, and only the last value is shown. */
const labelsMax = 64;

export type TagKind = 'number' | 'boolean' | 'text';

export function kindOf(value: Reading['value']): TagKind {
  return typeof value === 'number' ? 'number' : typeof value === 'boolean' ? 'boolean' : 'text';
}

export function qualityCode(quality: Quality | undefined): QualityCode {
  return quality === 'bad' ? 2 : quality === 'uncertain' ? 1 : 0;
}

/** What is remembered of one tag. Booleans are 0 and 1, texts the index of theirs in `labels`. */
export interface TagHistory {
  readonly kind: TagKind;
  readonly series: Series;
  readonly labels: string[];
}

interface DeviceHistory {
  readonly tags: Map<string, TagHistory>;
  /** Turn at which somebody looked at it last; 0 never. */
  viewed: number;
}

/** The last minutes of every device, so that choosing one shows where it comes from at once. */
export class History {
  readonly #devices = new Map<string, DeviceHistory>();
  #turn = 0;
  #points = 0;

  add(report: Delivery): void {
    const device = this.#deviceOf(report.device);
    for (const reading of report.readings) this.#addReading(device, reading, reading.time ?? report.time);
    if (this.#points > allPointsMax) this.#forget(report.device);
  }

  tags(device: string): ReadonlyMap<string, TagHistory> | undefined {
    return this.#devices.get(device)?.tags;
  }

  /** Somebody looks at it: it is the last to be forgotten. */
  view(device: string): void {
    this.#deviceOf(device).viewed = ++this.#turn;
  }

  #deviceOf(path: string): DeviceHistory {
    let device = this.#devices.get(path);
    if (device === undefined) {
      device = { tags: new Map(), viewed: 0 };
      this.#devices.set(path, device);
    }
    return device;
  }

  #addReading(device: DeviceHistory, { tag, value, quality }: Reading, timeMs: number): void {
    const kind = kindOf(value);
    let history = device.tags.get(tag);
    if (history?.kind !== kind) {
      if (history === undefined && device.tags.size === tagsMax) return;
      this.#points -= history?.series.capacity ?? 0;
      history = { kind, series: new Series(keepMs, tagPointsMax), labels: [] };
      this.#points += history.series.capacity;
      device.tags.set(tag, history);
    }
    const number = typeof value === 'string' ? labelIndex(history.labels, value) : Number(value);
    if (number === undefined) return;
    const before = history.series.capacity;
    history.series.add(timeMs, number, qualityCode(quality));
    this.#points += history.series.capacity - before;
  }

  /** Forgets the device not looked at for longest, the one that has just spoken excepted. */
  #forget(except: string): void {
    let oldest: string | undefined;
    let viewed = Number.POSITIVE_INFINITY;
    for (const [path, device] of this.#devices) {
      if (path === except || device.viewed >= viewed) continue;
      oldest = path;
      viewed = device.viewed;
    }
    if (oldest === undefined) return;
    for (const { series } of this.#devices.get(oldest)?.tags.values() ?? []) this.#points -= series.capacity;
    this.#devices.delete(oldest);
  }
}

function labelIndex(labels: string[], text: string): number | undefined {
  const index = labels.indexOf(text);
  if (index !== -1) return index;
  return labels.length < labelsMax ? labels.push(text) - 1 : undefined;
}
