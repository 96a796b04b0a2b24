import type { SubscriptionState } from '@tailrace/client/state';
import type { Subscribed } from './visible-devices.ts';

export interface HistoryReplayOptions {
  /** Replays the reports of a device since `fromMs`, epoch ms. Calls `onState` later, with each state of it. */
  readonly replay: (path: string, fromMs: number, onState: (state: SubscriptionState) => void) => Subscribed;
  readonly after: (ms: number, call: () => void) => { cancel(): void };
}

/** The replay starts when a device was selected for so long, ms: not while the user goes down the list. */
const settleMs = 200;

/**
 * Replays the history of the selected device from before it was subscribed to, for the window of its charts: once, and
 * again when they start earlier. A replay that the server cannot serve at the moment is requested again by its stream.
 */
export class HistoryReplay {
  readonly #options: HistoryReplayOptions;
  #path: string | undefined;
  #fromMs = Number.POSITIVE_INFINITY;
  #settle: { cancel(): void } | undefined;
  #replay: Subscribed | undefined;

  constructor(options: HistoryReplayOptions) {
    this.#options = options;
  }

  /**
   * `windowFromMs` returns where the charts start, epoch ms of the server's clock, which is more exact a little
   * later.
   */
  show(path: string | undefined, windowFromMs: () => number): void {
    const fromMs = windowFromMs();
    if (path === this.#path && fromMs >= this.#fromMs) return;
    this.#path = path;
    this.#fromMs = fromMs;
    this.#stop();
    if (path === undefined) return;
    this.#settle = this.#options.after(settleMs, () => {
      const replay = this.#options.replay(path, windowFromMs(), (state) => {
        const isFinished = state.name === 'live' || (state.name === 'failed' && !state.error.retryable);
        if (isFinished && this.#replay === replay) this.#stop();
      });
      this.#replay = replay;
    });
  }

  #stop(): void {
    this.#settle?.cancel();
    this.#replay?.unsubscribe();
    this.#replay = undefined;
  }
}
