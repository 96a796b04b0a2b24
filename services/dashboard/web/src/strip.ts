import { gapMsFrom } from './gaps.ts';
import type { TagHistory } from './history.ts';
import type { Palette } from './palette.ts';
import { plotLeftPx, plotRightPx, ticksFitting, timeTicks } from './timescale.ts';
import type { Span } from './view.ts';

/** States over time as a band: true is filled, false is not; each text has a shade and its name where that fits. */
export class Strip {
  readonly #canvas = document.createElement('canvas');
  readonly #history: TagHistory;
  #widthPx = 0;
  #heightPx = 0;

  constructor(element: HTMLElement, history: TagHistory, widthPx: number, heightPx: number) {
    this.#history = history;
    element.append(this.#canvas);
    this.resize(widthPx, heightPx);
  }

  resize(widthPx: number, heightPx: number): void {
    this.#widthPx = widthPx;
    this.#heightPx = heightPx;
    this.#canvas.width = Math.round(widthPx * devicePixelRatio);
    this.#canvas.height = Math.round(heightPx * devicePixelRatio);
  }

  draw(span: Span, palette: Palette, idleFromMs: number | undefined): void {
    const context = this.#canvas.getContext('2d');
    if (context === null) return;
    const width = this.#widthPx - plotLeftPx - plotRightPx;
    const height = this.#heightPx;
    const x = (timeMs: number) =>
      plotLeftPx + Math.min(1, Math.max(0, (timeMs - span.fromMs) / (span.toMs - span.fromMs))) * width;
    context.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
    context.clearRect(0, 0, this.#widthPx, height);
    context.fillStyle = palette.grid;
    for (const tick of timeTicks(span.fromMs, span.toMs, ticksFitting(width)))
      context.fillRect(Math.round(x(tick)), 0, 1, height);
    for (const band of bandsOf(this.#history, span)) {
      const left = x(band.fromMs);
      const bandWidth = Math.max(1, x(band.toMs) - left);
      this.#drawBand(context, palette, band, left, bandWidth, height);
    }
    if (idleFromMs === undefined || idleFromMs >= span.toMs) return;
    context.fillStyle = palette.idle;
    context.fillRect(x(idleFromMs), 0, x(span.toMs) - x(idleFromMs), height);
  }

  #drawBand(
    context: CanvasRenderingContext2D,
    palette: Palette,
    band: Band,
    left: number,
    width: number,
    height: number,
  ): void {
    const { kind, labels } = this.#history;
    const isOn = kind === 'text' || band.value === 1;
    const top = isOn ? 3 : height / 2 - 1.5;
    const bandHeight = isOn ? height - 6 : 3;
    context.fillStyle = isOn ? palette.on : palette.off;
    // Texts alternate between two shades, so that neighbors differ.
    context.globalAlpha = kind === 'text' ? (band.value % 2 === 0 ? 0.55 : 0.9) : 1;
    context.fillRect(left, top, Math.max(1, width - (kind === 'text' ? 1 : 0)), bandHeight);
    context.globalAlpha = 1;
    if (band.quality !== 0) {
      context.fillStyle = band.quality === 2 ? palette.bad : palette.warn;
      context.fillRect(left, height - 3, width, 2);
    }
    if (kind !== 'text') return;
    const label = labels[band.value] ?? '';
    context.font = '11px system-ui, sans-serif';
    if (context.measureText(label).width + 14 > width) return;
    context.fillStyle = palette.label;
    context.textBaseline = 'middle';
    context.fillText(label, left + 7, height / 2 + 0.5);
  }
}

interface Band {
  readonly fromMs: number;
  toMs: number;
  readonly value: number;
  readonly quality: number;
}

/** Returns a band for each run of equal values; a pause of the device closes it. */
function bandsOf({ series }: TagHistory, span: Span): Band[] {
  const { times, values, qualities } = series.points();
  const first = Math.max(0, series.indexAt(span.fromMs));
  const end = series.indexAt(span.toMs) + 1;
  const gapMs = gapMsFrom(times.subarray(first, end));
  const bands: Band[] = [];
  for (let index = first; index < end; index++) {
    const fromMs = times[index]!;
    const nextMs = index + 1 < times.length ? times[index + 1]! : fromMs;
    // A state holds until the next report, or has no width if that is a gap later.
    const toMs = nextMs - fromMs > gapMs ? fromMs : nextMs;
    const last = bands.at(-1);
    if (last?.value === values[index] && last?.quality === qualities[index] && last?.toMs === fromMs) last.toMs = toMs;
    else bands.push({ fromMs, toMs, value: values[index]!, quality: qualities[index]! });
  }
  return bands;
}
