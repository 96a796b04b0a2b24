import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { DevicePanel } from './device-panel.tsx';
import type { Device } from './fleet.ts';
import { shownAge, shownTime } from './format.ts';
import type { TagKind } from './history.ts';
import { Icon } from './icons.tsx';
import { windowChoices } from './location.ts';
import { usePage } from './page.ts';
import { Pointer } from './pointer.tsx';
import { presenceWords } from './presence.ts';
import { TagTrace } from './tag-trace.tsx';
import { TimeAxis } from './time-axis.tsx';

/** Tags shown at first: a host of many cores has hundreds. */
const tagsFirst = 24;

/** The selected device: its current values and their history. */
export function DeviceView(): JSX.Element {
  const { live, view } = usePage();
  void live.fleet.structure.value;
  const path = view.device.value;
  if (path === undefined) return <Welcome />;
  const device = live.fleet.devices.get(path);
  return (
    <main class="view" aria-label={`Device ${path}`}>
      <div class="head">
        <Title path={path} device={device} />
        <Controls />
      </div>
      <DevicePanel key={path} path={path} tags={[...(device?.tags.keys() ?? [])]} />
      {device === undefined ? <Unknown path={path} /> : <Traces key={path} device={device} />}
    </main>
  );
}

function Title({ path, device }: { path: string; device: Device | undefined }): JSX.Element {
  const end = path.lastIndexOf('.');
  return (
    <div class="title">
      <a class="back narrow-only" href="#/" aria-label="All devices">
        <Icon name="back" />
      </a>
      <div>
        {end !== -1 && <p class="above">{path.slice(0, end).split('.').join(' › ')}</p>}
        <h1>{path.slice(end + 1)}</h1>
      </div>
      {device !== undefined && <DevicePresence device={device} />}
    </div>
  );
}

function DevicePresence({ device }: { device: Device }): JSX.Element {
  const { live } = usePage();
  void device.revision.value;
  const ageMs = Math.max(0, live.nowMs.value - device.receivedMs);
  const isInterrupted = live.deviceState.value.name === 'interrupted';
  const [mood, words] = presenceWords(device.presence, live.isLive, isInterrupted);
  return (
    <p class={`presence ${mood}`} data-testid="device-age">
      <i class="dot" />
      <span>{words}</span> <span class="number">{shownAge(ageMs)}</span>
      <Clock device={device} />
    </p>
  );
}

/** A note about the device's clock; none where it agrees with the servers'. */
function Clock({ device: { clock, aheadMs, skewMs } }: { device: Device }): JSX.Element | null {
  if (clock === 'ahead')
    return (
      <span
        class="skew"
        data-testid="clock"
        title="Its clock is too far ahead: readings are uncertain, and shown at the time at which they were received."
      >
        clock {shownAge(aheadMs)} ahead
      </span>
    );
  if (clock === 'ingest')
    return (
      <span
        class="skew"
        data-testid="clock"
        title="It sends no time: readings are shown at the time at which they were received."
      >
        no clock
      </span>
    );
  if (skewMs === 0) return null;
  return (
    <span class="skew" data-testid="clock" title="Its readings are shown by its own clock, shifted by this much.">
      clock {shownAge(Math.abs(skewMs))} {skewMs > 0 ? 'behind' : 'ahead'}
    </span>
  );
}

function Controls(): JSX.Element {
  const { live, view } = usePage();
  const span = view.paused.value;
  const isPaused = span !== undefined;
  return (
    <div class="controls">
      {isPaused && (
        <span class="paused-at">
          paused at {shownTime(span.toMs, live.nowMs.value)}, {shownAge(Math.max(0, live.nowMs.value - span.toMs))} ago
        </span>
      )}
      <fieldset class="segments" aria-label="Window">
        {windowChoices.map((minutes) => (
          <button
            type="button"
            aria-pressed={view.place.value.windowMinutes === minutes}
            key={minutes}
            onClick={() => view.setWindow(minutes)}
          >
            {minutes} min
          </button>
        ))}
      </fieldset>
      <button
        type="button"
        class={`pause ${isPaused ? 'is-paused' : ''}`}
        aria-pressed={isPaused}
        onClick={() => view.togglePause(live.serverNow())}
      >
        <Icon name={isPaused ? 'play' : 'pause'} />
        <span>{isPaused ? 'Follow' : 'Pause'}</span>
      </button>
    </div>
  );
}

