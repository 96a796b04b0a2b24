import type { JSX } from 'preact';
import { connectionWords } from './connection-words.ts';
import { shownAge } from './format.ts';
import { Icon, Logo } from './icons.tsx';
import { usePage } from './page.ts';
import { Sections } from './sections.tsx';
import { nextTheme, theme } from './theme.ts';

/** The top bar: the connection, its round trip, and the age of the newest data. */
export function TopBar({ onHelp }: { onHelp: () => void }): JSX.Element {
  return (
    <header class="topbar">
      <a class="brand" href="#/" aria-label="Tailrace, all devices">
        <Logo />
        <span>Tailrace</span>
      </a>
      <Sections />
      <div class="vitals">
        <Connection />
        <RoundTrip />
        <DataAge />
      </div>
      <div class="tools">
        <button
          type="button"
          class="quiet wide-only"
          onClick={onHelp}
          aria-label="Keyboard shortcuts"
          title="Keyboard shortcuts (?)"
        >
          <Icon name="keyboard" />
        </button>
        <button
          type="button"
          class="quiet"
          onClick={nextTheme}
          aria-label={`Colors: ${theme.value}. Change`}
          title={`Colors: ${theme.value}`}
        >
          <Icon name={theme.value} />
        </button>
      </div>
    </header>
  );
}

function Connection(): JSX.Element {
  const { live } = usePage();
  // The time until the next attempt is by this machine's clock; the signal only renders it again.
  void live.nowMs.value;
  const [stream, list] = [live.connection.value, live.listState.value];
  const [mood, word, detail] = connectionWords(stream, live.configError.value, list, Date.now());
  return (
    <div
      class={`vital connection ${mood}`}
      data-testid="connection-state"
      data-state={stream?.name === 'live' && list.name === 'interrupted' ? list.name : (stream?.name ?? 'connecting')}
    >
      <i class="dot" />
      <span role="status" aria-live="polite">
        {word}
      </span>
      {detail !== '' && ' '}
      {detail !== '' && (
        <span class="detail" aria-hidden="true">
          {detail}
        </span>
      )}
    </div>
  );
}

function RoundTrip(): JSX.Element {
  const { live } = usePage();
  const ms = live.roundTripMs.value;
  const text = ms === undefined ? '–' : ms < 1 ? '<1 ms' : `${Math.round(ms)} ms`;
  return (
    <div class={`vital ${ms === undefined ? 'unknown' : ''}`} title="Round trip to the server">
      <span class="what">Round trip</span>
      <span class="number">{text}</span>
    </div>
  );
}

const ageMoods = { online: 'good', stale: 'warn', offline: 'bad' } as const;

function DataAge(): JSX.Element {
  const { live } = usePage();
  const newestMs = live.newestMs.value;
  const ageMs = newestMs === undefined ? undefined : Math.max(0, live.nowMs.value - newestMs);
  const { presence } = live.fleet;
  // Without a connection no data is live, however new it is.
  const mood = presence === undefined ? '' : ageMoods[presence === 'online' && !live.isLive ? 'stale' : presence];
  return (
    <div class={`vital age ${mood}`} data-testid="data-age" title="Age of the newest reading of the visible devices">
      <span class="what">Newest data</span>
      <span class="number">{ageMs === undefined ? '–' : shownAge(ageMs)}</span>
    </div>
  );
}
