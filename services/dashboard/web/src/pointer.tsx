import { type Signal, useSignal } from '@preact/signals';
import type { JSX, RefObject } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { shownTime } from './format.ts';
import { usePage } from './page.ts';
import { plotLeftPx, plotRightPx } from './timescale.ts';
import type { Span } from './view.ts';

/** Shorter drags are clicks, px. */
const dragPxMin = 6;

/** The selected range, as parts of the window at the start of the drag. */
interface Drag {
  readonly from: number;
  readonly to: number;
  readonly span: Span;
}

/** The place of the plots within the area of the charts, px. All of them have the same left and right edge. */
function plotBox(
  area: Element,
): { readonly left: number; readonly width: number; readonly offset: number } | undefined {
  const box = area.querySelector('.plot')?.getBoundingClientRect();
  if (box === undefined) return undefined;
  const left = box.left + plotLeftPx;
  return { left, width: box.width - plotLeftPx - plotRightPx, offset: left - area.getBoundingClientRect().left };
}

/** Follows the pointer over the area of an element, and zooms into a span of time that is dragged. Returns the drag. */
function usePointer(element: RefObject<HTMLElement | null>): Signal<Drag | undefined> {
  const { live, view } = usePage();
  const drag = useSignal<Drag | undefined>(undefined);
  useEffect(() => {
    const area = element.current?.parentElement;
    if (!area) return;
    const partOf = (event: PointerEvent) => {
      const box = plotBox(area);
      return box && (event.clientX - box.left) / box.width;
    };
    const leave = () => {
      view.pointerPart.value = undefined;
    };
    const move = (event: PointerEvent) => {
      const part = partOf(event);
      if (part !== undefined && drag.value !== undefined)
        drag.value = { ...drag.value, to: Math.min(1, Math.max(0, part)) };
      view.pointerPart.value = part !== undefined && part >= 0 && part <= 1 ? part : undefined;
    };
    const down = (event: PointerEvent) => {
      const part = partOf(event);
      // A finger scrolls.
      if (part === undefined || part < 0 || part > 1 || event.button !== 0 || event.pointerType !== 'mouse') return;
      drag.value = { from: part, to: part, span: view.spanAt(live.serverNow()) };
      area.setPointerCapture(event.pointerId);
      event.preventDefault();
    };
    const up = () => {
      const { value: dragged } = drag;
      drag.value = undefined;
      const box = plotBox(area);
      if (dragged === undefined || box === undefined || Math.abs(dragged.to - dragged.from) * box.width < dragPxMin)
        return;
      const { fromMs, toMs } = dragged.span;
      const [low, high] = [Math.min(dragged.from, dragged.to), Math.max(dragged.from, dragged.to)];
      view.zoomTo({ fromMs: fromMs + low * (toMs - fromMs), toMs: fromMs + high * (toMs - fromMs) });
    };
    const calls = { pointermove: move, pointerdown: down, pointerup: up, pointerleave: leave, pointercancel: leave };
    for (const [name, call] of Object.entries(calls)) area.addEventListener(name, call as EventListener);
    return () => {
      for (const [name, call] of Object.entries(calls)) area.removeEventListener(name, call as EventListener);
      leave();
    };
  }, [element, live, view, drag]);
  return drag;
}

/** One line through all traces at the time under the pointer, and a drag that zooms into a span of time. */
export function Pointer(): JSX.Element {
  const { live, view } = usePage();
  const line = useRef<HTMLDivElement>(null);
  const drag = usePointer(line);
  const area = line.current?.parentElement;
  const box = area ? plotBox(area) : undefined;
  const leftOf = (part: number) => `${(box?.offset ?? 0) + part * (box?.width ?? 0)}px`;
  const { value: part } = view.pointerPart;
  const { value: dragged } = drag;
  const timeMs = view.pointerMsAt(live.nowMs.value);
  return (
    <>
      {dragged !== undefined && (
        <div
          class="selection"
          style={{
            left: leftOf(Math.min(dragged.from, dragged.to)),
            width: `${Math.abs(dragged.to - dragged.from) * (box?.width ?? 0)}px`,
          }}
        />
      )}
      <div
        class="pointer-line"
        ref={line}
        hidden={part === undefined}
        style={{ left: leftOf(part ?? 0) }}
        aria-hidden="true"
      >
        <span>{timeMs === undefined ? '' : shownTime(timeMs, live.nowMs.value)}</span>
      </div>
    </>
  );
}
