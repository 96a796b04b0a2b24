import type { Clock, Timer } from '@tailrace/platform/clock';
import type { Logger } from '@tailrace/platform/logger';

/** Runs retention at an interval and on request, one pass at a time. */
export class Retainer {
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #pass: () => Promise<void>;
  #timer: Timer | undefined;
  #running: Promise<void> | undefined;
  #needsAnother = false;
  #stopped = false;

  /** `pass` checks every topic once. A rejection is logged, and the next pass retries. */
  constructor({ clock, logger }: { readonly clock: Clock; readonly logger: Logger }, pass: () => Promise<void>) {
    this.#clock = clock;
    this.#logger = logger;
    this.#pass = pass;
  }

  start(everyMs: number): void {
    this.#timer = this.#clock.every(everyMs, () => this.run());
  }

  /** Starts a pass; while one runs, starts another one after it, for records that expire in the meantime. */
  run(): void {
    if (this.#stopped) return;
    this.#needsAnother = this.#running !== undefined;
    this.#running ??= this.#pass()
      .catch((thrown) => this.#logger.warn({ error: thrown }, 'retention failed; retrying'))
      .finally(() => {
        this.#running = undefined;
        if (this.#needsAnother) this.run();
      });
  }

  /** Resolves when no pass runs. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#timer?.cancel();
    await this.#running;
  }
}
