import { setTimeout as sleep } from 'node:timers/promises';

/** How long something took, ms, or why it failed. */
export type Measured = { readonly ms: number } | { readonly failure: string };

/** What was measured since the last look. */
export interface Taken {
  readonly times: readonly number[];
  readonly failures: readonly string[];
}

/** Measures again and again, one after the other, with a pause between two. `measure` never rejects. */
export class RepeatedMeasurement {
  readonly #measure: () => Promise<Measured>;
  readonly #pauseMs: number;
  #times: number[] = [];
  #failures: string[] = [];
  #isRunning = false;
  #done: Promise<void> = Promise.resolve();

  constructor(measure: () => Promise<Measured>, pauseMs: number) {
    this.#measure = measure;
    this.#pauseMs = pauseMs;
  }

  start(): void {
    this.#isRunning = true;
    this.#done = this.#run();
  }

  async stop(): Promise<void> {
    this.#isRunning = false;
    await this.#done;
  }

  /** Since the last call. */
  taken(): Taken {
    const taken = { times: this.#times, failures: this.#failures };
    this.#times = [];
    this.#failures = [];
    return taken;
  }

  async #run(): Promise<void> {
    while (this.#isRunning) {
      const measured = await this.#measure();
      if ('ms' in measured) this.#times.push(measured.ms);
      else this.#failures.push(measured.failure);
      await sleep(this.#pauseMs);
    }
  }
}
