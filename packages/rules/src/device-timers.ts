import type { AlarmPoint } from './alarm-point.ts';
import type { EvaluationPlaces } from './evaluation/evaluation-places.ts';

const never = Number.POSITIVE_INFINITY;

/** What is due next. */
export interface NextTimer {
  /** By the clock of the device, or by that of ingest. */
  readonly dueMs: number;
  /** Its place; see `EvaluatedTo`. */
  readonly timersMs: number;
  /** Its last adopted transition may have come with others that were not written. */
  readonly isUnfinished: boolean;
}

/**
 * Finds what is due next of the rules of a device, by the clock of the device and by that of ingest. After a takeover,
 * what the former owner has evaluated is due only later, and the places of unfinished transitions are due again.
 */
export class DeviceTimers {
  /** Lower bounds of the next timers. */
  eventDueMs = never;
  receivedDueMs = never;
  #points: readonly AlarmPoint[] = [];
  readonly #places: EvaluationPlaces;

  constructor(places: EvaluationPlaces) {
    this.#places = places;
  }

  /** Expected to be followed by `findDue`, when the rules are evaluated. */
  setPoints(points: readonly AlarmPoint[]): void {
    this.#points = points;
  }

  /** Keeps the bounds after a change of a rule. */
  arm(point: AlarmPoint): void {
    this.eventDueMs = Math.min(this.eventDueMs, point.eventDue());
    this.receivedDueMs = Math.min(this.receivedDueMs, point.receivedDue());
  }

  findDue(): void {
    this.eventDueMs = this.#places.unfinishedDue('event_timer');
    this.receivedDueMs = this.#places.unfinishedDue('received_timer', 'action');
    for (const point of this.#points) this.arm(point);
  }

  /** Returns the next timer by the clock of ingest after a report, or that an action has to be finished before it. */
  nextReceived(seq: number): NextTimer | 'unfinished_action' {
    const places = this.#places;
    let dueMs = never;
    let laterMs = places.unfinishedDue('received_timer', 'action');
    for (const point of this.#points) {
      const each = point.receivedDue();
      if (places.isCovered(point, seq, never, places.timerMs(each))) laterMs = Math.min(laterMs, each);
      else dueMs = Math.min(dueMs, each);
    }
    const { timersMs = 0, atMs = 0 } = places.unfinished ?? {};
    const ownMs = places.timerMs(dueMs);
    if (places.isUnfinished('action', seq, never) && ownMs > timersMs) return 'unfinished_action';
    const isUnfinished = places.isUnfinished('received_timer', seq, never) && ownMs >= timersMs;
    if (isUnfinished) dueMs = atMs;
    this.receivedDueMs = Math.min(dueMs, laterMs);
    return { dueMs, timersMs: isUnfinished ? timersMs : ownMs, isUnfinished };
  }

  /** Returns the next timer by the clock of the device, in a report after a batch of its readings. */
  nextEvent(seq: number, batch: number): NextTimer {
    const places = this.#places;
    const timersMs = places.isUnfinished('event_timer', seq, batch) ? places.unfinished?.timersMs : undefined;
    let dueMs = timersMs ?? never;
    let laterMs = places.unfinishedDue('event_timer');
    for (const point of this.#points) {
      const each = point.eventDue();
      if (places.isCovered(point, seq, batch, each)) laterMs = Math.min(laterMs, each);
      else dueMs = Math.min(dueMs, each);
    }
    this.eventDueMs = Math.min(dueMs, laterMs);
    return { dueMs, timersMs: dueMs, isUnfinished: dueMs === timersMs };
  }
}
