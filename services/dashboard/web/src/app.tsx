import { type Signal, useSignalEffect } from '@preact/signals';
import type { JSX } from 'preact';
import { AlarmSources } from './alarm-sources.tsx';
import { AlarmsView } from './alarms-view.tsx';
import { DeviceList } from './device-list.tsx';
import { DeviceView } from './device-view.tsx';
import { Help } from './help.tsx';
import { Notice } from './notice.tsx';
import { type Page, PageContext, usePage } from './page.ts';
import { ScenesView } from './scenes-view.tsx';
import { StreamProvider } from './sdk.ts';
import { TopBar } from './topbar.tsx';

const titles = { alarms: 'Alarms', scenes: 'Scenes' } as const;
const isNarrow = matchMedia('(max-width: 760px)');

/** The whole page: the top bar, the devices on the left; the selected one, alarms or scenes on the right. */
export function App({ page, helpIsOpen }: { page: Page; helpIsOpen: Signal<boolean> }): JSX.Element {
  const { live, view, rows } = page;
  useSignalEffect(() => {
    const device = view.device.value;
    // Once there is a connection, too: a device chosen before could not be subscribed to.
    void live.connection.value;
    live.choose(device, () => view.historyFromMsAt(live.serverNow()));
    const shown = view.section.value === 'device' ? device : titles[view.section.value];
    document.title = shown === undefined ? 'Tailrace' : `${shown} – Tailrace`;
  });
  // A wide screen shows the first device instead of an empty right half.
  useSignalEffect(() => {
    if (view.device.value !== undefined || view.section.value !== 'device' || isNarrow.matches) return;
    const first = rows.value.find((row) => row.kind === 'device');
    if (first !== undefined && live.list.isComplete.value) view.goTo({ device: first.path }, false);
  });
  return (
    <PageContext.Provider value={page}>
      <div
        class="page"
        data-pane={view.device.value === undefined && view.section.value === 'device' ? 'list' : 'device'}
      >
        <TopBar
          onHelp={() => {
            helpIsOpen.value = true;
          }}
        />
        <Notice />
        <div class="panes">
          <DeviceList />
          <Main />
        </div>
        <Help isOpen={helpIsOpen} />
      </div>
    </PageContext.Provider>
  );
}

function Main(): JSX.Element {
  const { live, view } = usePage();
  const stream = live.stream.value;
  if (stream === undefined) return <DeviceView />;
  const section = view.section.value;
  return (
    <StreamProvider stream={stream}>
      <AlarmSources />
      {section === 'alarms' ? <AlarmsView /> : section === 'scenes' ? <ScenesView /> : <DeviceView />}
    </StreamProvider>
  );
}
