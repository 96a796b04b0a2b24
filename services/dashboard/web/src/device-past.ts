import type { Watched } from './sight.ts';

export interface DevicePastParts {
  /** Replays what a device reported since `fromMs`, epoch ms; `onEnd`: all of it has come, or will not. */
  readonly replay: (path: string, fromMs: number, onEnd: () => void) => Watched;
  /** Epoch ms, the server's clock. */
  readonly serverNow: () => number;
  readonly after: (ms: number, call: () => void) => { cancel(): void };
}

/** A device has to be chosen for so long before its past is asked for, ms: who goes down the list wants none. */
const settleMs = 200;

/**
 * What the chart of the chosen device shows of the time before it came into sight: as much as the chart is wide, once,
 * and again where the chart becomes wider.
 */
export class DevicePast {
  readonly #parts: DevicePastParts;
  #path: string | undefined;
  #windowMs = 0;
  #settle: { cancel(): void } | undefined;
  #replay: Watched | undefined;

  constructor(parts: DevicePastParts) {
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
