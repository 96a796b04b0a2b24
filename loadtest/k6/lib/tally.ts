import { type Positions, positionsFromToken, tokenFromPositions } from '../generated/protocol.js';
import type { DataSink, MissingRange } from './codec.ts';

/** Ranges kept of what a client was told it cannot have; older ones excuse nothing that is still to come. */
const namedMax = 200;

/** What a client was shown, in numbers. */
export interface Counts {
  /** Reports, each once; last values at the beginning are none. */
  reports: number;
  frames: number;
  /** Left out by the rule "not newer than the device's last position": allowed after a change of connections. */
  repeats: number;
  /** Passed over, and told: in `missing` or `skipped`. */
  named: number;
  /** Devices that said their last report. */
  ended: number;
  /** Passed over without a word. */
  gaps: number;
  /** Values shown before that came again at a new position. */
  duplicates: number;
  /** Of devices that the channel does not cover, or that carry no counter. */
  foreign: number;
}

/**
 * What one client is shown, held against what devices sent: each counts its reports 1, 2, 3 … in its first reading, the last one as a negative
 * number. A hole is therefore certain, whatever positions say; it is excused only where the server named it.
 *
 * `report` is called for every report of every client: what is not needed each time is done in other methods.
 */
export class Tally implements DataSink {
  readonly counts: Counts = {
    reports: 0,
    frames: 0,
    repeats: 0,
    named: 0,
    ended: 0,
    gaps: 0,
    duplicates: 0,
    foreign: 0,
  };
  readonly devices: number;
  /** In words, of the first fault. */
  fault = '';
  /** From the device's stamp to here, of the last report and of the latest of all, ms. */
  lastLatencyMs = 0;
  worstLatencyMs = 0;
  readonly #name: string;
  readonly #now: () => number;
  /** By device: the last value, NaN before the first; its position, -1; its partition. */
  readonly #n: number[];
  readonly #seq: number[];
  readonly #partition: number[];
  /** How far the subscription has come; undefined before `begin`. */
  #positions: Positions | undefined;
  /** Devices that were brought up to date alone, with the position before: theirs says nothing of the others in their partition. */
  readonly #alone = new Map<number, number>();
  #named: MissingRange[] = [];
  #isSnapshot = false;
  #isPlain = true;
  #isSlow = false;
  #nowMs = 0;

  /** `now`: by the servers' clock, epoch ms. */
  constructor(name: string, devices: number, now: () => number) {
    this.#name = name;
    this.#now = now;
    this.devices = devices;
    this.#n = new Array<number>(devices).fill(Number.NaN);
    this.#seq = new Array<number>(devices).fill(-1);
    this.#partition = new Array<number>(devices).fill(0);
  }

  get hasEnded(): boolean {
    return this.counts.ended === this.devices;
  }

  /** How far the client has come, to come back with; undefined before `begin`. */
  get token(): string | undefined {
    for (let device = 0; device < this.devices; device++) {
      const seq = this.#alone.get(device) ?? this.#seq[device]!;
      if (seq >= 0) this.#positions?.advance(this.#partition[device]!, seq);
    }
    return this.#positions === undefined ? undefined : tokenFromPositions(this.#positions);
  }

  /** A server says from where on it serves. */
  begin(token: string): void {
    const begun = positionsFromToken(token);
    if (begun.epoch === this.#positions?.epoch) {
      // What is known of the same epoch is only raised.
      for (const [partition, last] of begun.entries()) this.#positions.advance(partition, last);
      return;
    }
    this.#positions = begun;
    // Positions of another epoch do not compare.
    this.#seq.fill(-1);
    this.#alone.clear();
  }

  missing(ranges: readonly MissingRange[]): void {
    for (const range of ranges) this.#named.push(range);
    if (this.#named.length > namedMax) this.#named = this.#named.slice(-namedMax);
  }

  frame(isSnapshot: boolean, named: readonly MissingRange[]): void {
    this.#nowMs = this.#now();
    this.#isSnapshot = isSnapshot;
    this.counts.frames++;
    this.#isPlain = named.length === 0 && this.#alone.size === 0;
    this.#isSlow = false;
    if (named.length === 0) return;
    this.missing(named);
    for (const { device, partition, to } of named) if (device === undefined) this.#positions?.advance(partition, to);
    this.#isSlow = named.some(({ device, reason }) => device !== undefined && reason === 'slow');
  }

  report(device: number, partition: number, seq: number, n: number, time: number): void {
    if (device < 0) {
      this.#count('foreign', 1, `a report at ${partition}:${seq} of a device that its channel does not cover`);
      return;
    }
    const lastSeq = this.#seq[device]!;
    if (seq <= lastSeq) {
      // In a snapshot it is what a snapshot is.
      if (!this.#isSnapshot) this.counts.repeats++;
      return;
    }
    this.#seq[device] = seq;
    const last = this.#n[device]!;
    if (n === last + 1) this.#n[device] = n;
    else this.#unexpected(device, partition, lastSeq, seq, last, n);
    if (this.#isSnapshot) return;
    if (!this.#isPlain) this.#noteAlone(device, lastSeq);
    this.counts.reports++;
    const latencyMs = this.#nowMs - time;
    this.lastLatencyMs = latencyMs;
    if (latencyMs > this.worstLatencyMs) this.worstLatencyMs = latencyMs;
  }

  /** A slow reader is brought up to date device by device. */
  #noteAlone(device: number, lastSeq: number): void {
    if (!this.#isSlow) this.#alone.delete(device);
    else if (!this.#alone.has(device)) this.#alone.set(device, lastSeq);
  }

  /** The first of a device, its last one, or what must not be. */
  #unexpected(device: number, partition: number, lastSeq: number, seq: number, last: number, n: number): void {
    this.#partition[device] = partition;
    if (Number.isNaN(n) || n === 0) {
      this.#count('foreign', 1, `a report at ${partition}:${seq} without a counter`);
      return;
    }
    const value = Math.abs(n);
    // Who begins is shown the last value of every device that has spoken: what comes first of another is its first.
    const before = Number.isNaN(last) ? 0 : last;
    const isBegin = this.#isSnapshot && before === 0;
    if (!isBegin && value !== before + 1) this.#judge(device, partition, lastSeq, seq, before, value);
    if (!(value <= last)) this.#n[device] = value;
    if (n < 0) this.counts.ended++;
  }

  #judge(device: number, partition: number, lastSeq: number, seq: number, last: number, value: number): void {
    const words = `device ${device} of the channel showed ${value} at ${partition}:${seq} after ${last} at ${partition}:${lastSeq}`;
    if (value <= last) {
      this.#count('duplicates', 1, words);
      return;
    }
    const isNamed = this.#named.some((each) => each.partition === partition && each.from < seq && each.to > lastSeq);
    if (isNamed) this.counts.named += value - last - 1;
    else this.#count('gaps', value - last - 1, words);
  }

  /** Notes a fault in words; the first is kept. */
  complain(words: string): void {
    if (this.fault === '') this.fault = `${this.#name}: ${words}`;
  }

  #count(kind: 'gaps' | 'duplicates' | 'foreign', count: number, words: string): void {
    this.counts[kind] += count;
    this.complain(words);
  }
}
