import type { Subscribe } from '@tailrace/protocol/clientmessage';
import { shown, TailraceError } from '@tailrace/protocol/error';

/** Times as fast as it happened. */
export const speedLimits = { min: 0.01, max: 1_000 } as const;

/** Whether what a subscription asks of the past makes sense. Throws `invalid_message`. */
export function assertReplayWish(wish: Pick<Subscribe, 'after' | 'from' | 'speed'>, nowMs: number): void {
  const { after, from, speed } = wish;
  if (from !== undefined) {
    if (after !== undefined)
      throw invalid('subscribe has both after and from; right is a position to go on from, or a time');
    if (from < 0 || from > nowMs) {
      throw invalid(`subscribe.from is ${shown(from)}; right is a time in epoch ms up to now, which is ${nowMs} here`);
    }
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
