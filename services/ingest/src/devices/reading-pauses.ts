import { type PauseCause, pauseCauses } from './device-metrics.ts';
import type { ProtocolPort } from './protocol-port.ts';

const bitOf: Readonly<Record<PauseCause, number>> = {
  auth: 1,
  window: 2,
  bytes: 4,
  unavailable: 8,
  rate: 16,
  pace: 32,
};

/** The causes for which a session reads nothing: reading is paused from the first one to the last. */
export class ReadingPauses {
  readonly #port: Pick<ProtocolPort, 'pause' | 'resume'>;
  /** Of all sessions. */
  readonly #paused: Record<PauseCause, number>;
  #causes = 0;
  #isStopped = false;

  constructor(port: Pick<ProtocolPort, 'pause' | 'resume'>, paused: Record<PauseCause, number>) {
    this.#port = port;
    this.#paused = paused;
  }

  get isPaused(): boolean {
    return this.#causes !== 0;
  }

  has(cause: PauseCause): boolean {
    return (this.#causes & bitOf[cause]) !== 0;
  }

  add(cause: PauseCause): void {
    if (this.#isStopped || this.has(cause)) return;
    if (this.#causes === 0) this.#port.pause();
    this.#causes |= bitOf[cause];
    this.#paused[cause]++;
  }

  delete(cause: PauseCause): void {
    if (!this.has(cause)) return;
    this.#causes &= ~bitOf[cause];
    this.#paused[cause]--;
    if (this.#causes === 0) this.#port.resume();
  }

  /** Resumes reading, and never pauses it again: the session closes. */
  stop(): void {
    this.#isStopped = true;
    for (const cause of pauseCauses) this.delete(cause);
  }
}
