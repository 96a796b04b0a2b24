import type { Clock, Timer } from '@tailrace/platform/clock';
import type { Logger } from '@tailrace/platform/logger';

/** When retention runs: every so often and when it is asked for, never twice at a time. */
export class Retainer {
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #pass: () => Promise<void>;
  #timer: Timer | undefined;
  #running: Promise<void> | undefined;
  #again = false;
  #stopped = false;

  /** `pass` checks everything once; a rejection is logged, and the next pass tries again. */
  constructor({ clock, logger }: { readonly clock: Clock; readonly logger: Logger }, pass: () => Promise<void>) {
    this.#clock = clock;
    this.#logger = logger;
    this.#pass = pass;
  }

  start(everyMs: number): void {
    this.#timer = this.#clock.every(everyMs, () => this.run());
  }

  /** A pass now; while one is running, one more when it has ended: what has become old meanwhile lies behind it. */
  run(): void {
    if (this.#stopped) return;
    this.#again = this.#running !== undefined;
    this.#running ??= this.#pass()
      .catch((thrown) => this.#logger.warn({ err: thrown }, 'retention failed; it is tried again'))
      .finally(() => {
        this.#running = undefined;
        if (this.#again) this.run();
      });
  }

  /** Resolves when no pass is running. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#timer?.cancel();
    await this.#running;
  }
}
