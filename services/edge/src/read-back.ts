import type { Clock } from '@tailrace/platform/clock';
import type { Value } from './sample.ts';

/*
 * What a write did is decided by reading the tag again, not by the answer to the write: devices accept values that they
 * do not store, and answers are lost on the way.
 */

/** What the device answered to a write. `unknown`: nothing, or nothing certain. */
export type WriteAnswer = 'good' | 'unknown';

export interface WriteResult {
  /** `done`: the device has the value. `failed`: it has not. `unconfirmed`: nothing shows what it has. */
  readonly state: 'done' | 'failed' | 'unconfirmed';
  /** Of a failure. `unavailable`: nothing was written. `conflict`: another value was read back. */
  readonly code?: 'unavailable' | 'forbidden' | 'conflict' | 'invalid_message';
  readonly message?: string;
  /** Value read before the write, and after it. */
  readonly before?: Value;
  readonly after?: Value;
}

export interface ReadBack {
  readonly answer: WriteAnswer;
  /** As a read returns it where the device has it: of a float of 32 bits the nearest one. */
  readonly wanted: Value;
  /** Undefined: the device had none. */
  readonly before: Value | undefined;
  /** Undefined: it could not be read. */
  readonly after: Value | undefined;
  /** Whether the device would have finished the write by now if it received it. */
  readonly isSettled: boolean;
  /** Whether there is no time for another read. */
  readonly isLast: boolean;
}

/** The turn of a write among those of its device. */
export interface WriteTurn {
  /** Lets the other writes of the device go on, although it is not known yet what this one did. Idempotent. */
  release(): void;
  /** Whether another write of the tag has started since: then a read shows nothing of this one. */
  readonly isOvertaken: boolean;
}

/** How a value is read back. */
export interface ReadBackOptions extends Pick<ReadBack, 'answer' | 'wanted' | 'before'> {
  /** Time for the read-back, ms. */
  readonly limitMs: number;
  /** A device that received the write has finished it after this, ms. */
  readonly settledMs: number;
  /** Resolves within `timeMs` with the value; undefined: it could not be read. */
  readonly read: (timeMs: number) => Promise<Value | undefined>;
  readonly isStopped: () => boolean;
  /** Default: no other write waits. */
  readonly turn?: WriteTurn | undefined;
  readonly clock: Clock;
}

const firstPauseMs = 50;
const pauseMsMax = 500;

/**
 * Reads the value again and again until it shows what the write did, or `limitMs` has passed. A write without an answer
 * holds the others of its device for `settledMs`: until then it may still be done.
 */
export async function readBack(options: ReadBackOptions): Promise<WriteResult> {
  const { answer, settledMs, turn, clock } = options;
  const timer = answer === 'unknown' ? clock.after(settledMs, () => turn?.release()) : undefined;
  try {
    return await readUntilReached(options);
  } finally {
    timer?.cancel();
  }
}

async function readUntilReached(options: ReadBackOptions): Promise<WriteResult> {
  const { answer, wanted, before, limitMs, settledMs, turn, clock } = options;
  const writtenMs = clock.monotonic();
  for (let pauseMs = firstPauseMs; ; pauseMs = Math.min(2 * pauseMs, pauseMsMax)) {
    const sinceMs = clock.monotonic() - writtenMs;
    const after = await options.read(Math.max(0, limitMs - sinceMs));
    if (turn?.isOvertaken === true) {
      const message = 'its answer was lost, and another write of the tag came before it was read back';
      return { state: 'unconfirmed', ...(before !== undefined && { before }), message };
    }
    const passedMs = clock.monotonic() - writtenMs;
    const isSettled = sinceMs >= settledMs;
    const isLast = passedMs + pauseMs >= limitMs || options.isStopped();
    const result = writeResultFrom({ answer, wanted, before, after, isSettled, isLast });
    if (result !== undefined) return result;
    await clock.sleep(pauseMs);
  }
}

/** Returns what the write did; undefined if another read may show it. */
export function writeResultFrom(readBack: ReadBack): WriteResult | undefined {
  const { answer, wanted, before, after, isSettled, isLast } = readBack;
  const known = before === undefined ? {} : { before };
  if (after === undefined) {
    return isLast ? { state: 'unconfirmed', ...known, message: 'the value could not be read back' } : undefined;
  }
  const values = { ...known, after };
  if (after === wanted) {
    const message = 'it had the value before';
    return wanted === before && answer === 'unknown'
      ? { state: 'done', ...values, message }
      : { state: 'done', ...values };
  }
  if (answer === 'good') {
    const message = 'the device accepted the value and did not store it';
    return isLast ? { state: 'failed', code: 'conflict', ...values, message } : undefined;
  }
  if (isSettled && after === before) {
    return { state: 'failed', code: 'unavailable', ...values, message: 'not written: the device has the old value' };
  }
  return isLast ? { state: 'unconfirmed', ...values, message: 'the device has a third value' } : undefined;
}
