import { computed, type ReadonlySignal, type Signal, signal } from '@preact/signals';
import { keepMs } from './history.ts';
import { hashFromPlace, type Place, placeFromHash, type Section } from './location.ts';

/** A span of time on a chart, epoch ms of the servers' clocks. */
export interface Span {
  readonly fromMs: number;
  readonly toMs: number;
}

/** Narrower than this a drag is a click. */
const spanMsMin = 500;

/** What the user views: device, window, pause, the time under the pointer. Device and window are in the address. */
export class View {
  readonly place: Signal<Place>;
  readonly section: ReadonlySignal<Section>;
  readonly device: ReadonlySignal<string | undefined>;
  readonly search: Signal<string> = signal('');
  /** Undefined: the window follows the time. */
  readonly paused: Signal<Span | undefined> = signal(undefined);
  /** The pointer's place on the charts, as a part of the window; undefined: elsewhere. */
  readonly pointerPart: Signal<number | undefined> = signal(undefined);

  constructor() {
    this.place = signal(placeFromHash(location.hash));
    this.section = computed(() => this.place.value.section);
    this.device = computed(() => this.place.value.device);
    addEventListener('hashchange', () => {
      this.place.value = placeFromHash(location.hash);
    });
  }

  /** `step`: adds an entry for the Back button; else it replaces the last one. */
  goTo(changes: Partial<Place>, step: boolean): void {
    // A device is shown in its own section, and no other section has one.
    const of = changes.device === undefined ? {} : { section: 'device' as const };
    const place = { ...this.place.value, ...of, ...changes };
    const hash = hashFromPlace(place);
    if (hash !== location.hash) history[step ? 'pushState' : 'replaceState'](null, '', hash);
    this.place.value = place;
  }

  get windowMs(): number {
    return this.place.value.windowMinutes * 60_000;
  }

  /** Returns where the charts start at a time, paused or not; not before what the page keeps. */
  historyFromMsAt(nowMs: number): number {
    return Math.max(nowMs - keepMs, this.spanAt(nowMs).fromMs);
  }

  /** Returns the span that a chart shows at a time. */
  spanAt(nowMs: number): Span {
    return this.paused.value ?? { fromMs: nowMs - this.windowMs, toMs: nowMs };
  }

  /** The time under the pointer: while the window moves on, it does, too. */
  pointerMsAt(nowMs: number): number | undefined {
    const { value: part } = this.pointerPart;
    if (part === undefined) return undefined;
    const { fromMs, toMs } = this.spanAt(nowMs);
    return fromMs + part * (toMs - fromMs);
  }

  setWindow(windowMinutes: number): void {
    this.goTo({ windowMinutes }, false);
    const { value: span } = this.paused;
    if (span !== undefined) this.paused.value = { fromMs: span.toMs - this.windowMs, toMs: span.toMs };
  }

  togglePause(nowMs: number): void {
    this.paused.value = this.paused.value === undefined ? this.spanAt(nowMs) : undefined;
  }

  zoomTo(span: Span): void {
    if (span.toMs - span.fromMs >= spanMsMin) this.paused.value = span;
  }

  /** Moves by a part of the window, and pauses. */
  pan(part: number, nowMs: number): void {
    const { fromMs, toMs } = this.spanAt(nowMs);
    const shift = Math.min(part * (toMs - fromMs), nowMs - toMs);
    this.paused.value = { fromMs: fromMs + shift, toMs: toMs + shift };
  }
}
