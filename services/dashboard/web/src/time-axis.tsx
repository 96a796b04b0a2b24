import type { JSX } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { usePage } from './page.ts';
import { paletteAt } from './palette.ts';
import { themeRevision } from './theme.ts';
import { plotLeftPx, plotRightPx, ticksFitting, timeTicks } from './timescale.ts';

const heightPx = 26;
const clock = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' });

/** The one time axis under all traces. */
export function TimeAxis(): JSX.Element {
  const { live, view, frames } = usePage();
  const canvas = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    const element = canvas.current;
    const context = element?.getContext('2d');
    if (!element || !context) return;
    let drawn = '';
    return frames.each(() => {
      const { fromMs, toMs } = view.spanAt(live.serverNow());
      const width = element.clientWidth;
      const key = `${Math.round((toMs / (toMs - fromMs)) * width)} ${Math.round(toMs - fromMs)} ${width} ${themeRevision.peek()}`;
      if (key === drawn || width === 0) return;
      drawn = key;
      element.width = Math.round(width * devicePixelRatio);
      element.height = Math.round(heightPx * devicePixelRatio);
      context.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
      context.clearRect(0, 0, width, heightPx);
      context.font = '11px system-ui, sans-serif';
      context.textAlign = 'center';
      context.textBaseline = 'middle';
      context.fillStyle = paletteAt(themeRevision.peek()).text;
      const plotWidth = width - plotLeftPx - plotRightPx;
      for (const tick of timeTicks(fromMs, toMs, ticksFitting(plotWidth))) {
        const x = plotLeftPx + ((tick - fromMs) / (toMs - fromMs)) * plotWidth;
        // A label at the right edge would be clipped; the left one may reach into the margin.
        if (x < width - 28) context.fillText(clock.format(tick), x, heightPx / 2);
      }
    });
  }, [live, view, frames]);
  return (
    <div class="axis" aria-hidden="true">
      <canvas ref={canvas} style={{ height: `${heightPx}px` }} />
    </div>
  );
}
