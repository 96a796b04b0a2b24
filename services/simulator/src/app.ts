import { hostname } from 'node:os';
import { createPublisher, type Publisher, type PublisherStats } from '@tailrace/client/publish';
import { type Clock, systemClock, type Timer } from '@tailrace/platform/clock';
import type { Logger } from '@tailrace/platform/logger';
import { tailraceErrorFrom } from '@tailrace/protocol/error';
import type { Report } from '@tailrace/protocol/report';
import { createComplaints } from './complaints.ts';
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
  /** Says nothing new; resolves when what was said has been answered. */
  drain(): Promise<void>;
  /** What is not answered yet is given up. Idempotent. */
  stop(): void;
  stats(): PublisherStats;
}

/** Faster readings of a host would mostly show the reading itself. */
const hostPeriodMs = 1000;

/** Sends the readings of this host and of a simulated plant to ingest, over the public HTTP protocol. */
export function createSimulator(options: SimulatorOptions): Simulator {
  return new PublishingSimulator(options);
}

class PublishingSimulator implements Simulator {
  readonly #options: SimulatorOptions;
  readonly #clock: Clock;
  readonly #publisher: Publisher;
  readonly #complain: (kind: string, facts: object, sentence: string) => void;
  readonly #plant: Plant | undefined;
  readonly #host: Host | undefined;
  #timers: Timer[] = [];
  #isSampling = false;

  constructor(options: SimulatorOptions) {
    const { config, logger } = options;
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#complain = createComplaints(logger, this.#clock);
    this.#publisher = createPublisher({
      url: config.ingestUrl,
      token: config.token,
      clock: this.#clock,
      ...(options.random ? { random: options.random } : {}),
      ...(options.fetch ? { fetch: options.fetch } : {}),
      onRetry: (error, waitMs) =>
        this.#complain('retry', { error, waitMs }, 'ingest does not take readings; they wait and are sent again'),
    });
    this.#plant = config.plant ? createPlant(config.plantSeed) : undefined;
    this.#host = config.hostReadings ? createHost({ name: config.hostName || hostname() }) : undefined;
  }

  async start(): Promise<void> {
    const { config, logger } = this.#options;
    if (this.#host !== undefined) {
      if ((await this.#host.source()) === 'portable') {
        logger.info({}, 'this system has no /proc: of the host only processors, memory, load and space are reported');
      }
      // The first look only sets the counters; what can be told at once is told at once.
      await this.#sampleHost(this.#host);
    }
    this.#startTimers();
    logger.info(
      { ingestUrl: config.ingestUrl, plant: config.plant, host: config.hostReadings },
      'readings are on their way',
    );
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
    // A mount that hangs must not gather looks behind it.
    if (this.#isSampling) return;
    this.#isSampling = true;
    try {
      this.#publish(await host.sample(this.#clock.now()));
    } catch (error) {
      this.#complain('host', { error }, 'this host could not be looked at');
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
        this.#complain(
          'refused',
          { device: report.device, code, reason: message, count: refused.length },
          'ingest refused readings',
        );
      },
      (thrown: unknown) => {
        const error = tailraceErrorFrom(thrown);
        if (error.code !== 'closed') this.#complain(error.code, { error, count: reports.length }, 'readings were lost');
      },
    );
  }
}
