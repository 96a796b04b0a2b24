import type { Subscribed } from './visible-devices.ts';

export interface HistoryReplayParts {
  /** Replays the reports of a device since `fromMs`, epoch ms. Calls `onEnd` when it is complete or has failed. */
  readonly replay: (path: string, fromMs: number, onEnd: () => void) => Subscribed;
  /** Epoch ms, the server's clock. */
  readonly serverNow: () => number;
  readonly after: (ms: number, call: () => void) => { cancel(): void };
}

/** The replay starts when a device was selected for so long, ms: not while the user goes down the list. */
const settleMs = 200;

/**
 * Replays the history of the selected device from before it was subscribed to, for the width of its charts: once, and
 * again when they become wider.
 */
export class HistoryReplay {
  readonly #parts: HistoryReplayParts;
  #path: string | undefined;
  #windowMs = 0;
  #settle: { cancel(): void } | undefined;
  #replay: Subscribed | undefined;

  constructor(parts: HistoryReplayParts) {
    this.#parts = parts;
  }

  show(path: string | undefined, windowMs: number): void {
    if (path === this.#path && windowMs <= this.#windowMs) return;
    this.#path = path;
    this.#windowMs = windowMs;
    this.#end();
    if (path === undefined) return;
    this.#settle = this.#parts.after(settleMs, () => {
      const fromMs = this.#parts.serverNow() - windowMs;
      this.#replay = this.#parts.replay(path, fromMs, () => this.#end());
    });
  }

  #end(): void {
    this.#settle?.cancel();
    this.#replay?.unsubscribe();
    this.#replay = undefined;
  }
}
