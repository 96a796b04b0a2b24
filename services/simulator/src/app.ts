import { hostname } from 'node:os';
import { createPublisher, type Publisher, type PublisherStats } from '@tailrace/client/publish';
import { type Clock, systemClock, type Timer } from '@tailrace/platform/clock';
import { LimitedWarning } from '@tailrace/platform/limited-warning';
import type { Logger } from '@tailrace/platform/logger';
import { type ErrorCode, tailraceErrorFrom } from '@tailrace/protocol/error';
import type { Report } from '@tailrace/protocol/report';
import { createHost, type Host } from './host/host.ts';
import { createPlant, type Plant } from './plant/plant.ts';

export interface SimulatorOptions {
  /** As of `configSchema`. */
  readonly config: {
    readonly ingestUrl: string;
    readonly token: string;
    readonly plant: boolean;
    readonly plantSeed: number;
    readonly rateHz: number;
    readonly hostReadings: boolean;
    readonly hostName: string;
  };
  readonly logger: Logger;
  readonly clock?: Clock;
  /** For message IDs and waits, not for the plant. Default: Math.random. */
  readonly random?: () => number;
  readonly fetch?: typeof globalThis.fetch;
}

export interface Simulator {
  start(): Promise<void>;
  /** Publishes nothing more. Resolves when every report has an answer. */
  drain(): Promise<void>;
  /** Drops the reports without an answer. Idempotent. */
  stop(): void;
  stats(): PublisherStats;
}

/** A shorter interval would mostly measure the sampling itself. */
const hostPeriodMs = 1000;
/** Shortest time between two warnings of a kind, ms. */
const warningEveryMs = 30_000;

/** Sends the readings of this host and of a simulated plant to ingest, over the public HTTP protocol. */
export function createSimulator(options: SimulatorOptions): Simulator {
  return new PublishingSimulator(options);
}

class PublishingSimulator implements Simulator {
  readonly #options: SimulatorOptions;
  readonly #clock: Clock;
  readonly #publisher: Publisher;
  readonly #onRetry: LimitedWarning;
  readonly #onHostError: LimitedWarning;
  readonly #onRefused: LimitedWarning;
  readonly #onLost = new Map<ErrorCode, LimitedWarning>();
  readonly #plant: Plant | undefined;
  readonly #host: Host | undefined;
  #timers: Timer[] = [];
  #isSampling = false;

  constructor(options: SimulatorOptions) {
    const { config } = options;
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#onRetry = this.#limited('ingest does not accept readings; retrying');
    this.#onHostError = this.#limited('cannot read the values of this host');
    this.#onRefused = this.#limited('ingest refused readings');
    this.#publisher = createPublisher({
      url: config.ingestUrl,
      token: config.token,
      clock: this.#clock,
      ...(options.random ? { random: options.random } : {}),
      ...(options.fetch ? { fetch: options.fetch } : {}),
      onRetry: (error, waitMs) => this.#onRetry.write(() => ({ error, waitMs })),
    });
    this.#plant = config.plant ? createPlant(config.plantSeed) : undefined;
    this.#host = config.hostReadings ? createHost({ name: config.hostName || hostname() }) : undefined;
  }

  #limited(sentence: string): LimitedWarning {
    const { logger } = this.#options;
    return new LimitedWarning(logger.warn.bind(logger), sentence, warningEveryMs, () => this.#clock.monotonic());
  }

  async start(): Promise<void> {
    const { config, logger } = this.#options;
    if (this.#host !== undefined) {
      if ((await this.#host.source()) === 'portable') {
        logger.info({}, 'this system has no /proc: only processors, memory and load of the host are reported');
      }
      // The first sample has no rates yet; everything else is reported at once.
      await this.#sampleHost(this.#host);
    }
    this.#startTimers();
    logger.info({ ingestUrl: config.ingestUrl, plant: config.plant, host: config.hostReadings }, 'publishing readings');
  }

  async drain(): Promise<void> {
    this.#cancelTimers();
    await this.#publisher.drain();
  }

  stop(): void {
    this.#cancelTimers();
    this.#publisher.close();
  }

  stats(): PublisherStats {
    return this.#publisher.stats();
  }

  #startTimers(): void {
    const { plant, host } = { plant: this.#plant, host: this.#host };
    if (host !== undefined) this.#timers.push(this.#clock.every(hostPeriodMs, () => void this.#sampleHost(host)));
    if (plant === undefined) return;
    let beforeMs = this.#clock.monotonic();
    this.#timers.push(
      this.#clock.every(1000 / this.#options.config.rateHz, () => {
        const nowMs = this.#clock.monotonic();
        this.#publish(plant.tick(this.#clock.now(), (nowMs - beforeMs) / 1000));
        beforeMs = nowMs;
      }),
    );
  }

  #cancelTimers(): void {
    for (const timer of this.#timers) timer.cancel();
    this.#timers = [];
  }

  async #sampleHost(host: Host): Promise<void> {
    // Samples must not queue behind a mount that hangs.
    if (this.#isSampling) return;
    this.#isSampling = true;
    try {
      this.#publish(await host.sample(this.#clock.now()));
    } catch (error) {
      this.#onHostError.write(() => ({ error }));
    } finally {
      this.#isSampling = false;
    }
  }

  #publish(reports: readonly Report[]): void {
    this.#publisher.publish(reports).then(
      ({ refused }) => {
        const [first] = refused;
        if (first === undefined) return;
        const { report, code, message } = first;
        this.#onRefused.write(() => ({ device: report.device, code, reason: message, count: refused.length }));
      },
      (thrown: unknown) => {
        const error = tailraceErrorFrom(thrown);
        if (error.code !== 'closed') this.#lost(error.code).write(() => ({ error, count: reports.length }));
      },
    );
  }

  #lost(code: ErrorCode): LimitedWarning {
    let warning = this.#onLost.get(code);
    if (warning === undefined) {
      warning = this.#limited('readings were lost');
      this.#onLost.set(code, warning);
    }
    return warning;
  }
}
