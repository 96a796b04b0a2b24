import type { JSX } from 'preact';
import { listedDevicesMax } from './fleet-list.ts';
import { shownCount, shownTime } from './format.ts';
import { usePage } from './page.ts';

/** Shows an error of the connection, the age of the values, and a button to retry. Empty without an error. */
export function Notice(): JSX.Element | null {
  const { live } = usePage();
  const state = live.connection.value;
  const error = live.configError.value;
  if (error !== undefined && state === undefined)
    return <Line mood="bad" title="The page cannot find its servers." text={error} retry="Try again" />;
  if (state === undefined || state.name === 'live' || (state.name === 'connecting' && state.attempt === 0))
    return <Refusals />;
  const newestMs = live.newestMs.value;
  const shown = newestMs === undefined ? '' : ` What you see is from ${shownTime(newestMs, live.nowMs.value)}.`;
  if (state.name === 'connecting') return <Line mood="warn" title="Reconnecting…" text={shown} />;
  const reason = `${sentence(state.loss.message)}${shown}`;
  if (state.name === 'waiting') return <Line mood="warn" title="Not live." text={reason} retry="Try now" />;
  return <Line mood="bad" title={titleOf(state.loss.code)} text={reason} retry="Connect again" />;
}

const incomplete = 'The list of devices is not complete.';

function titleOf(code: number): string {
  switch (code) {
    case 4401:
    case 4403:
      return 'Not authorized.';
    case 4429:
      return 'A limit was reached.';
    default:
      return 'Closed.';
  }
}

/** The connection is open, but the server does not deliver what the page requested. */
function Refusals(): JSX.Element | null {
  const { live } = usePage();
  const list = live.listState.value;
  if (list.name === 'interrupted') {
    const since = shownTime(list.since, live.nowMs.value);
    return (
      <Line
        mood="warn"
        title="Interrupted."
        text={`The server has not read the reports of some devices since ${since}.`}
      />
    );
  }
  if (list.name === 'failed') {
    const title = list.error.code === 'limit_reached' ? 'A limit was reached.' : incomplete;
    return <Line mood="warn" title={title} text={sentence(list.error.message)} />;
  }
  const missing = live.list.missing.value;
  if (missing > 0) {
    const text = `No server responds for ${missing === 1 ? 'one partition' : `${missing} partitions`}.`;
    return <Line mood="warn" title={incomplete} text={text} />;
  }
  if (live.list.isFull.value) {
    const text = `The first ${shownCount(listedDevicesMax)} are listed.`;
    return <Line mood="warn" title="Too many devices for one page." text={text} />;
  }
  return null;
}

function Line({
  mood,
  title,
  text,
  retry,
}: {
  mood: 'warn' | 'bad';
  title: string;
  text: string;
  retry?: string;
}): JSX.Element {
  const { live } = usePage();
  return (
    <div class={`notice ${mood}`} data-testid="notice">
      <p>
        <strong>{title}</strong> {text}
      </p>
      {retry !== undefined && (
        <button type="button" class="plain" onClick={() => live.reconnect()}>
          {retry}
        </button>
      )}
    </div>
  );
}

function sentence(text: string): string {
  const trimmed = text.trim();
  // A URL keeps its lower case.
  const capitalized = /^[a-z]+:\/\//.test(trimmed) ? trimmed : trimmed.charAt(0).toUpperCase() + trimmed.slice(1);
  return capitalized === '' || /[.!?…]$/.test(capitalized) ? capitalized : `${capitalized}.`;
}
