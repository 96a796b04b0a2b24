import type { Clock, Timer } from '@tailrace/platform/clock';
import type { Channel } from './channels.ts';

/** With more, the channel that has been kept longest is closed. */
const defaultLingeringMax = 1_000;

/**
 * Channels without subscriptions that are kept open for a while. To open a subtree on a node that does not own all of
 * its partitions makes owners send all of its last values: a client that subscribes and unsubscribes in a loop, or many
 * that come back at once, cause that once.
 */
export class LingeringChannels {
  readonly limit: number;
  readonly #clock: Pick<Clock, 'monotonic' | 'after'>;
  readonly #lingerMs: number;
  readonly #close: (channel: Channel) => void;
  /** When each is closed, monotonic ms; the first is the next. */
  readonly #untilMs = new Map<Channel, number>();
  #timer: Timer | undefined;

  constructor(parts: {
    readonly clock: Pick<Clock, 'monotonic' | 'after'>;
    readonly lingerMs: number;
    readonly close: (channel: Channel) => void;
    /** Channels kept at once. Default: 1,000. */
    readonly lingeringMax?: number;
  }) {
    this.#clock = parts.clock;
    this.#lingerMs = parts.lingerMs;
    this.#close = parts.close;
    this.limit = parts.lingeringMax ?? defaultLingeringMax;
  }

  get size(): number {
    return this.#untilMs.size;
  }

  has(channel: Channel): boolean {
    return this.#untilMs.has(channel);
  }

  /** The last subscription has left. */
  add(channel: Channel): void {
    this.#untilMs.set(channel, this.#clock.monotonic() + this.#lingerMs);
    const [oldest] = this.#untilMs.keys();
    if (this.#untilMs.size > this.limit && oldest !== undefined) this.#end(oldest);
    this.#arm();
  }

  /** It is subscribed to again. Idempotent. */
  remove(channel: Channel): void {
    if (this.#untilMs.delete(channel) && this.#untilMs.size === 0) this.stop();
  }

  /** Closes all. */
  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    for (const channel of [...this.#untilMs.keys()]) this.#end(channel);
  }

  #arm(): void {
    const [first] = this.#untilMs.values();
    if (first === undefined || this.#timer !== undefined) return;
    this.#timer = this.#clock.after(Math.max(0, first - this.#clock.monotonic()), () => {
      this.#timer = undefined;
      const nowMs = this.#clock.monotonic();
      for (const [channel, untilMs] of [...this.#untilMs]) {
        if (untilMs > nowMs) break;
        this.#end(channel);
      }
      this.#arm();
    });
  }

  #end(channel: Channel): void {
    this.#untilMs.delete(channel);
    this.#close(channel);
  }
}
