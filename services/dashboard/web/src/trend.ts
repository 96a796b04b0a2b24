import uPlot from 'uplot';
import { byteScale, decimalsMax, decimalsOf, fixed } from './format.ts';
import { gapMsFrom } from './gaps.ts';
import type { Palette } from './palette.ts';
import type { Points, Series } from './series.ts';
import { plotLeftPx, plotRightPx, ticksFitting, timeTicks } from './timescale.ts';
import type { Span } from './view.ts';

/** What is drawn besides the line. */
export interface TrendFacts {
  readonly unit: string;
  /** The resolution of the source. */
  readonly decimals: number;
  readonly palette: Palette;
  /** From here to the right edge there are no reports, device clock, epoch ms; undefined: the device reports. */
  readonly idleFromMs: number | undefined;
}

const font = '11px system-ui, sans-serif';

/** A line of numbers over time, drawn by uPlot, with gaps and with the spans whose quality is not good. */
export class Trend {
  readonly #plot: uPlot;
  readonly #series: Series;
  #facts: TrendFacts;
  #points: Points;
  #gapMs = Number.POSITIVE_INFINITY;

  constructor(element: HTMLElement, series: Series, facts: TrendFacts, size: { width: number; height: number }) {
    this.#series = series;
    this.#facts = facts;
    this.#points = series.points();
    this.#plot = new uPlot(
      this.#options(size),
      [this.#points.times, this.#points.values] as uPlot.AlignedData,
      element,
    );
  }

