import { setTimeout as sleep } from 'node:timers/promises';

const probeIntervalMs = 100;

/** Asks for a page again and again on connections of their own, as a kubelet does, and counts what is no 200 in time. */
export class Probe {
  readonly #url: string;
  readonly #deadlineMs: number;
  #times: number[] = [];
  #failures: string[] = [];
  #isRunning = false;
  #done: Promise<void> = Promise.resolve();

  constructor(url: string, deadlineMs: number) {
    this.#url = url;
    this.#deadlineMs = deadlineMs;
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
  taken(): { times: readonly number[]; failures: readonly string[] } {
    const taken = { times: this.#times, failures: this.#failures };
    this.#times = [];
    this.#failures = [];
    return taken;
  }

  async #run(): Promise<void> {
    while (this.#isRunning) {
      const startedAtMs = performance.now();
      try {
        const signal = AbortSignal.timeout(this.#deadlineMs);
        const answer = await fetch(this.#url, { headers: { connection: 'close' }, signal });
        await answer.arrayBuffer();
        if (answer.ok) this.#times.push(performance.now() - startedAtMs);
        else this.#failures.push(`${this.#url}: ${answer.status}`);
      } catch (error) {
        this.#failures.push(`${this.#url}: ${String((error as Error).cause ?? error)}`);
      }
      await sleep(probeIntervalMs);
    }
  }
}
