import type { Clock, Timer } from '@tailrace/platform/clock';
import type { TailraceError } from '@tailrace/protocol/error';

/**
 * - `open`: the log keeps up.
 * - `slow`: many bytes wait for the log, or a message has waited for long. Senders with most of them are to pause.
 * - `away`: the log confirms nothing. Senders are to pause, with a probe from time to time.
 */
export type PressureState = (typeof pressureStates)[number];

/** In the order of the metric, whose value is the index. */
export const pressureStates = ['open', 'slow', 'away'] as const;

export interface PressureOptions {
  readonly clock: Pick<Clock, 'monotonic' | 'every'>;
  /** Returns the bytes that wait for the log, of all protocols. */
  heldBytes(): number;
  /** Their limit. */
  readonly heldBytesMax: number;
}

/** `slow` from more than this share of `heldBytesMax`, or this age of the oldest message. */
const slowShare = 1 / 2;
const slowMs = 1_000;
/** `open` again below these for `calmMs`. */
const openShare = 3 / 8;
const openMs = 500;
const calmMs = 1_000;
/** Interval of the checks while it is not `open`. */
const checkMs = 100;
/** `away` if the log has confirmed nothing for this time, and refuses, or a message is as old as `awayMs`. */
const unconfirmedMs = 2_000;
const awayMs = 5_000;
/** While it is `away`, one request is admitted in this time. */
const probeMs = 250;

/**
 * Returns whether an error can mean that the log is away. A record that is too large does not, and neither does a full
 * disk: the log refuses at once then, and each sender is to learn the reason.
 */
export function meansAway({ code }: TailraceError): boolean {
  return code !== 'too_large' && code !== 'storage_full';
}

/**
 * How well the log takes what this process receives.
 *
 * - `open` to `slow`: by the bytes that wait, or the age of the oldest message. Back when both were lower for a second,
 *   so that it does not alternate.
 * - To `away`: every message of two seconds has failed, or one has waited for five seconds; and none was confirmed for
 *   two. So a single partition without a leader, beside others that confirm, is `slow`.
 * - From `away`: at the first confirmed message, or after five seconds without any message.
 *
 * `MessageIntake` and `Appender` report what the log settles. The intake calls `check` while messages wait.
 */
export class Pressure {
  /** Called at each change. */
  onChange: (state: PressureState) => void = () => {};
  readonly #options: PressureOptions;
  #state: PressureState = 'open';
  /** Monotonic ms. */
  #confirmedMs = Number.NEGATIVE_INFINITY;
  /** The first and the last failure since the last confirmed message. */
  #failingSinceMs: number | undefined;
  #failedMs = Number.NEGATIVE_INFINITY;
  /** Since when the way back to `open` is free. */
  #calmSinceMs: number | undefined;
  /** The age of the oldest message at the last check, ms. */
  #oldestMs = 0;
  #admittedMs = Number.NEGATIVE_INFINITY;
  #timer: Timer | undefined;

  constructor(options: PressureOptions) {
    this.#options = options;
  }

  get state(): PressureState {
    return this.#state;
  }

  /** Called when the log has confirmed messages. */
  confirmed(): void {
    this.#confirmedMs = this.#options.clock.monotonic();
    this.#failingSinceMs = undefined;
    if (this.#state === 'away') this.#enter(this.#exceeds(openShare, openMs) ? 'slow' : 'open');
  }

  /**
   * Called when messages have failed by an error that `meansAway`. `sinceMs`: since when they were in the log's hands,
   * monotonic ms. Default: now.
   */
  failed(sinceMs = this.#options.clock.monotonic()): void {
    this.#failedMs = this.#options.clock.monotonic();
    this.#failingSinceMs = Math.min(this.#failingSinceMs ?? this.#failedMs, sinceMs);
    this.check(this.#oldestMs);
  }

  /**
   * Returns whether a new request is processed. While it is `away`, one in `probeMs` is: it shows whether the log is
   * back. The others would wait for their deadline to be refused then.
   */
  admits(): boolean {
    if (this.#state !== 'away') return true;
    const nowMs = this.#options.clock.monotonic();
    if (nowMs - this.#admittedMs < probeMs) return false;
    this.#admittedMs = nowMs;
    return true;
  }

  /** Stops the checks. */
  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  /** Determines the state. `oldestMs`: the age of the oldest message that waits for the log; 0 without one. */
  check(oldestMs: number): void {
    this.#oldestMs = oldestMs;
    const nowMs = this.#options.clock.monotonic();
    if (this.#state === 'away') {
      // Without messages nothing can be confirmed: the next one shows whether the log is back.
      if (oldestMs === 0 && nowMs - this.#failedMs >= awayMs) this.#enter('open');
      return;
    }
    if (this.#isAway(nowMs)) this.#enter('away');
    else if (this.#state === 'open') {
      if (this.#exceeds(slowShare, slowMs)) this.#enter('slow');
    } else if (this.#exceeds(openShare, openMs)) this.#calmSinceMs = undefined;
    else {
      this.#calmSinceMs ??= nowMs;
      if (nowMs - this.#calmSinceMs >= calmMs) this.#enter('open');
    }
  }

  #isAway(nowMs: number): boolean {
    if (nowMs - this.#confirmedMs < unconfirmedMs) return false;
    if (this.#oldestMs >= awayMs) return true;
    if (this.#failingSinceMs === undefined) return false;
    return nowMs - this.#failingSinceMs >= unconfirmedMs && nowMs - this.#failedMs < unconfirmedMs;
  }

  #exceeds(share: number, ageMs: number): boolean {
    const { heldBytes, heldBytesMax } = this.#options;
    return heldBytes() > heldBytesMax * share || this.#oldestMs > ageMs;
  }

  #enter(state: PressureState): void {
    this.#state = state;
    this.#calmSinceMs = undefined;
    if (state === 'open') this.stop();
    else this.#timer ??= this.#options.clock.every(checkMs, () => this.check(this.#oldestMs));
    this.onChange(state);
  }
}
