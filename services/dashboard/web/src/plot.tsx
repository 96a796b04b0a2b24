import { useSignalEffect } from '@preact/signals';
import type { JSX } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import type { Device } from './fleet.ts';
import type { TagHistory } from './history.ts';
import { type Page, usePage } from './page.ts';
import { paletteAt } from './palette.ts';
import { Strip } from './strip.ts';
import { shownTag } from './tag-value.ts';
import { themeRevision } from './theme.ts';
import { plotLeftPx, plotRightPx } from './timescale.ts';
import { Trend } from './trend.ts';

/** A tag over time: numbers as a line, states as a band. */
export function Plot({ device, tag, history }: { device: Device; tag: string; history: TagHistory }): JSX.Element {
  const page = usePage();
  const element = useRef<HTMLDivElement>(null);
  const running = useRef<RunningPlot | undefined>(undefined);
  useEffect(() => {
    if (element.current === null) return;
    const plot = new RunningPlot(page, device, tag, history, element.current);
    running.current = plot;
    return () => plot.stop();
  }, [page, device, tag, history]);
  // A drawing depends on these besides the data and the time.
  useSignalEffect(() => {
    void page.view.paused.value;
    void page.view.place.value;
    void themeRevision.value;
    running.current?.redraw();
  });
  const unit = device.tags.get(tag)?.unit ?? '';
  const label = `${shownTag(tag)}${unit === '' ? '' : ` in ${unit}`}, over time`;
  return <div class="plot" ref={element} role="img" aria-label={label} data-testid="chart" data-tag={tag} />;
}

/** The last drawing. An equal one is not drawn again. */
interface Drawn {
  readonly seq: number;
  readonly fromMs: number;
  readonly toMs: number;
  readonly olderCount: number;
  readonly isIdle: boolean;
}

const nothingDrawn: Drawn = { seq: -2, fromMs: Number.NaN, toMs: Number.NaN, olderCount: 0, isIdle: false };

/** Draws when there is new data or the window has moved by a pixel, and only while it is visible. */
class RunningPlot {
  readonly #page: Page;
  readonly #device: Device;
  readonly #tag: string;
  readonly #history: TagHistory;
  readonly #element: HTMLElement;
  #trend: Trend | undefined;
  #strip: Strip | undefined;
  #isSeen = false;
  #width = 0;
  #height = 0;
  #drawn = nothingDrawn;
  readonly #stops: (() => void)[];

  constructor(page: Page, device: Device, tag: string, history: TagHistory, element: HTMLElement) {
    this.#page = page;
    this.#device = device;
    this.#tag = tag;
    this.#history = history;
    this.#element = element;
    const resized = new ResizeObserver(([entry]) => this.#resize(entry?.contentRect));
    resized.observe(element);
    const seen = new IntersectionObserver(([entry]) => {
      this.#isSeen = entry?.isIntersecting ?? false;
    });
    seen.observe(element);
    this.#stops = [page.frames.each(() => this.#frame()), () => resized.disconnect(), () => seen.disconnect()];
  }

  redraw(): void {
    this.#drawn = nothingDrawn;
  }

  stop(): void {
    for (const stop of this.#stops) stop();
    this.#trend?.destroy();
  }

  #resize(box: { readonly width: number; readonly height: number } | undefined): void {
    this.#width = Math.floor(box?.width ?? 0);
    this.#height = Math.floor(box?.height ?? 0);
    this.#trend?.resize(this.#width, this.#height);
    this.#strip?.resize(this.#width, this.#height);
    this.redraw();
  }

  #frame(): void {
    if (!this.#isSeen || this.#width <= plotLeftPx + plotRightPx || this.#height === 0) return;
    const { live, view } = this.#page;
    const nowMs = live.serverNow();
    const { fromMs, toMs } = view.spanAt(nowMs);
    const isIdle = this.#device.presence !== 'online' || !live.isLive;
    const pixelMs = (toMs - fromMs) / (this.#width - plotLeftPx - plotRightPx);
    const hasNewData = this.#device.lastSeq !== this.#drawn.seq && view.paused.peek() === undefined;
    const { fromMs: drawnFromMs, toMs: drawnToMs } = this.#drawn;
    const hasMoved = !(Math.abs(toMs - drawnToMs) < pixelMs && Math.abs(fromMs - drawnFromMs) < pixelMs);
    const { olderCount } = live.history;
    const hasOlder = olderCount !== this.#drawn.olderCount;
    if (!hasNewData && !hasMoved && !hasOlder && isIdle === this.#drawn.isIdle) return;
    this.#drawn = { seq: this.#device.lastSeq, fromMs, toMs, olderCount, isIdle };
    this.#draw(fromMs, toMs, isIdle);
  }

  #draw(fromMs: number, toMs: number, isIdle: boolean): void {
    // The device's points carry the device's time.
    const { skewMs } = this.#device;
    const span = { fromMs: fromMs - skewMs, toMs: toMs - skewMs };
    const palette = paletteAt(themeRevision.peek());
    const idleFromMs = isIdle ? this.#history.series.points().times.at(-1) : undefined;
    if (this.#history.kind !== 'number') {
      this.#strip ??= new Strip(this.#element, this.#history, this.#width, this.#height);
      this.#strip.draw(span, palette, idleFromMs);
      return;
    }
    const { unit = '', decimals = 0 } = this.#device.tags.get(this.#tag) ?? {};
    const facts = { unit, decimals, palette, idleFromMs };
    this.#trend ??= new Trend(this.#element, this.#history.series, facts, { width: this.#width, height: this.#height });
    this.#trend.draw(span, facts);
  }
}
