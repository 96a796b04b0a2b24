import { type BackoffOptions, backoffMs } from '@tailrace/protocol/backoff';
import { isPermanent, mqttReasons } from './reason.ts';

const backoffDefault = { baseMs: 500, capMs: 30_000 };
/** Another attempt changes nothing soon. */
const permanentWaitMs = 30_000;
/** Two clients with one client ID would disconnect each other at once, for ever. */
const takenOverWaitMs = 10_000;
const takenOverWithinMs = 60_000;

/** How long a client waits before it connects again. */
export class ReconnectDelay {
  readonly #random: () => number;
  readonly #backoff: BackoffOptions;
  #failures = 0;
  #takenOverMs: number | undefined;

  constructor(random: () => number, backoff: BackoffOptions = backoffDefault) {
    this.#random = random;
    this.#backoff = backoff;
  }

  /** The next wait is a first one again. */
  reset(): void {
    this.#failures = 0;
  }

  /** Returns the wait, ms. `reason`: why the connection or the attempt was closed. `nowMs`: of the monotonic clock. */
  next(reason: number, nowMs: number): number {
    const waitMs = backoffMs(this.#failures++, this.#random, this.#backoff);
    if (isPermanent(reason)) return Math.max(waitMs, permanentWaitMs);
    if (reason !== mqttReasons.sessionTakenOver) return waitMs;
    const isSecond = this.#takenOverMs !== undefined && nowMs - this.#takenOverMs <= takenOverWithinMs;
    this.#takenOverMs = nowMs;
    return isSecond ? Math.max(waitMs, takenOverWaitMs) : waitMs;
  }
}
