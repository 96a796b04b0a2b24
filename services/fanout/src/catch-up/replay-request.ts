import type { Subscribe } from '@tailrace/protocol/client-message';
import { shown, TailraceError } from '@tailrace/protocol/error';
import { mistakenUnitOf } from '@tailrace/protocol/time-unit';

/** Times as fast as it happened. */
export const speedLimits = { min: 0.01, max: 1_000 } as const;

/**
 * A client's clock may be ahead of this node's by so much, ms: as far apart as NTP keeps clocks, and more. A `from`
 * within it means now.
 */
export const fromAheadMsMax = 5_000;

/** Whether what a subscription asks of the past makes sense. Throws `invalid_message`. */
export function assertReplayRequest(wish: Pick<Subscribe, 'after' | 'from' | 'speed'>, nowMs: number): void {
  const { after, from, speed } = wish;
  if (from !== undefined) {
    if (after !== undefined)
      throw invalid('subscribe has both after and from; right is a position to go on from, or a time');
    const unit = mistakenUnitOf(from);
    if (unit !== undefined)
      throw invalid(`subscribe.from: expected milliseconds since 1970, got ${from}, which looks like ${unit}`);
    if (from < 0) throw invalid(`subscribe.from: expected milliseconds since 1970, got ${shown(from)}`);
    if (from > nowMs + fromAheadMsMax)
      throw invalid(
        `subscribe.from: expected a time at most ${fromAheadMsMax} ms ahead of this server's clock, which is ${nowMs}, got ${from}: check the clock`,
      );
  }
  if (speed === undefined) return;
  if (from === undefined) throw invalid('subscribe.speed is without from; right is a speed for a replay');
  assertSpeed('subscribe.speed', speed);
}

export function assertSpeed(name: string, speed: number): void {
  const { min, max } = speedLimits;
  if (speed >= min && speed <= max) return;
  throw invalid(
    `${name} is ${shown(speed)}; right is ${min} to ${max}, or none: then it goes as fast as the client reads`,
  );
}

function invalid(message: string): TailraceError {
  return new TailraceError('invalid_message', message);
}
