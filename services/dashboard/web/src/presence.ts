import type { Presence } from '@tailrace/client/subscription';

/** Whether a device reports, as the server judges it. The page has no rule of its own that could disagree. */
export type PresenceState = Presence['state'];

/** Returns how the page names the state of a device, while the stream or its subscription may be down. */
export function presenceWords(
  state: PresenceState,
  isLive: boolean,
  isInterrupted: boolean,
): readonly [mood: 'good' | 'warn' | 'bad', words: string] {
  if (state === 'offline') return ['bad', 'offline'];
  if (!isLive) return ['warn', 'not live'];
  if (isInterrupted) return ['warn', 'interrupted'];
  return state === 'stale' ? ['warn', 'stale'] : ['good', 'live'];
}
