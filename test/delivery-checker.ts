/**
 * Checks what a subscription delivers: each report of a device once, in order, at growing positions, except in ranges
 * that the client was notified of as missing. Simulation, chaos runs, attacks and k6 use it, and differ by options. It
 * imports nothing: k6 runs it as it is.
 */

/** Positions of a partition that a client was notified of as missing. */
export interface MissingRange<Device> {
  readonly partition: number;
  readonly from: number;
  /** Inclusive. */
  readonly to: number;
  /** Undefined: every device. */
  readonly device?: Device | undefined;
}

/** The ranges that one subscription was notified of. */
export class MissingRanges<Device> {
  readonly #rangesMax: number;
  #ranges: MissingRange<Device>[] = [];

  /** Above `rangesMax` ranges the oldest are dropped. */
  constructor(rangesMax = Number.POSITIVE_INFINITY) {
    this.#rangesMax = rangesMax;
  }

  add(ranges: readonly MissingRange<Device>[]): void {
    this.#ranges.push(...ranges);
    if (this.#ranges.length > this.#rangesMax) this.#ranges = this.#ranges.slice(-this.#rangesMax);
  }

  /** Whether a range includes this position of the device. */
  includes(device: Device, partition: number, seq: number): boolean {
    return this.overlaps(device, partition, seq - 1, seq + 1);
  }

  /** Whether a range includes a position of the device between two others. */
  overlaps(device: Device, partition: number, after: number, before: number): boolean {
    return this.#ranges.some(
      (range) =>
        range.partition === partition &&
        range.from < before &&
        range.to > after &&
        (range.device === undefined || range.device === device),
    );
  }
}

/**
 * - `lost`: never delivered, and in no missing range.
 * - `missing`: not delivered, and in a missing range.
 * - `duplicate`: delivered before.
 * - `outOfOrder`: after a later report of the device, or at a position that is not newer.
 * - `invalid`: without a counter.
 */
export type Finding = 'lost' | 'missing' | 'duplicate' | 'outOfOrder' | 'invalid';

export interface DeliveryCheckerOptions {
  /** Receives the number of reports of a finding, negative when a lost one is delivered later. */
  readonly onFinding: (finding: Finding, count: number, facts: string) => void;
  readonly nameOf: (device: number) => string;
  /**
   * Whether a report at a position that is not newer is an error. Not for k6: it reads the wire, on which a server may
   * send duplicates after a reconnect, and drops them as the SDK does.
   */
  readonly isRepeatAnError: boolean;
  /**
   * Undefined: only positions are checked, as in the simulation: its log may have a counter twice, after the message ID
   * has expired, and its checker compares with the log.
   */
  readonly counters: CounterOptions | undefined;
}

/** Devices number their reports 1, 2, 3 …, so that a gap is certain, whatever the positions are. */
export interface CounterOptions {
  readonly missing: MissingRanges<number>;
  /**
   * Whether a lost report that is delivered later is out of order, and no longer lost. Not for k6: its metrics only
   * grow, and such a report is a duplicate.
   */
  readonly takesBackLost: boolean;
}

/** Checks one subscription. Devices have the numbers 0, 1, 2 … */
export class DeliveryChecker {
  readonly #options: DeliveryCheckerOptions;
  /** By device: the last counter, its position and its partition; undefined before the first. */
  readonly #counters: number[] = [];
  readonly #seqs: number[] = [];
  readonly #partitions: number[] = [];
  /** By device: counters of lost reports. */
  readonly #lost = new Map<number, Set<number>>();

  constructor(options: DeliveryCheckerOptions) {
    this.#options = options;
  }

  /** The last counter delivered of a device; 0 before the first. */
  lastCounter(device: number): number {
    return this.#counters[device] ?? 0;
  }

  /** The last position delivered of a device; -1 before the first. */
  lastSeq(device: number): number {
    return this.#seqs[device] ?? -1;
  }

  partitionOf(device: number): number {
    return this.#partitions[device] ?? 0;
  }

  /** Positions restart after this one, or from the first in another epoch. Counters continue. */
  rewind(device: number, seq = -1): void {
    if (this.lastSeq(device) > seq) this.#seqs[device] = seq;
  }

  /**
   * Returns whether the position is newer than all previous ones. `mayStart`: the first report of a device may have any
   * counter, as in a snapshot; else it is 1. Called for each report of each client: the usual case allocates nothing.
   */
  deliver(device: number, partition: number, seq: number, counter: number, mayStart: boolean): boolean {
    if (counter === this.#counters[device]! + 1 && seq > this.#seqs[device]!) {
      this.#counters[device] = counter;
      this.#seqs[device] = seq;
      return true;
    }
    return this.#check(device, partition, seq, counter, mayStart);
  }

  /** Checks the first report of a device, and every unexpected one. */
  #check(device: number, partition: number, seq: number, counter: number, mayStart: boolean): boolean {
    const { counters, isRepeatAnError } = this.#options;
    const lastSeq = this.lastSeq(device);
    const isNewer = seq > lastSeq;
    if (!isNewer && !isRepeatAnError) return false;
    const last = this.lastCounter(device);
    const find = (finding: Finding, count: number) => {
      const facts = `got ${counter} at ${partition}:${seq} after ${last} at ${partition}:${lastSeq}`;
      this.#options.onFinding(finding, count, `${this.#options.nameOf(device)}: ${facts}`);
    };
    if (counters !== undefined && !(counter >= 1)) find('invalid', 1);
    else if (this.#lost.get(device)?.delete(counter)) {
      find('lost', -1);
      find('outOfOrder', 1);
    } else if (counters !== undefined && counter <= last) find('duplicate', 1);
    else if (!isNewer) find('outOfOrder', 1);
    else if (counters !== undefined && counter > last + 1 && !(mayStart && last === 0)) {
      // The positions of undelivered reports are between the two that were delivered.
      const isMissing = counters.missing.overlaps(device, partition, lastSeq, seq);
      find(isMissing ? 'missing' : 'lost', counter - last - 1);
      if (!isMissing && counters.takesBackLost) this.#addLost(device, last + 1, counter);
    }
    this.#partitions[device] = partition;
    this.#seqs[device] = Math.max(seq, lastSeq);
    if (counter > last) this.#counters[device] = counter;
    return isNewer;
  }

  #addLost(device: number, from: number, to: number): void {
    const lost = this.#lost.get(device) ?? new Set();
    this.#lost.set(device, lost);
    for (let counter = from; counter < to; counter++) lost.add(counter);
  }
}

/** Numbers devices by name, in the order of the first request. */
export class DeviceNumbers {
  readonly #numbers = new Map<string, number>();
  readonly #names: string[] = [];

  numberOf(device: string): number {
    let number = this.#numbers.get(device);
    if (number === undefined) {
      number = this.#names.push(device) - 1;
      this.#numbers.set(device, number);
    }
    return number;
  }

  nameOf(number: number): string {
    return this.#names[number] ?? '';
  }
}
