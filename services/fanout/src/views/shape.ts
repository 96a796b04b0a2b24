import type { Reading } from '@tailrace/protocol/report';
import { effectiveTime } from '@tailrace/protocol/source-time';
import { DeadbandFilter } from './deadband.ts';
import { DeltaFilter } from './delta.ts';
import { LastSentBudget } from './last-sent-readings.ts';
import { FilteredPublication, type Publication } from './publication.ts';
import type { ViewOptions } from './view-options.ts';

/** What all views of a node share for their shapes. */
export interface ShapeParts {
  readonly budget: LastSentBudget;
  /** A `delta` view tells each reading in full at least this often, as long as the device sends it. */
  readonly keyFrameMs: number;
  /** Reports not told: none of their readings is among `tags`; all are within `deadband`. */
  readonly counts: { untagged: number; heldBack: number };
}

/** What a view makes of reports: which of them it tells, and with which readings. */
export class Shape {
  readonly #options: ViewOptions;
  readonly #counts: ShapeParts['counts'];
  readonly #tags: ReadonlySet<string> | undefined;
  readonly #deadband: DeadbandFilter | undefined;
  readonly #delta: DeltaFilter | undefined;

  constructor(options: ViewOptions, parts: ShapeParts) {
    const { tags, deadband, delta } = options;
    this.#options = options;
    this.#counts = parts.counts;
    this.#tags = tags === undefined ? undefined : new Set(tags);
    this.#deadband = deadband === undefined ? undefined : new DeadbandFilter(deadband, parts.budget);
    this.#delta = delta === undefined ? undefined : new DeltaFilter(parts.keyFrameMs, parts.budget);
  }

  /** A report that has come: what of it goes to all clients of the view; undefined: nothing. */
  taken(whole: Publication): Publication | undefined {
    const cut = this.#cut(whole);
    if (cut === undefined) {
      this.#counts.untagged++;
      return undefined;
    }
    const told = withinDeadband(cut, this.#deadband);
    if (told === undefined) this.#counts.heldBack++;
    return told;
  }

  /** Just before the frame goes: without what it need not say again. `nowMs`: of the clock's `monotonic`. */
  sent(taken: readonly Publication[], nowMs: number): readonly Publication[] {
    const delta = this.#delta;
    return delta === undefined ? taken : taken.map((shown) => delta.telling(shown, nowMs));
  }

  /** As in `View.lastValues`. */
  lastValues(whole: readonly Publication[], first: boolean): readonly Publication[] {
    return this.#beside(this.#tags === undefined ? whole : whole.flatMap((each) => this.#cut(each) ?? []), first);
  }

  /** As in `View.shaped`. */
  shaped(whole: readonly Publication[], first: boolean): readonly Publication[] {
    const { deadband } = this.#options;
    if (deadband === undefined) return this.lastValues(whole, first);
    // Its own: what the view told others says nothing about this client.
    const fresh = new DeadbandFilter(deadband, new LastSentBudget(Number.POSITIVE_INFINITY));
    const shown: Publication[] = [];
    for (const each of whole) {
      const cut = this.#cut(each);
      const told = cut && withinDeadband(cut, fresh);
      if (told !== undefined) shown.push(told);
    }
    return this.#beside(shown, first);
  }

  /** Nobody is there who was told anything. */
  clear(): void {
    this.#deadband?.clear();
    this.#delta?.clear();
  }

  /** Readings by `tags`; undefined for none. */
  #cut(whole: Publication): Publication | undefined {
    const tags = this.#tags;
    if (tags === undefined) return whole;
    const { readings } = whole.report;
    const wanted = readings.filter(({ tag }) => tags.has(tag));
    if (wanted.length === readings.length) return whole;
    return wanted.length === 0 ? undefined : new FilteredPublication(whole, wanted, false);
  }

  /** One client is told this and the others are not: of each tag its last value counts. */
  #beside(shown: readonly Publication[], first: boolean): readonly Publication[] {
    if (this.#deadband === undefined && this.#delta === undefined) return shown;
    const newest = new Map<string, Map<string, { readonly reading: Reading; readonly timeMs: number }>>();
    for (const { report } of shown) {
      const { device, readings } = report;
      let tags = newest.get(device);
      if (tags === undefined) {
        tags = new Map();
        newest.set(device, tags);
      }
      for (const reading of readings) {
        const timeMs = effectiveTime(report, reading.time);
        if (timeMs >= (tags.get(reading.tag)?.timeMs ?? timeMs)) tags.set(reading.tag, { reading, timeMs });
      }
    }
    for (const [device, tags] of newest) {
      for (const { reading, timeMs } of tags.values()) {
        this.#deadband?.toldBeside(device, reading, timeMs, first);
        this.#delta?.toldBeside(device, reading);
      }
    }
    return shown;
  }
}

/** What the filter lets through; undefined for nothing. */
function withinDeadband(shown: Publication, filter: DeadbandFilter | undefined): Publication | undefined {
  if (filter === undefined) return shown;
  const { readings } = shown.report;
  const told = filter.telling(shown.report);
  if (told.length === readings.length) return shown;
  return told.length === 0 ? undefined : new FilteredPublication(shown, told, false);
}
