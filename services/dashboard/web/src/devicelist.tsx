import { useComputed, useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import type { Device } from './fleet.ts';
import { shownAge, shownText } from './format.ts';
import { freshnessOf } from './freshness.ts';
import { Icon } from './icons.tsx';
import { usePage } from './page.ts';
import { shownTag, shownValue } from './shown.ts';
import { type Row, rowsFrom } from './tree.ts';

/** Every row of a kind is as high as the next, so that of many thousands only those in sight are there. */
const rowPx = { group: 34, device: 50 } as const;
/** Rows beyond the edge of sight that are there all the same, px. */
const marginPx = 300;

/** The list on the left: searchable, grouped by path, one row chosen. */
export function DeviceList(): JSX.Element {
  const { live, view } = usePage();
  const rows = useComputed(() => {
    void live.fleet.structure.value;
    return rowsFrom([...live.fleet.devices.keys()], view.search.value);
  });
  return (
    <nav class="list" aria-label="Devices">
      <Search />
      <Rows rows={rows.value} />
      <Summary found={rows.value.filter((row) => row.kind === 'device').length} />
    </nav>
  );
}

function Search(): JSX.Element {
  const { view } = usePage();
  return (
    <div class="search">
      <Icon name="search" />
      <input
        id="search"
        type="search"
        placeholder="Search devices"
        aria-label="Search devices"
        aria-controls="devices"
        autocomplete="off"
        spellcheck={false}
        maxLength={200}
        value={view.search.value}
        onInput={(event) => {
          view.search.value = event.currentTarget.value;
        }}
      />
      <kbd class="wide-only">/</kbd>
    </div>
  );
}

function Rows({ rows }: { rows: readonly Row[] }): JSX.Element {
  const { view } = usePage();
  const scroller = useRef<HTMLDivElement>(null);
  const sight = useSignal({ top: 0, height: 1000 });
  const chosen = view.device.value;

  useEffect(() => {
    const element = scroller.current;
    if (element === null) return;
    const look = () => {
      sight.value = { top: element.scrollTop, height: element.clientHeight };
    };
    look();
    element.addEventListener('scroll', look, { passive: true });
    const observer = new ResizeObserver(look);
    observer.observe(element);
    return () => {
      element.removeEventListener('scroll', look);
      observer.disconnect();
    };
  }, []);

  const tops = topsOf(rows);
  const chosenIndex = rows.findIndex((row) => row.kind === 'device' && row.path === chosen);
  const chosenTop = tops[chosenIndex];
  // Brings the chosen row into sight when another one is chosen, not each time the list changes.
  useEffect(() => {
    const element = scroller.current;
    if (element === null || chosenTop === undefined) return;
    const above = chosenTop - rowPx.group;
    const hiddenPx = chosenTop + rowPx.device - element.scrollTop - element.clientHeight;
    // Far off it goes to the middle, so that what is around it is seen, too.
    if (above < element.scrollTop - 200 || hiddenPx > 200) element.scrollTop = chosenTop - element.clientHeight / 2;
    else if (above < element.scrollTop) element.scrollTop = above;
    else if (hiddenPx > 0) element.scrollTop += hiddenPx;
  }, [chosen, chosenTop !== undefined]);

  const { top, height } = sight.value;
  const inSight = rows
    .map((row, index) => ({ row, top: tops[index]! }))
    .filter((entry) => entry.top > top - marginPx && entry.top < top + height + marginPx);
  return (
    <div
      class="rows"
      id="devices"
      ref={scroller}
      role="listbox"
      aria-label="Devices"
      tabIndex={0}
      data-testid="device-list"
      aria-activedescendant={chosenIndex === -1 ? undefined : idOf(chosen ?? '')}
    >
      <div class="canvas" style={{ height: `${tops.at(-1) ?? 0}px` }}>
        {inSight.map((entry) =>
          entry.row.kind === 'group' ? (
            <GroupRow key={`group ${entry.row.path}`} path={entry.row.path} count={entry.row.count} top={entry.top} />
          ) : (
            <DeviceRow
              key={entry.row.path}
              path={entry.row.path}
              name={entry.row.name}
              top={entry.top}
              isChosen={entry.row.path === chosen}
            />
          ),
        )}
      </div>
      {rows.length === 0 && <Nothing />}
    </div>
  );
}

/** Where each row begins, px, and after the last one where the list ends. */
function topsOf(rows: readonly Row[]): number[] {
  const tops = [0];
  for (const row of rows) tops.push(tops.at(-1)! + rowPx[row.kind]);
  return tops;
}

function idOf(path: string): string {
  return `device-${path}`;
}

function Nothing(): JSX.Element {
  const { live, view } = usePage();
  if (view.search.value !== '') {
    return (
      <p class="nothing">
        No device matches “{view.search.value}”. <br />
        <button
          type="button"
          class="link"
          onClick={() => {
            view.search.value = '';
          }}
        >
          Show all
        </button>
      </p>
    );
  }
  return (
    <p class="nothing">
      {live.listState.value.name === 'live' ? 'No device has reported yet.' : 'Waiting for the list…'}
    </p>
  );
}

function GroupRow({ path, count, top }: { path: string; count: number; top: number }): JSX.Element {
  return (
    <div class="group" role="presentation" style={{ transform: `translateY(${top}px)` }}>
      <span>{path.split('.').join(' › ') || 'ungrouped'}</span>
      <span class="count">{count}</span>
    </div>
  );
}

function DeviceRow({
  path,
  name,
  top,
  isChosen,
}: {
  path: string;
  name: string;
  top: number;
  isChosen: boolean;
}): JSX.Element {
  const { live, view } = usePage();
  const device = live.fleet.devices.get(path);
  void device?.revision.value;
  const ageMs = device === undefined ? 0 : Math.max(0, live.nowMs.value - device.receivedMs);
  const freshness = freshnessOf(live.heardUntilMs - (device?.receivedMs ?? 0), device?.rhythmMs);
  const quality = device?.quality ?? 'good';
  return (
    <div
      id={idOf(path)}
      class={`device ${freshness} ${isChosen ? 'chosen' : ''} ${live.isLive ? '' : 'not-live'}`}
      role="option"
      tabIndex={-1}
      aria-selected={isChosen}
      data-testid="device-item"
      data-device={path}
      data-freshness={freshness}
      style={{ transform: `translateY(${top}px)` }}
      onClick={() => view.goTo({ device: path }, true)}
      onKeyDown={(event) => event.key === 'Enter' && view.goTo({ device: path }, true)}
    >
      <i class={`health ${freshness === 'fresh' ? quality : freshness}`} />
      <span class="name">{name}</span>
      <span class="ago">
        {freshness === 'fresh' ? shownAge(ageMs) : `${freshness === 'late' ? 'late' : 'silent'} ${shownAge(ageMs)}`}
      </span>
      <span class="values">{device !== undefined && <Values device={device} />}</span>
      {quality !== 'good' && <span class={`quality ${quality}`}>{quality}</span>}
    </div>
  );
}

/** The first two values; what does not fit is cut off. */
function Values({ device }: { device: Device }): JSX.Element {
  return (
    <>
      {[...device.tags].slice(0, 2).map(([tag, { value, unit, decimals }]) => (
        <span key={tag}>
          {shownTag(tag)} <b>{shownText(shownValue(value, unit, decimals))}</b>
        </span>
      ))}
    </>
  );
}

function Summary({ found }: { found: number }): JSX.Element {
  const { live, view } = usePage();
  // Counted with the tick: it is a look at every device.
  void live.nowMs.value;
  const { heardUntilMs } = live;
  let silent = 0;
  for (const device of live.fleet.devices.values())
    if (freshnessOf(heardUntilMs - device.receivedMs, device.rhythmMs) === 'stale') silent++;
  const all = live.fleet.devices.size;
  return (
    <div class="summary">
      <span>{view.search.value === '' ? `${all} device${all === 1 ? '' : 's'}` : `${found} of ${all} devices`}</span>
      {silent > 0 && <span class="silent">{silent} silent</span>}
    </div>
  );
}
