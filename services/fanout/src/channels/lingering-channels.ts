import type { Clock, Timer } from '@tailrace/platform/clock';
import type { Channel } from './channels.ts';

/**
 * Channels without subscriptions that stay open for a while. Opening a subtree whose partitions other nodes own
 * makes the owners send all its last values. A client that subscribes and unsubscribes in a loop, or many that
 * reconnect, cause that once.
 */
export class LingeringChannels {
  /** How long a channel stays open after its last subscription, ms: a page that is reloaded has reconnected by then. */
  static readonly lingerMs: number = 10_000;
  /** Beyond it, the channel that has lingered longest is closed. */
  static readonly countMax = 1_000;

  readonly #clock: Pick<Clock, 'monotonic' | 'after'>;
  readonly #close: (channel: Channel) => void;
  /** When each is closed, monotonic ms. The first entry is the next to close. */
  readonly #untilMs = new Map<Channel, number>();
  #timer: Timer | undefined;

  constructor(clock: Pick<Clock, 'monotonic' | 'after'>, close: (channel: Channel) => void) {
    this.#clock = clock;
    this.#close = close;
  }

  get size(): number {
    return this.#untilMs.size;
  }

  has(channel: Channel): boolean {
    return this.#untilMs.has(channel);
  }

  /** Keeps a channel open whose last subscription was closed. */
  add(channel: Channel): void {
    this.#untilMs.set(channel, this.#clock.monotonic() + LingeringChannels.lingerMs);
    const [oldest] = this.#untilMs.keys();
    if (this.#untilMs.size > LingeringChannels.countMax && oldest !== undefined) this.#closeChannel(oldest);
    this.#arm();
  }

  /** The channel is subscribed to again. Idempotent. */
  remove(channel: Channel): void {
    if (this.#untilMs.delete(channel) && this.#untilMs.size === 0) this.stop();
  }

  /** Closes all. */
  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    for (const channel of [...this.#untilMs.keys()]) this.#closeChannel(channel);
  }

  #arm(): void {
    const [first] = this.#untilMs.values();
    if (first === undefined || this.#timer !== undefined) return;
    this.#timer = this.#clock.after(Math.max(0, first - this.#clock.monotonic()), () => {
      this.#timer = undefined;
      const nowMs = this.#clock.monotonic();
      for (const [channel, untilMs] of [...this.#untilMs]) {
        if (untilMs > nowMs) break;
        this.#closeChannel(channel);
      }
      this.#arm();
    });
  }

  #closeChannel(channel: Channel): void {
    this.#untilMs.delete(channel);
    this.#close(channel);
  }
}
