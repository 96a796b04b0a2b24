import { idExpiryMs } from '@tailrace/fanout/ownership/recent-ids';
import { patternMatches } from '@tailrace/protocol/pattern';
import type { Positions } from '@tailrace/protocol/position';
import { DeliveryChecker, DeviceNumbers, type MissingRange, MissingRanges } from '../delivery-checker.ts';
import type { Violations } from './violation.ts';

/** A report as a client is given it. */
export interface Publication {
  readonly device: string;
  readonly partition: number;
  readonly seq: number;
  /** The device's own count: it reports 1, 2, 3 … */
  readonly value: number;
}

/** A report as it lies in the log. */
export interface Appended extends Publication {
  /** By which the last value of the device is chosen, then by position. Default: all alike. */
  readonly effectiveMs?: number;
  /** The log has it, and nobody can read it: it has to be named. Default: it can be read. */
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
 * I1 to I3: what subscriptions were given, held against what lies in the log. It knows nothing of how the one came from the other.
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

  /** A record is in the log, appended now. In the order of the positions of a partition. */
  appended({ device, partition, seq, value, effectiveMs = 0, isUnreadable = false }: Appended): void {
    let log = this.#log.get(device);
    if (log === undefined) {
      log = { partition, reports: [], lastMs: new Map(), repetitions: new Set() };
      this.#log.set(device, log);
    }
    const atMs = this.#nowMs();
    const beforeMs = log.lastMs.get(value);
    log.lastMs.set(value, atMs);
    const afterMs = beforeMs === undefined ? Number.POSITIVE_INFINITY : atMs - beforeMs;
    if (afterMs <= this.#idWindowMs) log.repetitions.add(seq);
    // In between it is one or the other, for all alike: it may be shown, and need not.
    else if (afterMs > idExpiryMs(this.#idWindowMs)) log.reports.push({ isUnreadable, seq, value, atMs, effectiveMs });
  }

  /** Whether the record was written under an ID that its device had used within the window. */
  isRepetition(device: string, seq: number): boolean {
    return this.#log.get(device)?.repetitions.has(seq) ?? false;
  }

  /** A client subscribes. */
  watch(client: string, channel: string): Watch {
    const watch = new Watch(client, channel, this, this.#violations, this.#nowMs);
    this.#watches.push(watch);
    return watch;
  }

  /** Nothing more will come. Subscriptions that have not ended must have everything, the others everything before their last. */
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
    const shown = watch.seqsOf(device);
    const until = watch.ended ? watch.lastSeqOf(device) : Number.POSITIVE_INFINITY;
    let base: Logged | undefined;
    let overtaken = false;
    for (const logged of reports) {
      if (logged.seq > from && logged.seq <= until && !shown?.has(logged.seq))
        this.#missed(watch, device, partition, logged, from);
      if (logged.isUnreadable || !isLastOf(logged, base)) continue;
      if (logged.seq <= from) base = logged;
      // The server knew more before the snapshot was complete, and gives it as news: the last value of before may be
      // left out.
      else if (logged.atMs <= watch.snapshotMs) overtaken = true;
    }
    if (base === undefined || overtaken || watch.ended || shown?.has(base.seq)) return;
    this.#missed(watch, device, partition, base, from);
  }

  #missed(watch: Watch, device: string, partition: number, { seq, value }: Logged, from: number): void {
    if (watch.names(device, partition, seq)) return;
    const what = seq <= from ? 'as the last value of' : 'of';
    this.#violations.add(
      'I3 completeness',
      `${watch} was never shown ${value} ${what} ${device}, at ${partition}:${seq}; it began behind ${partition}:${from}`,
    );
  }
}

/** Whether a report of a later position has the last value, and not the one of before. */
function isLastOf({ effectiveMs }: Logged, before: Logged | undefined): boolean {
  return before === undefined || effectiveMs >= before.effectiveMs;
}

interface LoggedDevice {
  readonly partition: number;
  /** In the order of the log, without repetitions. */
  readonly reports: Logged[];
  /** When a value was last appended. */
  readonly lastMs: Map<number, number>;
  /** Positions. */
  readonly repetitions: Set<number>;
}

/** What one subscription was given. */
export class Watch {
  readonly client: string;
  readonly channel: string;
  /** Everything later was promised; undefined before the first answer. */
  start: Positions | undefined;
  /** When it was answered, and then, when all of its snapshot had come. */
  snapshotMs = 0;
  ended = false;
  readonly #checker: Pick<Checker, 'isRepetition'>;
  readonly #violations: Violations;
  readonly #nowMs: () => number;
  readonly #numbers = new DeviceNumbers();
  readonly #missing = new MissingRanges<string>();
  /** Positions by device. */
  readonly #shownSeqs = new Map<string, Set<number>>();
  readonly #deliveries: DeliveryChecker;
  #answered: { readonly start: Positions; readonly atMs: number } | undefined;

  constructor(
    client: string,
    channel: string,
    checker: Pick<Checker, 'isRepetition'>,
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

  /** It was answered, with this position. As long as nothing was shown it may begin anew. */
  began(start: Positions): void {
    this.#answered = { start, atMs: this.#nowMs() };
    if (this.start === undefined || this.#shownSeqs.size === 0) this.reset();
  }

  /** The client was notified that it starts again with its last answer, and that what lies before may be lost. */
  reset(): void {
    this.start = this.#answered?.start;
    this.snapshotMs = this.#answered?.atMs ?? 0;
  }

  /** The whole snapshot has arrived. */
  completeSnapshot(): void {
    this.snapshotMs = this.#nowMs();
  }

  /**
   * The program starts again behind this position. Of later reports it is given again what it had; of earlier ones
   * nothing.
   */
  restarted(position: Positions): void {
    for (const device of this.#shownSeqs.keys()) {
      const number = this.#numbers.numberOf(device);
      this.#deliveries.rewind(number, position.last(this.#deliveries.partitionOf(number)) ?? -1);
    }
  }

  shown(reports: readonly Publication[]): void {
    for (const report of reports) this.#shown(report);
  }

  /** It was told that it is not given these. */
  named(ranges: readonly MissingRange<string>[]): void {
    this.#missing.add(ranges);
  }

  names(device: string, partition: number, seq: number): boolean {
    return this.#missing.includes(device, partition, seq);
  }

  seqsOf(device: string): ReadonlySet<number> | undefined {
    return this.#shownSeqs.get(device);
  }

  lastSeqOf(device: string): number {
    return this.#deliveries.lastSeq(this.#numbers.numberOf(device));
  }

  toString(): string {
    return `${this.client} on ${this.channel}`;
  }

  #shown({ device, partition, seq, value }: Publication): void {
    const what = `${this} was shown ${value} of ${device} at ${partition}:${seq}`;
    if (this.ended) this.#violations.add('I2 order', `${what} after it had ended`);
    if (!patternMatches(this.channel, device)) this.#violations.add('I6 isolation', what);
    const seqs = this.#shownSeqs.get(device) ?? new Set();
    this.#shownSeqs.set(device, seqs);
    const isNewer = this.#deliveries.deliver(this.#numbers.numberOf(device), partition, seq, value, true);
    if (isNewer && this.#checker.isRepetition(device, seq)) {
      this.#violations.add('I1 once per ID', `${what}, where it was written for the second time`);
    }
    seqs.add(seq);
  }
}