  draw(span: Span, facts: TrendFacts): void {
    this.#facts = facts;
    this.#points = this.#series.points();
    this.#gapMs = gapMsFrom(this.#points.times.subarray(this.#series.indexAt(span.fromMs) + 1));
    this.#plot.batch(() => {
      this.#plot.setData([this.#points.times, this.#points.values] as uPlot.AlignedData, false);
      this.#plot.setScale('x', { min: span.fromMs, max: span.toMs });
    });
  }

  resize(width: number, height: number): void {
    this.#plot.setSize({ width, height });
  }

  destroy(): void {
    this.#plot.destroy();
  }

  #options(size: { width: number; height: number }): uPlot.Options {
    const color = (name: keyof Palette) => () => this.#facts.palette[name];
    return {
      ...size,
      ms: 1,
      legend: { show: false },
      cursor: { show: false },
      padding: [7, plotRightPx, 7, 0],
      scales: {
        x: { time: false, auto: false },
        y: { range: (_plot, min, max) => rangeOf(min, max, this.#facts) },
      },
      axes: [
        {
          size: 0,
          ticks: { show: false },
          grid: { stroke: color('grid'), width: 1 },
          splits: (plot, _axis, min, max) => timeTicks(min, max, ticksFitting(plot.bbox.width / devicePixelRatio)),
          values: (_plot, splits) => splits.map(() => ''),
        },
        {
          size: plotLeftPx,
          font,
          gap: 8,
          // At least two ticks, and not too many lines.
          space: (_plot, _axis, _min, _max, heightPx) => Math.max(22, heightPx / 5),
          incrs: () => stepsFrom(this.#facts.decimals),
          stroke: color('text'),
          ticks: { show: false },
          grid: { stroke: color('grid'), width: 1 },
          values: (_plot, splits) => labelsOf(splits, this.#facts.unit),
        },
      ],
      series: [
        {},
        {
          stroke: color('line'),
          width: 1.5,
          points: { show: (_plot, _series, first, last) => last - first < 2, size: 5, fill: color('line') },
          gaps: (plot, _series, first, last) => this.#gaps(plot, first, last),
        },
      ],
      hooks: { drawClear: [(plot) => this.#drawGround(plot)] },
    };
  }

  /** Between points that are too far apart there is no line. */
  #gaps(plot: uPlot, first: number, last: number): uPlot.Series.Gaps {
    const { times } = this.#points;
    const gaps: uPlot.Series.Gaps = [];
    for (let index = Math.max(1, first); index <= last; index++) {
      if (times[index]! - times[index - 1]! <= this.#gapMs) continue;
      gaps.push([
        Math.round(plot.valToPos(times[index - 1]!, 'x', true)),
        Math.round(plot.valToPos(times[index]!, 'x', true)),
      ]);
    }
    return gaps;
  }

  /** Under the line: spans of uncertain and bad quality, and the time without reports since the last point. */
  #drawGround(plot: uPlot): void {
    const { ctx, bbox } = plot;
    const { palette, idleFromMs } = this.#facts;
    const { times, qualities } = this.#points;
    const x = (timeMs: number) =>
      Math.min(bbox.left + bbox.width, Math.max(bbox.left, plot.valToPos(timeMs, 'x', true)));
    ctx.save();
    const { min = 0, max = 0 } = plot.scales['x'] ?? {};
    const first = Math.max(0, this.#series.indexAt(min));
    const end = Math.min(times.length, this.#series.indexAt(max) + 2);
    for (let index = first; index < end; ) {
      const quality = qualities[index];
      let next = index + 1;
      while (next < end && qualities[next] === quality) next++;
      if (quality !== 0) {
        const left = x(times[index]!);
        const width = Math.max(2, x(times[Math.min(next, times.length - 1)]!) - left);
        ctx.fillStyle = quality === 2 ? palette.badSoft : palette.warnSoft;
        ctx.fillRect(left, bbox.top, width, bbox.height);
        ctx.fillStyle = quality === 2 ? palette.bad : palette.warn;
        ctx.fillRect(left, bbox.top + bbox.height - 2 * devicePixelRatio, width, 2 * devicePixelRatio);
      }
      index = next;
    }
    if (idleFromMs !== undefined) {
      const left = x(idleFromMs);
      ctx.fillStyle = palette.idle;
      ctx.fillRect(left, bbox.top, bbox.left + bbox.width - left, bbox.height);
    }
    ctx.restore();
  }
}

/** Noise of the last digit must not fill the chart: the scale spans at least so many of it. */
const resolutionSpan = 10;

/**
 * Returns the scale of an axis: percent from 0 to 100, so that a low load is low on the chart; else the measured range
 * with a margin, and never so narrow that noise in the last digit fills it.
 */
function rangeOf(min: number | null, max: number | null, { unit, decimals }: TrendFacts): [number, number] {
  if (min === null || max === null) return unit === '%' ? [0, 100] : [0, 1];
  if (unit === '%' && min >= 0 && max <= 100) return [0, 100];
  const spanMin = Math.max(resolutionSpan * 10 ** -decimals, 1e-6 * Math.max(Math.abs(min), Math.abs(max)));
  const middle = (min + max) / 2;
  const reach = 1.12 * (Math.max(max - min, spanMin) / 2);
  // A range without negative values starts at zero.
  if (min >= 0 && middle < reach) return [0, Math.max(max, spanMin) * 1.08];
  return [middle - reach, middle + reach];
}

/** Returns the distances that ticks may have: 1, 2 and 5 times a power of ten, none below the source's resolution. */
function stepsFrom(decimals: number): number[] {
  const steps: number[] = [];
  for (let power = -decimals; power <= 15; power++) steps.push(10 ** power, 2 * 10 ** power, 5 * 10 ** power);
  return steps;
}

/** Returns labels with as many decimals as the distance of the ticks has; bytes in thousands. */
function labelsOf(splits: readonly number[], unit: string): string[] {
  const isBytes = unit === 'By' || unit === 'By/s';
  const { factor, prefix } = isBytes ? byteScale(Math.max(...splits.map(Math.abs), 0)) : { factor: 1, prefix: '' };
  const step = Math.abs((splits[1] ?? 1) - (splits[0] ?? 0)) / factor;
  const decimals = Math.min(decimalsMax, decimalsOf(Number(step.toPrecision(6))));
  return splits.map((split) => fixed(split / factor, decimals) + prefix);
}
