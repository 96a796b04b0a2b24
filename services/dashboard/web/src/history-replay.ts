import type { SubscriptionState } from '@tailrace/client/state';
import type { Subscribed } from './visible-devices.ts';

export interface HistoryReplayParts {
  /** Replays the reports of a device since `fromMs`, epoch ms. Calls `onState` later, with each state of it. */
  readonly replay: (path: string, fromMs: number, onState: (state: SubscriptionState) => void) => Subscribed;
  readonly after: (ms: number, call: () => void) => { cancel(): void };
}

/** The replay starts when a device was selected for so long, ms: not while the user goes down the list. */
const settleMs = 200;

/**
 * Replays the history of the selected device from before it was subscribed to, for the window of its charts: once, and
 * again when they begin earlier. A replay that the server cannot serve at the moment is requested again by its stream.
 */
export class HistoryReplay {
  readonly #parts: HistoryReplayParts;
  #path: string | undefined;
  #fromMs = Number.POSITIVE_INFINITY;
  #settle: { cancel(): void } | undefined;
  #replay: Subscribed | undefined;

  constructor(parts: HistoryReplayParts) {
    this.#parts = parts;
  }

  /**
   * `windowFromMs` returns where the charts begin, epoch ms of the server's clock, which is known better a moment
   * later.
   */
  show(path: string | undefined, windowFromMs: () => number): void {
    const fromMs = windowFromMs();
    if (path === this.#path && fromMs >= this.#fromMs) return;
    this.#path = path;
    this.#fromMs = fromMs;
    this.#end();
    if (path === undefined) return;
    this.#settle = this.#parts.after(settleMs, () => {
      const replay = this.#parts.replay(path, windowFromMs(), (state) => {
        const isOver = state.name === 'live' || (state.name === 'failed' && !state.error.retryable);
        if (isOver && this.#replay === replay) this.#end();
      });
      this.#replay = replay;
    });
  }

  #end(): void {
    this.#settle?.cancel();
    this.#replay?.unsubscribe();
    this.#replay = undefined;
  }
}
