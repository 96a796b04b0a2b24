import { useSignal } from '@preact/signals';
import {
  defaultRangeExtractor,
  elementScroll,
  observeElementOffset,
  observeElementRect,
  type Range,
  Virtualizer,
  type VirtualizerOptions,
} from '@tanstack/virtual-core';
import type { RefObject } from 'preact';
import { useLayoutEffect, useMemo } from 'preact/hooks';
import type { Row } from './tree.ts';

/** Every row of a kind is as high as the next. */
const rowPx = { group: 34, device: 50 } as const;
/** Rows rendered beyond each edge of the visible part. */
export const overscanRows = 6;

/** Renders only the visible rows and `pinned` ones. The component is rendered again when they change. */
export function useVirtualRows(
  scroller: RefObject<HTMLElement | null>,
  rows: readonly Row[],
  ...pinned: readonly number[]
): Virtualizer<HTMLElement, HTMLElement> {
  const version = useSignal(0);
  void version.value;
  // The library computes the positions again when these functions change.
  const byRow = useMemo(
    () => ({
      estimateSize: (index: number) => rowPx[rows[index]!.kind],
      getItemKey: (index: number) => `${rows[index]!.kind} ${rows[index]!.path}`,
    }),
    [rows],
  );
  const rangeExtractor = useMemo(() => rangeWith(pinned), [pinned.join()]);
  const options: VirtualizerOptions<HTMLElement, HTMLElement> = {
    ...byRow,
    count: rows.length,
    getScrollElement: () => scroller.current,
    overscan: overscanRows,
    rangeExtractor,
    observeElementRect,
    observeElementOffset,
    scrollToFn: elementScroll,
    onChange: () => {
      version.value = version.peek() + 1;
    },
  };
  const virtualizer = useMemo(() => new Virtualizer(options), []);
  virtualizer.setOptions(options);
  useLayoutEffect(() => virtualizer._didMount(), []);
  useLayoutEffect(() => virtualizer._willUpdate());
  return virtualizer;
}

function rangeWith(pinned: readonly number[]): (range: Range) => number[] {
  return (range) => {
    const indexes = defaultRangeExtractor(range);
    const beyond = pinned.filter((index) => index >= 0 && index < range.count && !indexes.includes(index));
    return beyond.length === 0 ? indexes : [...new Set([...indexes, ...beyond])].sort((a, b) => a - b);
  };
}
