import { type Signal, useSignalEffect } from '@preact/signals';
import type { JSX } from 'preact';
import { DeviceList } from './device-list.tsx';
import { DeviceView } from './device-view.tsx';
import { Help } from './help.tsx';
import { Notice } from './notice.tsx';
import { type Page, PageContext } from './page.ts';
import { TopBar } from './topbar.tsx';

const isNarrow = matchMedia('(max-width: 760px)');

/** The whole page: the top bar, the devices on the left, the selected one on the right. */
export function App({ page, helpIsOpen }: { page: Page; helpIsOpen: Signal<boolean> }): JSX.Element {
  const { live, view, rows } = page;
  useSignalEffect(() => {
    const device = view.device.value;
    // Once there is a connection, too: a device chosen before could not be subscribed to.
    void live.connection.value;
    live.choose(device, () => view.historyFromMsAt(live.serverNow()));
    document.title = device === undefined ? 'Tailrace' : `${device} – Tailrace`;
  });
  // A wide screen shows the first device instead of an empty right half.
  useSignalEffect(() => {
    if (view.device.value !== undefined || isNarrow.matches) return;
    const first = rows.value.find((row) => row.kind === 'device');
    if (first !== undefined && live.list.isComplete.value) view.goTo({ device: first.path }, false);
  });
  return (
    <PageContext.Provider value={page}>
      <div class="page" data-pane={view.device.value === undefined ? 'list' : 'device'}>
        <TopBar
          onHelp={() => {
            helpIsOpen.value = true;
          }}
        />
        <Notice />
        <div class="panes">
          <DeviceList />
          <DeviceView />
        </div>
        <Help isOpen={helpIsOpen} />
      </div>
    </PageContext.Provider>
  );
}
