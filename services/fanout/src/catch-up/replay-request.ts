import type { Subscribe } from '@tailrace/protocol/client-message';
import { shown, TailraceError } from '@tailrace/protocol/error';
import { mistakenUnitOf } from '@tailrace/protocol/time-unit';

/** Bounds of `speed`: how many times as fast as the reports came. */
export const speedLimits = { min: 0.01, max: 1_000 } as const;

/** How far a client's clock may be ahead of this node's, ms: more than NTP allows. A `from` within it means now. */
export const fromAheadMsMax = 5_000;

/** Throws `invalid_message` for a subscription with contradictory or invalid `after`, `from` and `speed`. */
export function assertReplayRequest(request: Pick<Subscribe, 'after' | 'from' | 'speed'>, nowMs: number): void {
  const { after, from, speed } = request;
  if (from !== undefined) {
    if (after !== undefined)
      throw invalid('subscribe: expected after or from, got both: resume from a position, or replay from a time');
    const unit = mistakenUnitOf(from);
    if (unit !== undefined)
      throw invalid(`subscribe.from: expected milliseconds since 1970, got ${from}, which is probably in ${unit}`);
    if (from < 0) throw invalid(`subscribe.from: expected milliseconds since 1970, got ${shown(from)}`);
    if (from > nowMs + fromAheadMsMax)
      throw invalid(
        `subscribe.from: expected a time at most ${fromAheadMsMax} ms ahead of this server's clock, which is ${nowMs}, got ${from}: check the clock`,
      );
  }
  if (speed === undefined) return;
  if (from === undefined) throw invalid('subscribe.speed: expected it with from alone, for a replay, got it without');
  assertSpeed('subscribe.speed', speed);
}

export function assertSpeed(name: string, speed: number): void {
  const { min, max } = speedLimits;
  if (speed >= min && speed <= max) return;
  throw invalid(
    `${name}: expected ${min} to ${max}, got ${shown(speed)}; without it a replay goes as fast as the client reads`,
  );
}

function invalid(message: string): TailraceError {
  return new TailraceError('invalid_message', message);
}
