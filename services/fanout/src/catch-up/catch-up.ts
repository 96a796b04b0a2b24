import type { Clock, Timer } from '@tailrace/platform/clock';
import type { Positions } from '@tailrace/protocol/position';

/** A client that has not come to what is now by then is a slow one. As long as it may lag, by default. */
const wholeMs = 30_000;

/** How fast a replay goes: `speed` times as fast as it happened. */
interface Pacing {
  readonly speed: number;
  /** What happened at `timeMs`, epoch, is told at `atMs`, monotonic. Known with the first report. */
  origin: { readonly timeMs: number; readonly atMs: number } | undefined;
}

/**
 * A subscription's way from where it is to where its channel is. It ends when the subscription is live, paused or gone; one that gets behind again
 * begins another.
 */
export class CatchUp {
  /** Everything up to here has been told, or named as left out. */
  readonly position: Positions;
  /** The client asked for the past: it gets all of it, as replay. Else much is conflated. */
  readonly whole: boolean;
  /** Of a client that was on the topic: the change of `Presences` up to which it knows them. */
  presencesKnown: number | undefined;
  /** Whether such a client believes that this node does not hear partitions. */
  interrupted = false;
  /** Before this, monotonic ms, it is sent all that came meanwhile, however much that is. */
  conflatesFromMs = Number.NEGATIVE_INFINITY;
  /** To reserve for the message IDs of the next round: see `IdRoom`. */
  idBytes = 0;
  readonly #pacing: Pacing | undefined;
  #over = false;
  #timer: Timer | undefined;
  #wake: (() => void) | undefined;

  constructor(position: Positions, whole: boolean, speed?: number) {
    this.position = position;
    this.whole = whole;
    this.#pacing = speed === undefined ? undefined : { speed, origin: undefined };
  }

  get over(): boolean {
    return this.#over;
  }

  get speed(): number | undefined {
    return this.#pacing?.speed;
  }

  /**
   * The subscription begins at `nowMs`, monotonic. What it waits for first, as a large snapshot, is no sign of a slow
   * client.
   */
  begin(nowMs: number): void {
    this.conflatesFromMs = nowMs + wholeMs;
  }

  stop(): void {
    this.#over = true;
    this.#timer?.cancel();
    this.#wake?.();
  }

  /** How long a report of `timeMs` has to wait yet, ms. */
  waitMs(timeMs: number, clock: Pick<Clock, 'monotonic'>): number {
    const pacing = this.#pacing;
    if (pacing === undefined) return 0;
    const nowMs = clock.monotonic();
    pacing.origin ??= { timeMs, atMs: nowMs };
    return pacing.origin.atMs + (timeMs - pacing.origin.timeMs) / pacing.speed - nowMs;
  }

  /** Whether it has come so near to now that what comes meanwhile can go right behind it. */
  isNear(clock: Pick<Clock, 'monotonic' | 'now'>, withinMs: number): boolean {
    const pacing = this.#pacing;
    if (pacing === undefined) return true;
    if (pacing.origin === undefined) return false;
    const toldMs = pacing.origin.timeMs + (clock.monotonic() - pacing.origin.atMs) * pacing.speed;
    return toldMs >= clock.now() - withinMs;
  }

  /** Until then, or until it is over. */
  sleep(ms: number, clock: Pick<Clock, 'after'>): Promise<void> {
    return new Promise((resolve) => {
      if (this.#over) return resolve();
      this.#wake = resolve;
      this.#timer = clock.after(ms, resolve);
    });
  }
}
