/** How much a value can be relied on to be of now. */
export type Freshness = 'fresh' | 'late' | 'stale';

/** A device that speaks faster than this is still not late before that. */
const lateMsMin = 3000;
const staleMsMin = 10_000;
/** For a device of which only one report is known: its rhythm cannot be. */
const rhythmUnknownMs = 15_000;

/**
 * Late is four times the usual distance of a device's reports (at least 3 s), stale twelve times (at least 10 s).
 *
 * @param ageMs since ingest received the last one
 * @param rhythmMs the usual distance; undefined before the second report
 */
export function freshnessOf(ageMs: number, rhythmMs: number | undefined): Freshness {
  const rhythm = rhythmMs ?? rhythmUnknownMs;
  if (ageMs < Math.max(lateMsMin, 4 * rhythm)) return 'fresh';
  return ageMs < Math.max(staleMsMin, 12 * rhythm) ? 'late' : 'stale';
}

/** How and by which words the page shows how fresh a device is, while the stream or its subscription may be down. */
export function freshnessWords(
  freshness: Freshness,
  isLive: boolean,
  isInterrupted: boolean,
): readonly [mood: 'good' | 'warn' | 'bad', words: string] {
  if (freshness === 'stale') return ['bad', 'silent'];
  if (!isLive) return ['warn', 'not live'];
  if (isInterrupted) return ['warn', 'interrupted'];
  return freshness === 'late' ? ['warn', 'late'] : ['good', 'up to date'];
}

/** The usual distance between reports, from that before and the last one: it follows a change within about five reports. */
export function nextRhythm(rhythmMs: number | undefined, distanceMs: number): number | undefined {
  // Several reports of one batch are received at the same moment: that says nothing.
  if (distanceMs <= 0) return rhythmMs;
  if (rhythmMs === undefined) return distanceMs;
  // One long silence is no new rhythm: it counts for no more than three beats.
  return rhythmMs + 0.2 * (Math.min(distanceMs, 3 * rhythmMs) - rhythmMs);
}
