import type { Bus } from '@tailrace/bus/bus';
import type { Clock, Timer } from '@tailrace/platform/clock';
import { LimitedWarning } from '@tailrace/platform/limited-warning';
import type { Logger } from '@tailrace/platform/logger';
import { backoffMs } from '@tailrace/protocol/backoff';

const warningEveryMs = 60_000;
const backoff = { baseMs: 1_000, capMs: 10_000 } as const;

export interface BusConnectionOptions {
  readonly bus: Pick<Bus, 'start' | 'close'>;
  readonly clock: Clock;
  readonly random: () => number;
  readonly logger: Logger;
}

/**
 * Connects to the bus in the background, because ingest accepts and acknowledges reports without it: nothing that is on
 * the path of a reading may wait for NATS. Retries without limit. Once connected, the bus reconnects by itself.
 */
export class BusConnection {
  readonly #options: BusConnectionOptions;
  readonly #warning: LimitedWarning;
  #timer: Timer | undefined;
  #isStopped = false;

  constructor(options: BusConnectionOptions) {
    this.#options = options;
    const { logger, clock } = options;
    const sentence = 'no connection to NATS yet: devices are served, and their sessions are not known to other nodes';
    this.#warning = new LimitedWarning(logger.warn.bind(logger), sentence, warningEveryMs, () => clock.monotonic());
  }

  /** `onConnected` is called once, with the first connection, and subscribes. Call this once. */
  start(onConnected: () => Promise<void>): void {
    void this.#connect(onConnected, 0);
  }

  /** Stops the attempts, sends what is queued for a bounded time, and disconnects. Idempotent. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#timer?.cancel();
    await this.#options.bus.close();
  }

  /** Never rejects. */
  async #connect(onConnected: () => Promise<void>, attempts: number): Promise<void> {
    const { bus, clock, random, logger } = this.#options;
    try {
      await bus.start();
    } catch (error) {
      if (this.#isStopped) return;
      this.#warning.write(() => ({ error }));
      const waitMs = backoffMs(attempts, random, backoff);
      this.#timer = clock.after(waitMs, () => void this.#connect(onConnected, attempts + 1));
      return;
    }
    await onConnected().catch((error: unknown) => {
      if (!this.#isStopped) logger.error({ error }, 'cannot subscribe to the messages of other nodes');
    });
  }
}
