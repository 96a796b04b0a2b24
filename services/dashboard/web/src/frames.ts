/** Called once a frame of the screen, with the frame's time in ms. */
export type FrameCall = (timeMs: number) => void;

/** Moving by a pixel now and then needs no sixty frames a second. */
const frameMsMin = 30;

/** One animation loop for the whole page; the browser stops it while the page is hidden. */
export class Frames {
  readonly #calls = new Set<FrameCall>();
  #lastMs = 0;

  start(): void {
    requestAnimationFrame(this.#run);
  }

  /** Adds a call. Returns the function that removes it. */
  each(call: FrameCall): () => void {
    this.#calls.add(call);
    return () => this.#calls.delete(call);
  }

  readonly #run = (timeMs: number): void => {
    requestAnimationFrame(this.#run);
    if (timeMs - this.#lastMs < frameMsMin) return;
    this.#lastMs = timeMs;
    for (const call of this.#calls) call(timeMs);
  };
}
