import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { useEffect, useMemo, useRef } from 'preact/hooks';
import type { Device } from './fleet.ts';
import { shownAge, shownCount, shownText } from './format.ts';
import { Icon } from './icons.tsx';
import type { Live } from './live.ts';
import { usePage } from './page.ts';
import type { PresenceState } from './presence.ts';
import { shownTag, shownValue } from './tag-value.ts';
import type { Row } from './tree.ts';
import { overscanRows, useVirtualRows } from './virtual-rows.ts';

/** A selected row that is further out of view than this is scrolled to the middle, px. */
const farPx = 200;

/** The list on the left: searchable, grouped by path, one row selected. */
export function DeviceList(): JSX.Element {
  const { rows } = usePage();
  return (
    <nav class="list" aria-label="Devices">
      <Search />
      <Rows rows={rows.value} />
      <Summary found={devicesIn(rows.value)} />
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
  const { live, view } = usePage();
  const scroller = useRef<HTMLDivElement>(null);
  const focused = useSignal<string | undefined>(undefined);
  const chosen = view.device.value;
  const indexes = useMemo(() => indexesOf(rows), [rows]);
  const chosenIndex = indexes.get(chosen ?? '') ?? -1;
  const focusedIndex = indexes.get(focused.value ?? '') ?? -1;
  // A focused row, and the one that aria-activedescendant names, stay in the document however far the list scrolls.
  const virtual = useVirtualRows(scroller, rows, chosenIndex, focusedIndex);

  // Scrolls to the selected row when another one is selected, not each time the list changes.
  useEffect(() => {
    const element = scroller.current;
    if (element === null || chosenIndex === -1) return;
    const { start, end } = virtual.measurementsCache[chosenIndex]!;
    const hiddenPx = Math.max(element.scrollTop - start, end - element.scrollTop - element.clientHeight);
    // A far row goes to the middle, so that its neighbors are visible, too.
    if (hiddenPx > 0) virtual.scrollToIndex(chosenIndex, { align: hiddenPx > farPx ? 'center' : 'auto' });
  }, [chosen, chosenIndex !== -1]);

  const items = virtual.getVirtualItems();
  useEffect(() => {
    const { startIndex = 0, endIndex = 0 } = virtual.range ?? {};
    const near = items.filter(({ index }) => index >= startIndex - overscanRows && index <= endIndex + overscanRows);
    live.setVisible(near.flatMap(({ index }) => (rows[index]?.kind === 'device' ? [rows[index].path] : [])));
  });
  const found = devicesIn(rows);
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
      onFocusIn={(event) => {
        focused.value = (event.target as HTMLElement).dataset['device'];
      }}
      onFocusOut={() => {
        focused.value = undefined;
      }}
    >
      <div class="canvas" style={{ height: `${virtual.getTotalSize()}px` }}>
        {items.map(({ index, start, key }) => {
          const row = rows[index];
          if (row === undefined) return null;
          return row.kind === 'group' ? (
            <GroupRow key={key} path={row.path} count={row.count} top={start} />
          ) : (
            <DeviceRow key={key} row={row} top={start} found={found} isChosen={row.path === chosen} />
          );
        })}
      </div>
      {rows.length === 0 && <Nothing />}
    </div>
  );
}

/** Returns the index of each device's row. */
function indexesOf(rows: readonly Row[]): ReadonlyMap<string, number> {
  const indexes = new Map<string, number>();
  for (const [index, row] of rows.entries()) if (row.kind === 'device') indexes.set(row.path, index);
  return indexes;
}

/** Returns the number of devices: the last row is one, if there are any. */
function devicesIn(rows: readonly Row[]): number {
  const last = rows.at(-1);
  return last?.kind === 'device' ? last.position : 0;
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
  row: { path, name, position },
  top,
  found,
  isChosen,
}: {
  row: Extract<Row, { kind: 'device' }>;
  top: number;
  found: number;
  isChosen: boolean;
}): JSX.Element {
  const { live, view } = usePage();
  void live.fleet.structure.value;
  const device = live.fleet.devices.get(path);
  void device?.revision.value;
  const quality = device?.quality ?? 'good';
  const { presence, ago } = device === undefined ? listedAge(live, path) : reportedAge(live, device);
  return (
    <div
      id={idOf(path)}
      class={`device ${presence} ${isChosen ? 'chosen' : ''} ${live.isLive ? '' : 'not-live'}`}
      role="option"
      tabIndex={-1}
      aria-selected={isChosen}
      aria-setsize={found}
      aria-posinset={position}
      data-testid="device-item"
      data-device={path}
      data-presence={presence}
      style={{ transform: `translateY(${top}px)` }}
      onClick={() => view.goTo({ device: path }, true)}
      onKeyDown={(event) => event.key === 'Enter' && view.goTo({ device: path }, true)}
    >
      <i class={`health ${presence === 'online' ? quality : presence}`} />
      <span class="name">{name}</span>
      <span class="ago">{ago}</span>
      <span class="values">{device !== undefined && <Values device={device} />}</span>
      {quality !== 'good' && <span class={`quality ${quality}`}>{quality}</span>}
    </div>
  );
}

interface Age {
  readonly presence: PresenceState;
  readonly ago: string;
}

/** Returns presence and age of a device that is subscribed to. */
function reportedAge(live: Live, { receivedMs, presence }: Device): Age {
  const ago = shownAge(Math.max(0, live.nowMs.value - receivedMs));
  return { presence, ago: presence === 'online' ? ago : `${presence} ${ago}` };
}

/** Returns presence and age of a device that is not subscribed to yet, as it was listed. */
function listedAge(live: Live, path: string): Age {
  const { state = 'online', received } = live.list.entry(path) ?? {};
  if (state === 'online') return { presence: state, ago: '' };
  const ago = received === undefined ? '' : ` ${shownAge(Math.max(0, live.nowMs.value - received))}`;
  return { presence: state, ago: `${state}${ago}` };
}

/** The first two values; the style sheet clips what does not fit. */
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
  const { paths, count, notOnline, isComplete } = live.list;
  const all = count.value ?? paths.value.length;
  return (
    <div class="summary" data-testid="summary">
      <span>{view.search.value === '' ? devicesText(all) : `${shownCount(found)} of ${devicesText(all)}`}</span>
      {!isComplete.value && all > 0 && <span>{shownCount(paths.value.length)} listed so far</span>}
      {notOnline.value > 0 && <span class="not-online">{shownCount(notOnline.value)} not online</span>}
    </div>
  );
}

function devicesText(count: number): string {
  return `${shownCount(count)} device${count === 1 ? '' : 's'}`;
}
