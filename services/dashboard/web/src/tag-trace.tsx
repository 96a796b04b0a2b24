import type { JSX } from 'preact';
import type { Device } from './fleet.ts';
import { shownRange, shownTime } from './format.ts';
import type { TagHistory } from './history.ts';
import { usePage } from './page.ts';
import { Plot } from './plot.tsx';
import { shownTag, shownValue, valueAt } from './tag-value.ts';
import type { Span } from './view.ts';

/** One tag: its name, value and history. */
export function TagTrace({ device, tag, history }: { device: Device; tag: string; history: TagHistory }): JSX.Element {
  return (
    <li class={`trace ${history.kind}`}>
      <TagValue device={device} tag={tag} history={history} />
      <Plot device={device} tag={tag} history={history} />
    </li>
  );
}

/** The value under the pointer, at the end of a paused window, or now. */
function TagValue({ device, tag, history }: { device: Device; tag: string; history: TagHistory }): JSX.Element {
  const { live, view } = usePage();
  void device.revision.value;
  const atMs = view.pointerMsAt(live.nowMs.value) ?? view.paused.value?.toMs;
  const now = device.tags.get(tag);
  const past = atMs === undefined ? undefined : valueAt(history, atMs - device.skewMs);
  const shown = atMs === undefined ? now : past;
  const { unit = '', decimals = 0 } = now ?? {};
  const isOld = atMs === undefined && (device.presence !== 'online' || !live.isLive);
  const { number, unit: label } =
    shown === undefined ? { number: '–', unit: '' } : shownValue(shown.value, unit, decimals);
  const extremes =
    history.kind === 'number' ? extremesOf(history, spanOf(view.spanAt(live.serverNow()), device)) : undefined;
  const range = extremes === undefined ? undefined : shownRange(extremes, unit, decimals, label);
  return (
    <div class="reading">
      <span class="tag" title={tag}>
        {shownTag(tag)}
      </span>
      <span
        class={`value ${isOld ? 'old' : ''} ${atMs === undefined ? '' : 'past'}`}
        data-testid="value"
        data-tag={tag}
        title={shown === undefined ? 'No value at this time' : shownTime(shown.timeMs, live.nowMs.value)}
      >
        <b>{number}</b> <small>{label}</small>
      </span>
      <span class="facts">
        {shown !== undefined && shown.quality !== 'good' && (
          <span class={`quality ${shown.quality}`}>{shown.quality}</span>
        )}
        {range !== undefined && <span class="extremes">{range}</span>}
      </span>
    </div>
  );
}

/** A span of the servers' clocks as one of the device's. */
function spanOf(span: Span, device: Device): Span {
  return { fromMs: span.fromMs - device.skewMs, toMs: span.toMs - device.skewMs };
}

/** Smallest and largest value in view, where they differ. */
function extremesOf({ series }: TagHistory, span: Span): readonly [number, number] | undefined {
  const { values } = series.points();
  const end = series.indexAt(span.toMs);
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (let index = Math.max(0, series.indexAt(span.fromMs)); index <= end; index++) {
    const value = values[index]!;
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return low < high ? [low, high] : undefined;
}
