import { DeliveryChecker, type Finding, MissingRanges } from '../../../test/delivery-checker.ts';
import { type Positions, positionsFromToken, tokenFromPositions } from '../generated/protocol.js';
import type { DataSink, MissingRange } from './data-frame.ts';

/** Missing ranges kept for a client; older ones excuse nothing that is still to come. */
const rangesMax = 200;

/** What a client received, in numbers. */
export interface Counts {
  /** Reports, each once; last values in a snapshot do not count. */
  reports: number;
  frames: number;
  /** Dropped because they were not newer than the device's last position: allowed after a change of connections. */
  repeats: number;
  /** Not delivered, and in a range of `missing` or `skipped`. */
  named: number;
  /** Devices whose last report was delivered. */
  finished: number;
  /** Not delivered, and in no such range. */
  gaps: number;
  /** Counters delivered before that came again at a newer position. */
  duplicates: number;
  /** Of devices that the channel does not cover, or without a counter. */
  invalid: number;
}

const countOf: Readonly<Record<Exclude<Finding, 'outOfOrder'>, keyof Counts>> = {
  lost: 'gaps',
  missing: 'named',
  duplicate: 'duplicates',
  invalid: 'invalid',
};

/**
 * What one client receives, compared with what devices sent: each counts its reports 1, 2, 3 … in its first reading.
 * The last one is negative, because the processes that send and receive share nothing else.
 *
 * `report` is called for every report of every client: what is not needed each time is done in other methods.
 */
export class Tally implements DataSink {
  readonly counts: Counts = {
    reports: 0,
    frames: 0,
    repeats: 0,
    named: 0,
    finished: 0,
    gaps: 0,
    duplicates: 0,
    invalid: 0,
  };
  readonly devices: number;
  /** The first error, as text. */
  firstError = '';
  /** From the device's timestamp to here: of the last report, and of the latest one of all, ms. */
  lastLatencyMs = 0;
  worstLatencyMs = 0;
  readonly #name: string;
  readonly #now: () => number;
  readonly #missing = new MissingRanges<number>(rangesMax);
  readonly #deliveries: DeliveryChecker;
  /** How far the subscription has come; undefined before `start`. */
  #positions: Positions | undefined;
  /**
   * By device: its position before it was brought up to date alone, as a slow reader is. The position after covers no
   * other device of the partition.
   */
  readonly #alone = new Map<number, number>();
  #isSnapshot = false;
  #isPlain = true;
  #isSlow = false;
  #nowMs = 0;

  /** `now`: the servers' clock, epoch ms. */
  constructor(name: string, devices: number, now: () => number) {
    this.#name = name;
    this.#now = now;
    this.devices = devices;
    this.#deliveries = new DeliveryChecker({
      onFinding: (finding, count, facts) => this.#onFinding(finding, count, facts),
      nameOf: (device) => `device ${device} of the channel`,
      isRepeatAnError: false,
      counters: { missing: this.#missing, takesBackLost: false },
    });
  }

  get isComplete(): boolean {
    return this.counts.finished === this.devices;
  }

  /** The position to resume from, as a token; undefined before `start`. */
  get token(): string | undefined {
    for (let device = 0; device < this.devices; device++) {
      const seq = this.#alone.get(device) ?? this.#deliveries.lastSeq(device);
      if (seq >= 0) this.#positions?.advance(this.#deliveries.partitionOf(device), seq);
    }
    return this.#positions === undefined ? undefined : tokenFromPositions(this.#positions);
  }

  /** A server serves the subscription from this position on. */
  start(token: string): void {
    const started = positionsFromToken(token);
    if (started.epoch === this.#positions?.epoch) {
      for (const [partition, last] of started.entries()) this.#positions.advance(partition, last);
      return;
    }
    this.#positions = started;
    // Positions of different epochs do not compare.
    for (let device = 0; device < this.devices; device++) this.#deliveries.rewind(device);
    this.#alone.clear();
  }

  /** The client was notified that it does not get these positions. */
  addMissing(ranges: readonly MissingRange[]): void {
    this.#missing.add(ranges);
  }

  frame(isSnapshot: boolean, missing: readonly MissingRange[]): void {
    this.#nowMs = this.#now();
    this.#isSnapshot = isSnapshot;
    this.counts.frames++;
    this.#isPlain = missing.length === 0 && this.#alone.size === 0;
    this.#isSlow = false;
    if (missing.length === 0) return;
    this.addMissing(missing);
    for (const { device, partition, to } of missing) if (device === undefined) this.#positions?.advance(partition, to);
    this.#isSlow = missing.some(({ device, reason }) => device !== undefined && reason === 'slow');
  }

  report(device: number, partition: number, seq: number, n: number, time: number): void {
    if (device < 0) {
      this.#onFinding('invalid', 1, `got ${partition}:${seq} of a device that the channel does not cover`);
      return;
    }
    const lastSeq = this.#isPlain ? -1 : this.#deliveries.lastSeq(device);
    if (!this.#deliveries.deliver(device, partition, seq, n < 0 ? -n : n, this.#isSnapshot)) {
      // A snapshot repeats by its nature.
      if (!this.#isSnapshot) this.counts.repeats++;
      return;
    }
    if (n < 0) this.counts.finished++;
    if (this.#isSnapshot) return;
    if (!this.#isPlain) this.#noteAlone(device, lastSeq);
    this.counts.reports++;
    const latencyMs = this.#nowMs - time;
    this.lastLatencyMs = latencyMs;
    if (latencyMs > this.worstLatencyMs) this.worstLatencyMs = latencyMs;
  }

  /** Notes an error; the first is kept. */
  noteError(text: string): void {
    if (this.firstError === '') this.firstError = `${this.#name}: ${text}`;
  }

  /** A slow reader is brought up to date device by device. */
  #noteAlone(device: number, lastSeq: number): void {
    if (!this.#isSlow) this.#alone.delete(device);
    else if (!this.#alone.has(device)) this.#alone.set(device, lastSeq);
  }

  #onFinding(finding: Finding, count: number, facts: string): void {
    // Repeats are dropped, and lost reports not taken back: nothing is out of order.
    if (finding === 'outOfOrder') return;
    this.counts[countOf[finding]] += count;
    if (finding !== 'missing') this.noteError(facts);
  }
}
