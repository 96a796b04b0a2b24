import { idExpiryMs } from '@tailrace/fanout/ownership/recent-ids';
import { patternMatches } from '@tailrace/protocol/pattern';
import type { Positions } from '@tailrace/protocol/position';
import { DeliveryChecker, DeviceNumbers, type MissingRange, MissingRanges } from '../delivery-checker.ts';
import type { Violations } from './violation.ts';

/** A report as a client receives it. */
export interface Publication {
  readonly device: string;
  readonly partition: number;
  readonly seq: number;
  /** A counter of the device: it reports 1, 2, 3 … */
  readonly value: number;
}

/** A report as it is in the log. */
export interface Appended extends Publication {
  /** Time that selects the last value of the device, then its position. Default: the same for all. */
  readonly effectiveMs?: number;
  /** Whether the log has it and cannot read it: it must be sent as missing. Default: false. */
  readonly isUnreadable?: boolean;
}

interface Logged {
  readonly isUnreadable: boolean;
  readonly seq: number;
  readonly value: number;
  readonly atMs: number;
  readonly effectiveMs: number;
}

/**
 * I1 to I3: compares what subscriptions received with what is in the log, without any knowledge of the product between
 * them.
 */
export class Checker {
  readonly #violations: Violations;
  readonly #nowMs: () => number;
  readonly #idWindowMs: number;
  readonly #log = new Map<string, LoggedDevice>();
  readonly #watches: Watch[] = [];

  /** `idWindowMs`: the window of message IDs. */
  constructor(violations: Violations, nowMs: () => number, idWindowMs: number) {
    this.#violations = violations;
    this.#nowMs = nowMs;
    this.#idWindowMs = idWindowMs;
  }

  /** A record was appended to the log now. Called in the order of the positions of a partition. */
  appended({ device, partition, seq, value, effectiveMs = 0, isUnreadable = false }: Appended): void {
    let log = this.#log.get(device);
    if (log === undefined) {
      log = { partition, reports: [], lastMs: new Map(), duplicates: new Set() };
      this.#log.set(device, log);
    }
    const atMs = this.#nowMs();
    const beforeMs = log.lastMs.get(value);
    log.lastMs.set(value, atMs);
    const afterMs = beforeMs === undefined ? Number.POSITIVE_INFINITY : atMs - beforeMs;
    if (afterMs <= this.#idWindowMs) log.duplicates.add(seq);
    // In between it is either, for all alike: it may be delivered, and need not be.
    else if (afterMs > idExpiryMs(this.#idWindowMs)) log.reports.push({ isUnreadable, seq, value, atMs, effectiveMs });
  }

  /** Whether the record has an ID that its device had used within the window. */
  isDuplicate(device: string, seq: number): boolean {
    return this.#log.get(device)?.duplicates.has(seq) ?? false;
  }

  /** A client subscribes. */
  watch(client: string, channel: string): Watch {
    const watch = new Watch(client, channel, this, this.#violations, this.#nowMs);
    this.#watches.push(watch);
    return watch;
  }

  /** Checks completeness at the end of a run: all reports, or those before the last one of a stopped subscription. */
  end(): void {
    for (const watch of this.#watches) {
      if (watch.start === undefined) continue;
      for (const [device, { partition, reports }] of this.#log) {
        if (patternMatches(watch.channel, device)) this.#compare(watch, watch.start, device, partition, reports);
      }
    }
  }

  #compare(watch: Watch, start: Positions, device: string, partition: number, reports: readonly Logged[]): void {
    const from = start.last(partition) ?? -1;
    const received = watch.seqsOf(device);
    const until = watch.isUnsubscribed ? watch.lastSeqOf(device) : Number.POSITIVE_INFINITY;
    let base: Logged | undefined;
    let overtaken = false;
    for (const logged of reports) {
      if (logged.seq > from && logged.seq <= until && !received?.has(logged.seq))
        this.#addUndelivered(watch, device, partition, logged, from);
      if (logged.isUnreadable || !isLastOf(logged, base)) continue;
      if (logged.seq <= from) base = logged;
      // The server knew a newer value before the snapshot was complete, and sends it as live: it may leave out the old
      // last value.
      else if (logged.atMs <= watch.snapshotMs) overtaken = true;
    }
    if (base === undefined || overtaken || watch.isUnsubscribed || received?.has(base.seq)) return;
    this.#addUndelivered(watch, device, partition, base, from);
  }

  #addUndelivered(watch: Watch, device: string, partition: number, { seq, value }: Logged, from: number): void {
    if (watch.isMissing(device, partition, seq)) return;
    const what = seq <= from ? 'as the last value of' : 'of';
    this.#violations.add(
      'I3 completeness',
      `${watch} never received ${value} ${what} ${device}, at ${partition}:${seq}; it started after ${partition}:${from}`,
    );
  }
}

/** Whether a report of a later position has the last value instead of `before`. */
function isLastOf({ effectiveMs }: Logged, before: Logged | undefined): boolean {
  return before === undefined || effectiveMs >= before.effectiveMs;
}

interface LoggedDevice {
  readonly partition: number;
  /** In the order of the log, without duplicates. */
  readonly reports: Logged[];
  /** When a value was last appended. */
  readonly lastMs: Map<number, number>;
  /** Positions. */
  readonly duplicates: Set<number>;
}

/** What one subscription received. */
export class Watch {
  readonly client: string;
  readonly channel: string;
  /** All later reports must be delivered; undefined before the first reply. */
  start: Positions | undefined;
  /** Time of the reply, and then of the end of its snapshot. */
  snapshotMs = 0;
  isUnsubscribed = false;
  readonly #checker: Pick<Checker, 'isDuplicate'>;
  readonly #violations: Violations;
  readonly #nowMs: () => number;
  readonly #numbers = new DeviceNumbers();
  readonly #missing = new MissingRanges<string>();
  /** Received positions by device. */
  readonly #receivedSeqs = new Map<string, Set<number>>();
  readonly #deliveries: DeliveryChecker;
  #answered: { readonly start: Positions; readonly atMs: number } | undefined;

