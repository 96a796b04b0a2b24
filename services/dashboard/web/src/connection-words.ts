import type { StreamState } from '@tailrace/client/state';

type Mood = 'good' | 'warn' | 'bad';

const moods: Readonly<Record<StreamState['name'], Mood>> = {
  live: 'good',
  connecting: 'warn',
  waiting: 'warn',
  closed: 'bad',
};

/**
 * Returns the state of the connection in a word, and apart from it what changes every second, which a screen reader
 * skips. A server that answers may still not read the devices' reports: only the state of the subscriptions, `list`,
 * shows that.
 */
export function connectionWords(
  state: StreamState | undefined,
  configError: string | undefined,
  list: { readonly name: string } | undefined,
  nowMs: number,
): readonly [mood: Mood, word: string, detail: string] {
  if (state === undefined) return configError === undefined ? ['warn', 'Connecting', ''] : ['bad', 'No server', ''];
  const mood = moods[state.name];
  switch (state.name) {
    case 'live':
      return list?.name === 'interrupted' ? ['warn', 'Interrupted', ''] : [mood, 'Live', ''];
    case 'connecting':
      return [mood, state.attempt === 0 ? 'Connecting' : 'Reconnecting', ''];
    case 'waiting':
      return [mood, 'Reconnecting', `in ${Math.max(0, Math.ceil((state.retryAt - nowMs) / 1000))} s`];
    case 'closed':
      return [mood, state.loss.code === 4401 || state.loss.code === 4403 ? 'Not authorized' : 'Closed', ''];
  }
}
