import type { Bus } from '@tailrace/bus/bus';
import { registerBusMetrics } from '@tailrace/bus/metrics';
import { type Control, createControl } from '@tailrace/control/app';
import type { ControlSettings } from '@tailrace/control/config';
import type { Database } from '@tailrace/database/database';
import { registerDatabaseMetrics } from '@tailrace/database/metrics';
import { createPgliteDatabase } from '@tailrace/database/pglite';
import type { EventLog } from '@tailrace/eventlog/event-log';
import type { Clock } from '@tailrace/platform/clock';
import type { Part } from '@tailrace/platform/lifecycle';
import type { Logger } from '@tailrace/platform/logger';
import type { Metrics } from '@tailrace/platform/metrics';
import type { Tracing } from '@tailrace/platform/tracing';
import { backoffMs, noJitter } from '@tailrace/protocol/backoff';

export interface ControlPartOptions {
  /** Of the embedded PostgreSQL. */
  readonly directory: string;
  readonly eventLog: EventLog;
  /** Of control alone: this part starts and closes it. */
  readonly bus: Bus;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Of the service `control`. */
  readonly metrics: Metrics;
  readonly tracing: Tracing;
  readonly random: () => number;
  readonly config: ControlSettings;
}

/** Waits between the attempts to start the store. */
const storeWaits = { baseMs: 500, capMs: 5_000 };

/**
 * Control with its store in this process. The store takes seconds to start, and a thread of its own: `start` does not
 * wait for it, so that readings and the page are there at once; `ready` does. A store that does not start, as on a full
 * disk, is logged and started again, while everything else goes on.
 */
export class ControlPart implements Part {
  readonly name = 'control';
  /** The stop waits for a start in progress, and writes a checkpoint. */
  readonly stopMs = 10_000;
  readonly #host: string;
  readonly #bus: Bus;
  readonly #database: Database;
  readonly #control: Control;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #stopRequested = Promise.withResolvers<void>();
  readonly #failedOnce = Promise.withResolvers<void>();
  #isStopping = false;
  #started: Promise<void> | undefined;

  constructor(options: ControlPartOptions) {
    const { directory, eventLog, bus, clock, logger, metrics, tracing, random, config } = options;
    this.#host = config.host === '0.0.0.0' ? '127.0.0.1' : config.host;
    this.#clock = clock;
    this.#logger = logger;
    this.#bus = bus;
    this.#database = createPgliteDatabase({ directory, clock, logger });
    this.#control = createControl({
      ...{ database: this.#database, eventLog, bus, clock, random, logger, metrics, tracing, config },
      ...{ node: 'standalone', portSetting: 'portBase' },
    });
    registerDatabaseMetrics(metrics, this.#database);
    registerBusMetrics(metrics, bus);
  }

  start(): void {
    this.#started = this.#start();
    // `ready` rejects as well, unless the first attempt has failed before.
    this.#started.catch((error) => this.#logger.error({ error }, 'control does not start'));
  }

  /** Of the API, from this machine. Valid once it is ready. */
  get url(): string {
    return `http://${this.#host}:${this.#control.port}`;
  }

  get isReady(): boolean {
    return this.#control.notReady() === undefined;
  }

  /**
   * Resolves with whether control takes requests, after the first attempt to start its store. Rejects with
   * `address_in_use`, and `invalid_config` for a store of a newer version.
   */
  async ready(): Promise<boolean> {
    await Promise.race([this.#started, this.#failedOnce.promise]);
    return this.isReady;
  }

  async drain(): Promise<void> {
    await this.#control.drain();
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    this.#stopRequested.resolve();
    await this.#started?.catch(() => undefined);
    await this.#control.stop();
    await this.#database.close();
    await this.#bus.close();
  }

  async #start(): Promise<void> {
    await this.#bus.start();
    for (let attempt = 0; !this.#isStopping; attempt++) {
      try {
        await this.#database.start();
        break;
      } catch (error) {
        this.#logger.error({ error }, 'the store of control does not start; the rest goes on, and it is tried again');
        this.#failedOnce.resolve();
        const waited = this.#clock.sleep(backoffMs(attempt, noJitter, storeWaits));
        await Promise.race([waited, this.#stopRequested.promise]);
      }
    }
    if (!this.#isStopping) await this.#control.start();
  }
}
