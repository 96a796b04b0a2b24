import type { Clock, Timer } from '@tailrace/platform/clock';
import type { Positions } from '@tailrace/protocol/position';

/** A client that is not live by then is a slow one. As long as it may lag, by default. */
const wholeMs = 30_000;

/** How fast a replay goes: `speed` times as fast as it happened. */
interface Pacing {
  readonly speed: number;
  /** What happened at `timeMs`, epoch, is sent at `atMs`, monotonic. Known with the first report. */
  origin: { readonly timeMs: number; readonly atMs: number } | undefined;
}

/**
 * Where a subscription is that is not live, and how it gets to where its channel is; `CatchUps` brings it there. It
 * stops when the subscription is live, paused or closed; one that falls behind again gets another.
 */
export class CatchUp {
  /** Everything up to here has been sent, or named as left out. */
  readonly position: Positions;
  /** A replay: the client gets all of it. Else much is conflated for a slow client. */
  readonly whole: boolean;
  /** Of a client that was on the topic: the change of `Presences` up to which it knows them. */
  presencesKnown: number | undefined;
  /** Whether such a client believes that this node receives nothing of some partitions. */
  isInterrupted = false;
  /** Before this, monotonic ms, it is sent everything that came meanwhile, however much that is. */
  conflatesFromMs = Number.NEGATIVE_INFINITY;
  /** Before the next pass, without memory, ms. */
  pauseMs = 0;
  /** To reserve for the message IDs of the next pass: see `IdReservation`. */
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
   * The subscription starts at `nowMs`, monotonic. What it waits for first, as a large snapshot, is no sign of a slow
   * client.
   */
  start(nowMs: number): void {
    this.conflatesFromMs = nowMs + wholeMs;
  }

  stop(): void {
    this.#isStopped = true;
    this.#timer?.cancel();
    this.#wake?.();
  }

  /** Returns how long a report of `timeMs` has to wait yet, ms. */
  waitMs(timeMs: number, clock: Pick<Clock, 'monotonic'>): number {
    const pacing = this.#pacing;
    if (pacing === undefined) return 0;
    const nowMs = clock.monotonic();
    pacing.origin ??= { timeMs, atMs: nowMs };
    return pacing.origin.atMs + (timeMs - pacing.origin.timeMs) / pacing.speed - nowMs;
  }

  /** Whether it is so near to now that what comes meanwhile can follow it. */
  isNear(clock: Pick<Clock, 'monotonic' | 'now'>, withinMs: number): boolean {
    const pacing = this.#pacing;
    if (pacing === undefined) return true;
    if (pacing.origin === undefined) return false;
    const sentMs = pacing.origin.timeMs + (clock.monotonic() - pacing.origin.atMs) * pacing.speed;
    return sentMs >= clock.now() - withinMs;
  }

  /** Resolves then, or when it is stopped. */
  sleep(ms: number, clock: Pick<Clock, 'after'>): Promise<void> {
    return new Promise((resolve) => {
      if (this.#isStopped) return resolve();
      this.#wake = resolve;
      this.#timer = clock.after(ms, resolve);
    });
  }
}
