import type { Report } from '@tailrace/protocol/report';

/** Why reports were lost. */
export const lossReasons = ['limit_oldest', 'limit_newest', 'disk_full', 'crash', 'damaged_store', 'refused'] as const;
export type LossReason = (typeof lossReasons)[number];

/** Reports that were lost, of which the receiver does not know yet. */
interface Loss {
  /** Of its report. */
  readonly id: string;
  readonly reason: LossReason;
  /** It is reported before the entry with this number, or the first one after it. */
  readonly place: number;
  /** Source times of what was lost; 0: not known. */
  readonly from: number;
  readonly until: number;
}

/** What is kept of losses over a restart. */
export interface StoredLosses {
  readonly reports: number;
  readonly readings: number;
  readonly sent?: Loss | undefined;
  readonly next?: Loss | undefined;
}

/** Reports and readings that were lost together. */
export interface LostReports {
  readonly reports: number;
  readonly readings: number;
  readonly from: number;
  readonly until: number;
}

export const unknownLoss: LostReports = { reports: 0, readings: 0, from: 0, until: 0 };

/**
 * Counts what is lost, and reports it at the place of the gap. Losses that follow each other before they are reported
 * are one. The report of a loss has an ID of its own, with which it is sent again until it is acknowledged.
 */
export class Losses {
  /** Since the store was made. */
  reports = 0;
  readings = 0;
  /** Lost reports by reason, since the start. */
  readonly byReason: Readonly<Record<LossReason, number>> = {
    limit_oldest: 0,
    limit_newest: 0,
    disk_full: 0,
    crash: 0,
    damaged_store: 0,
    refused: 0,
  };
  #sent: Loss | undefined;
  #next: Loss | undefined;

  /** Adds what the store has to what was lost before it was opened. */
  restore({ reports, readings, sent, next }: StoredLosses): void {
    this.reports += reports;
    this.readings += readings;
    this.#next = joined(next, this.#next);
    // Only one is in flight: that of the store is due next.
    if (this.#sent === undefined) this.#sent = sent;
    else this.#next = joined(this.#next, sent);
  }

  /** The numbers of all entries are `by` higher. */
  shift(by: number): void {
    this.#sent = this.#sent && { ...this.#sent, place: this.#sent.place + by };
    this.#next = this.#next && { ...this.#next, place: this.#next.place + by };
  }

  toStored(): StoredLosses {
    const { reports, readings } = this;
    return { reports, readings, sent: this.#sent, next: this.#next };
  }

  /** `id`: of its report, which no report had, if it is not added to another loss. */
  add(reason: LossReason, lost: LostReports, place: number, id: string): void {
    this.reports += lost.reports;
    this.readings += lost.readings;
    (this.byReason as Record<LossReason, number>)[reason] += lost.reports;
    const { from, until } = lost;
    this.#next = joined(this.#next, { id, reason, place, from, until });
  }

  /** The number of the entry before which a loss is reported next; undefined without one. */
  get place(): number | undefined {
    return this.#sent?.place ?? this.#next?.place;
  }

  /** Returns the report of the loss that is due. It is returned again until `acked`. */
  report(device: string, nowMs: number): Report {
    this.#sent ??= this.#next;
    if (this.#sent === this.#next) this.#next = undefined;
    const { id, reason, from, until } = this.#sent!;
    const times = [
      { tag: 'lost_from', value: from, unit: 'ms' },
      { tag: 'lost_until', value: until, unit: 'ms' },
    ];
    return {
      device,
      id,
      time: nowMs,
      readings: [
        { tag: 'lost_reports', value: this.reports, unit: '1' },
        { tag: 'lost_readings', value: this.readings, unit: '1' },
        ...(until > 0 ? times : []),
        { tag: 'lost_reason', value: reason },
      ],
    };
  }

  /** The ID of the report that is in flight; '' for none. */
  get sentId(): string {
    return this.#sent?.id ?? '';
  }

  acked(): void {
    this.#sent = undefined;
  }
}

/** Returns two losses as one, which has the ID of the earlier and the reason of the later one. */
function joined(earlier: Loss | undefined, later: Loss | undefined): Loss | undefined {
  if (earlier === undefined || later === undefined) return earlier ?? later;
  const known = [earlier, later].filter(({ until }) => until > 0);
  return {
    id: earlier.id,
    reason: later.reason,
    place: Math.min(earlier.place, later.place),
    from: known.length === 0 ? 0 : Math.min(...known.map(({ from }) => from)),
    until: known.length === 0 ? 0 : Math.max(...known.map(({ until }) => until)),
  };
}
