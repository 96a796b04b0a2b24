import type { Clock, Timer } from '@tailrace/platform/clock';
import type { Positions } from '@tailrace/protocol/position';

/** Time from the start of a subscription until conflation may start, ms: the default of `lagMsMax`. */
const wholeMs = 30_000;

/** The pace of a replay: `speed` times as fast as the reports came. */
interface Pacing {
  readonly speed: number;
  /** A report of `timeMs` (epoch) is sent at `atMs` (monotonic). Set by the first report. */
  origin: { readonly timeMs: number; readonly atMs: number } | undefined;
}

/**
 * The progress of a subscription that is not live; `CatchUps` brings it to the position of its channel. Stops when the
 * subscription is live, paused or closed. A subscription that falls behind again gets another one.
 */
export class CatchUp {
  /** Everything up to it was sent, or reported as left out. */
  readonly position: Positions;
  /** Whether nothing is conflated: a replay, or what came during a pause. */
  readonly whole: boolean;
  /** For a client that was on the topic: the number of the last change of `Presences` that it was sent. */
  presencesKnown: number | undefined;
  /** Whether such a client was sent `interrupted`, and not `restored`. */
  isInterrupted = false;
  /** Until this time, monotonic ms, nothing is conflated, however large the backlog is. */
  conflatesFromMs = Number.NEGATIVE_INFINITY;
  /** The pause before the next pass, ms. No memory is held meanwhile. */
  pauseMs = 0;
  /** Bytes to reserve for the message IDs of the next pass: see `IdReservation`. */
  idBytes = 0;
  readonly #pacing: Pacing | undefined;
  #isStopped = false;
  #timer: Timer | undefined;
  #wake: (() => void) | undefined;

  constructor(position: Positions, whole: boolean, speed?: number) {
    this.position = position;
    this.whole = whole;
    this.#pacing = speed === undefined ? undefined : { speed, origin: undefined };
  }

  get isStopped(): boolean {
    return this.#isStopped;
  }

  get speed(): number | undefined {
    return this.#pacing?.speed;
  }

  /**
   * Notes that the subscription starts at `nowMs`, monotonic. Waiting for a large snapshot does not make the client
   * slow.
   */
  start(nowMs: number): void {
    this.conflatesFromMs = nowMs + wholeMs;
  }

  stop(): void {
    this.#isStopped = true;
    this.#timer?.cancel();
    this.#wake?.();
  }

  /** Returns the time until a report of `timeMs` is due, ms. Negative: it is overdue. */
  waitMs(timeMs: number, clock: Pick<Clock, 'monotonic'>): number {
    const pacing = this.#pacing;
    if (pacing === undefined) return 0;
    const nowMs = clock.monotonic();
    pacing.origin ??= { timeMs, atMs: nowMs };
    return pacing.origin.atMs + (timeMs - pacing.origin.timeMs) / pacing.speed - nowMs;
  }

  /** Returns whether the replay is within `withinMs` of now, so that live reports can follow it. */
  isNear(clock: Pick<Clock, 'monotonic' | 'now'>, withinMs: number): boolean {
    const pacing = this.#pacing;
    if (pacing === undefined) return true;
    if (pacing.origin === undefined) return false;
    const sentMs = pacing.origin.timeMs + (clock.monotonic() - pacing.origin.atMs) * pacing.speed;
    return sentMs >= clock.now() - withinMs;
  }

  /** Resolves after this time, or when the catch-up is stopped. */
  sleep(ms: number, clock: Pick<Clock, 'after'>): Promise<void> {
    return new Promise((resolve) => {
      if (this.#isStopped) return resolve();
      this.#wake = resolve;
      this.#timer = clock.after(ms, resolve);
    });
  }
}
