/** Devices whose highest fence is remembered; the one used longest ago is forgotten. */
const devicesMax = 10_000;

/**
 * The highest fence of each device. Of several senders of commands the newest has the highest, so that a command of an
 * older one that was delayed is refused.
 */
export class Fences {
  /** By device, the one used longest ago first. */
  readonly #highest = new Map<string, number>();

  /** Returns why a command is refused; undefined if it is not. `fence` 0: none. */
  staleReason(device: string, fence: number): string | undefined {
    const highest = this.#highest.get(device) ?? 0;
    return fence !== 0 && fence < highest ? `fence: expected ${highest} or more, got ${fence}` : undefined;
  }

  add(device: string, fence: number): void {
    if (fence === 0) return;
    this.#highest.delete(device);
    this.#highest.set(device, fence);
    if (this.#highest.size <= devicesMax) return;
    const [oldest] = this.#highest.keys();
    this.#highest.delete(oldest!);
  }
}