  constructor(
    client: string,
    channel: string,
    checker: Pick<Checker, 'isDuplicate'>,
    violations: Violations,
    nowMs: () => number,
  ) {
    this.client = client;
    this.channel = channel;
    this.#checker = checker;
    this.#violations = violations;
    this.#nowMs = nowMs;
    this.#deliveries = new DeliveryChecker({
      onFinding: (_finding, _count, facts) => violations.add('I2 order', `${this}: ${facts}`),
      nameOf: (number) => this.#numbers.nameOf(number),
      isRepeatAnError: true,
      counters: undefined,
    });
  }

  /** The server has replied, with this position. Until the first report it may start again. */
  subscribed(start: Positions): void {
    this.#answered = { start, atMs: this.#nowMs() };
    if (this.start === undefined || this.#receivedSeqs.size === 0) this.reset();
  }

  /** The client was notified that it restarts at its last reply, and that earlier reports may be lost. */
  reset(): void {
    this.start = this.#answered?.start;
    this.snapshotMs = this.#answered?.atMs ?? 0;
  }

  /** The whole snapshot has arrived. */
  completeSnapshot(): void {
    this.snapshotMs = this.#nowMs();
  }

  /** The program restarts after this position: it receives later reports again, and no earlier ones. */
  restarted(position: Positions): void {
    for (const device of this.#receivedSeqs.keys()) {
      const number = this.#numbers.numberOf(device);
      this.#deliveries.rewind(number, position.last(this.#deliveries.partitionOf(number)) ?? -1);
    }
  }

  receive(reports: readonly Publication[]): void {
    for (const report of reports) this.#receive(report);
  }

  /** It was notified that these are missing. */
  addMissing(ranges: readonly MissingRange<string>[]): void {
    this.#missing.add(ranges);
  }

  isMissing(device: string, partition: number, seq: number): boolean {
    return this.#missing.includes(device, partition, seq);
  }

  seqsOf(device: string): ReadonlySet<number> | undefined {
    return this.#receivedSeqs.get(device);
  }

  lastSeqOf(device: string): number {
    return this.#deliveries.lastSeq(this.#numbers.numberOf(device));
  }

  toString(): string {
    return `${this.client} on ${this.channel}`;
  }

  #receive({ device, partition, seq, value }: Publication): void {
    const what = `${this} received ${value} of ${device} at ${partition}:${seq}`;
    if (this.isUnsubscribed) this.#violations.add('I2 order', `${what} after it unsubscribed`);
    if (!patternMatches(this.channel, device)) this.#violations.add('I6 isolation', what);
    const seqs = this.#receivedSeqs.get(device) ?? new Set();
    this.#receivedSeqs.set(device, seqs);
    const isNewer = this.#deliveries.deliver(this.#numbers.numberOf(device), partition, seq, value, true);
    if (isNewer && this.#checker.isDuplicate(device, seq)) {
      this.#violations.add('I1 once per ID', `${what}, where it was appended as a duplicate`);
    }
    seqs.add(seq);
  }
}
