import { setTimeout as sleep } from 'node:timers/promises';
import type { ReportTransport } from './report-transport.ts';

export interface HonestDeviceOptions {
  readonly device: string;
  readonly transport: ReportTransport;
  /** Report interval. */
  readonly intervalMs: number;
  /** Time of the first report after `start`. */
  readonly phaseMs: number;
}

const retryMs = 100;

/**
 * A device that reports 1, 2, 3 … at a steady rate. Each report is due at a fixed time. One that is not accepted is
 * retried with the same message ID, before any newer one.
 */
export class HonestDevice {
  readonly device: string;
  /** The last values sent, and accepted by ingest; 0 before the first. */
  sent = 0;
  acknowledged = 0;
  /** Number of responses that did not accept a report, by their text. */
  readonly refusals = new Map<string, number>();
  readonly #options: HonestDeviceOptions;
  /** Times at which reports are due, by value, `performance.now`. */
  readonly #dueAtMs: number[] = [];
  #isRunning = false;
  #isAbandoned = false;
  #done: Promise<void> = Promise.resolve();

  constructor(options: HonestDeviceOptions) {
    this.device = options.device;
    this.#options = options;
  }

  start(): void {
    this.#isRunning = true;
    this.#done = this.#run();
  }

  /** Resolves when all sent reports are accepted. It can be started again. */
  async stop(): Promise<void> {
    this.#isRunning = false;
    await this.#done;
  }

  /** Stops at once, also before the last report is accepted. */
  abandon(): void {
    this.#isRunning = false;
    this.#isAbandoned = true;
    this.#options.transport.close();
  }

  dueAtMs(value: number): number {
    return this.#dueAtMs[value] ?? Number.NaN;
  }

  async #run(): Promise<void> {
    const { intervalMs, phaseMs } = this.#options;
    let dueMs = performance.now() + phaseMs;
    for (;;) {
      await sleep(Math.max(0, dueMs - performance.now()));
      if (!this.#isRunning) return;
      this.sent++;
      this.#dueAtMs[this.sent] = dueMs;
      await this.#deliver(this.sent);
      dueMs += intervalMs;
    }
  }

  async #deliver(value: number): Promise<void> {
    const body = JSON.stringify({
      device: this.device,
      time: Date.now(),
      id: `${this.device}-${value}`,
      readings: [{ tag: 'n', value }],
    });
    while (!this.#isAbandoned) {
      const refusal = await this.#options.transport.send(body);
      if (refusal === undefined) {
        this.acknowledged = value;
        return;
      }
      this.refusals.set(refusal, (this.refusals.get(refusal) ?? 0) + 1);
      await sleep(retryMs);
    }
  }
}
