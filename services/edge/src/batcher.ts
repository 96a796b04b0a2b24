import type { Clock, Timer } from '@tailrace/platform/clock';
import type { Reading } from '@tailrace/protocol/reading';
import type { Report } from '@tailrace/protocol/report';
import { reportLimits } from '@tailrace/protocol/report-limits';

export interface BatcherOptions {
  /** How long a reading waits for others of its device, ms. */
  readonly batchMs: number;
  readonly put: (report: Omit<Report, 'id'>) => void;
  readonly clock: Clock;
}

/** A reading with its time. */
export interface TimedReading extends Reading {
  readonly time: number;
}

/** Bytes of a report, estimated. As JSON it is two to three times as large, and must fit one message. */
const reportBytesMax = 65_536;
/** Of a reading without its texts. */
const readingBytes = 32;

interface Waiting {
  readonly device: string;
  readings: TimedReading[];
  bytes: number;
}

/**
 * Collects the readings of each device to reports: by time, by number and by size. Readings keep their order and their
 * times: also two of one tag, which may be in the same millisecond.
 */
export class Batcher {
  readonly #options: BatcherOptions;
  readonly #waiting = new Map<string, Waiting>();
  /** Devices with readings, in the order of their first one. */
  readonly #filled = new Set<Waiting>();
  #timer: Timer | undefined;

  constructor(options: BatcherOptions) {
    this.#options = options;
  }

  /** Devices with readings that wait. */
  get devices(): number {
    return this.#filled.size;
  }

  /** Adds a reading. `isUrgent`: it is sent at once, with what waits of its device. */
  add(device: string, reading: TimedReading, isUrgent: boolean): void {
    let waiting = this.#waiting.get(device);
    if (waiting === undefined) {
      waiting = { device, readings: [], bytes: 0 };
      this.#waiting.set(device, waiting);
    }
    const { tag, value, unit } = reading;
    // In UTF-8 a character has up to three bytes.
    const bytes = readingBytes + tag.length + (unit?.length ?? 0) + (typeof value === 'string' ? 3 * value.length : 0);
    if (waiting.bytes + bytes > reportBytesMax) this.#put(waiting);
    this.#filled.add(waiting);
    waiting.readings.push(reading);
    waiting.bytes += bytes;
    if (isUrgent || waiting.readings.length === reportLimits.readingsMax) this.#put(waiting);
    else this.#timer ??= this.#options.clock.after(this.#options.batchMs, () => this.flush());
  }

  /** Sends what waits. */
  flush(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    for (const waiting of [...this.#filled]) this.#put(waiting);
  }

  #put(waiting: Waiting): void {
    const { device, readings } = waiting;
    this.#filled.delete(waiting);
    if (readings.length === 0) return;
    waiting.readings = [];
    waiting.bytes = 0;
    let newest = readings[0]!.time;
    for (const { time } of readings) if (time > newest) newest = time;
    // The time of the report is that of its readings without one.
    const compact = readings.map(({ time, ...reading }) => (time === newest ? reading : { ...reading, time }));
    this.#options.put({ device, time: newest, readings: compact });
  }
}
