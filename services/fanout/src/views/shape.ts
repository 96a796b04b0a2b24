import type { Reading } from '@tailrace/protocol/report';
import { effectiveTime } from '@tailrace/protocol/source-time';
import { DeadbandFilter } from './deadband.ts';
import { DeltaFilter } from './delta.ts';
import { LastSentBudget } from './last-sent-readings.ts';
import { FilteredPublication, type Publication } from './publication.ts';
import type { ViewOptions } from './view-options.ts';

/** What the shapes of all views of a node share. */
export interface ShapeContext {
  readonly budget: LastSentBudget;
  /** A `delta` view sends each reading in full at least this often, as long as the device reports it. */
  readonly keyFrameMs: number;
  /** Reports that were left out: none of their readings is among `tags`, or all are within `deadband`. */
  readonly counts: { untagged: number; heldBack: number };
}

/** The filters of a view with options: which reports it sends, and with which readings. */
export class Shape {
  readonly #options: ViewOptions;
  readonly #counts: ShapeContext['counts'];
  readonly #tags: ReadonlySet<string> | undefined;
  readonly #deadband: DeadbandFilter | undefined;
  readonly #delta: DeltaFilter | undefined;

  constructor(options: ViewOptions, context: ShapeContext) {
    const { tags, deadband, delta } = options;
    this.#options = options;
    this.#counts = context.counts;
    this.#tags = tags === undefined ? undefined : new Set(tags);
    this.#deadband = deadband === undefined ? undefined : new DeadbandFilter(deadband, context.budget);
    this.#delta = delta === undefined ? undefined : new DeltaFilter(context.keyFrameMs, context.budget);
  }

  /** Filters a report for all clients of the view. Returns undefined where nothing is left. */
  filter(whole: Publication): Publication | undefined {
    const selected = this.#selectTags(whole);
    if (selected === undefined) {
      this.#counts.untagged++;
      return undefined;
    }
    const passed = beyondDeadband(selected, this.#deadband);
    if (passed === undefined) this.#counts.heldBack++;
    return passed;
  }

  /** Leaves out unchanged readings, with `delta`. Called just before the frame is encoded. `nowMs`: monotonic. */
  withoutUnchanged(publications: readonly Publication[], nowMs: number): readonly Publication[] {
    const delta = this.#delta;
    return delta === undefined ? publications : publications.map((publication) => delta.filter(publication, nowMs));
  }

  /** As in `View.lastValues`. */
  lastValues(whole: readonly Publication[], isOnlyClient: boolean): readonly Publication[] {
    return this.#noteSentToOne(
      this.#tags === undefined ? whole : whole.flatMap((each) => this.#selectTags(each) ?? []),
      isOnlyClient,
    );
  }

  /** As in `View.shaped`. */
  shaped(whole: Iterable<Publication>, isOnlyClient: boolean): readonly Publication[] {
    const { deadband } = this.#options;
    if (deadband === undefined) return this.lastValues([...whole], isOnlyClient);
    // A filter of its own: what the view sent to other clients does not matter for this one.
    const fresh = new DeadbandFilter(deadband, new LastSentBudget(Number.POSITIVE_INFINITY));
    const publications: Publication[] = [];
    for (const each of whole) {
      const selected = this.#selectTags(each);
      const passed = selected && beyondDeadband(selected, fresh);
      if (passed !== undefined) publications.push(passed);
    }
    return this.#noteSentToOne(publications, isOnlyClient);
  }

  /** Forgets what was sent: no client of the view is left. */
  clear(): void {
    this.#deadband?.clear();
    this.#delta?.clear();
  }

  /** Selects the readings of `tags`. Returns undefined where there is none. */
  #selectTags(whole: Publication): Publication | undefined {
    const tags = this.#tags;
    if (tags === undefined) return whole;
    const { readings } = whole.report;
    const wanted = readings.filter(({ tag }) => tags.has(tag));
    if (wanted.length === readings.length) return whole;
    return wanted.length === 0 ? undefined : new FilteredPublication(whole, wanted, false);
  }

  /** Notes what is sent to one client and not to the others: of each tag its last value. */
  #noteSentToOne(publications: readonly Publication[], isOnlyClient: boolean): readonly Publication[] {
    if (this.#deadband === undefined && this.#delta === undefined) return publications;
    const newest = new Map<string, Map<string, { readonly reading: Reading; readonly timeMs: number }>>();
    for (const { report } of publications) {
      const { device, readings } = report;
      if (report.historical === true) continue;
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
        this.#deadband?.noteSentToOne(device, reading, timeMs, isOnlyClient);
        this.#delta?.noteSentToOne(device, reading);
      }
    }
    return publications;
  }
}

/** Returns the readings beyond the deadband; undefined where there is none. */
function beyondDeadband(publication: Publication, filter: DeadbandFilter | undefined): Publication | undefined {
  if (filter === undefined) return publication;
  const { readings } = publication.report;
  const passed = filter.filter(publication.report);
  if (passed.length === readings.length) return publication;
  return passed.length === 0 ? undefined : new FilteredPublication(publication, passed, false);
}