const kindOrder: Readonly<Record<TagKind, number>> = { number: 0, boolean: 1, text: 2 };

function Traces({ device }: { device: Device }): JSX.Element {
  const { live } = usePage();
  const shownMax = useSignal(tagsFirst);
  void device.revision.value;
  // In the order of the device's reports, states after numbers.
  const histories = live.history.tags(device.path);
  const tags = [...device.tags.keys()]
    .flatMap((tag) => {
      const history = histories?.get(tag);
      return history === undefined ? [] : [{ tag, history }];
    })
    .sort((a, b) => kindOrder[a.history.kind] - kindOrder[b.history.kind]);
  const hidden = tags.length - shownMax.value;
  const shown = tags.slice(0, shownMax.value);
  const numbers = shown.filter(({ history }) => history.kind === 'number').length;
  return (
    <div class={`traces ${live.isLive ? '' : 'not-live'}`}>
      <div class="area" style={{ '--numbers': numbers, '--states': shown.length - numbers }}>
        <ul>
          {shown.map(({ tag, history }) => (
            <TagTrace key={`${tag} ${history.kind}`} device={device} tag={tag} history={history} />
          ))}
        </ul>
        <Pointer />
        <TimeAxis />
      </div>
      {hidden > 0 && (
        <button
          type="button"
          class="plain more"
          onClick={() => {
            shownMax.value += tagsFirst;
          }}
        >
          Show {Math.min(tagsFirst, hidden)} more of {tags.length} tags
        </button>
      )}
    </div>
  );
}

function Unknown({ path }: { path: string }): JSX.Element {
  const { live } = usePage();
  const state = live.deviceState.value;
  if (state.name === 'failed') {
    return (
      <div class="empty">
        <h2>This device cannot be shown</h2>
        <p>{state.error.message}</p>
        <Back />
      </div>
    );
  }
  return (
    <div class="empty">
      <h2>{state.name === 'live' ? 'No reports yet' : 'Waiting for the server'}</h2>
      <p>
        {state.name === 'live' ? (
          <>
            No device called <code>{path}</code> has reported so far. It appears here as soon as it does.
          </>
        ) : (
          'The last values come first, then what is new.'
        )}
      </p>
      <Back />
    </div>
  );
}

/** A link may name a device that does not exist. */
function Back(): JSX.Element {
  return (
    <p>
      <a href="#/" data-testid="all-devices">
        All devices
      </a>
    </p>
  );
}

/** For any curl, and a POSIX shell. */
function firstCommand(ingestUrl: string): string {
  return `curl -w '\\n' -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' ${ingestUrl.replace(/\/+$/, '')}/v1/ingest \\
  -d '{"device":"plant1.hello","time":'$(date +%s000)',"readings":[{"tag":"temperature","value":21.5,"unit":"Cel"}]}'`;
}

function Welcome(): JSX.Element {
  const { live } = usePage();
  const isEmpty = live.list.paths.value.length === 0;
  return (
    <main class="view">
      <div class="empty">
        {isEmpty && live.listState.value.name === 'live' ? (
          <>
            <h2>Connected. Nothing reports yet.</h2>
            <p>
              Send a first reading, with a token in <code>TOKEN</code> that may publish, and it appears here:
            </p>
            <pre data-testid="first-command">{firstCommand(live.ingestUrl)}</pre>
          </>
        ) : (
          <>
            <h2>{isEmpty ? 'Waiting for data' : 'Choose a device'}</h2>
            <p>{isEmpty ? 'The devices appear on the left as they report.' : 'Its live readings appear here.'}</p>
          </>
        )}
      </div>
    </main>
  );
}
