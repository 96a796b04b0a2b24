import { setTimeout as sleep } from 'node:timers/promises';

/** The duration of something, ms, or why it failed. */
export type Measured = { readonly ms: number } | { readonly failure: string };

/** Measurements since the last `take`. */
export interface Samples {
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

  /** Returns the measurements since the last call. */
  take(): Samples {
    const samples = { times: this.#times, failures: this.#failures };
    this.#times = [];
    this.#failures = [];
    return samples;
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
