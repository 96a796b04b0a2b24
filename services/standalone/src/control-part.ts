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

/**
 * Control with its store in this process. The store takes seconds to start, and a thread of its own: `start` does not
 * wait for it, so that readings and the page are there at once; `ready` does.
 */
export class ControlPart implements Part {
  readonly name = 'control';
  /** The stop waits for a start in progress, and writes a checkpoint. */
  readonly stopMs = 10_000;
  readonly #host: string;
  readonly #bus: Bus;
  readonly #database: Database;
  readonly #control: Control;
  #started: Promise<void> | undefined;
  #isStopping = false;

  constructor({ directory, eventLog, bus, clock, logger, metrics, tracing, random, config }: ControlPartOptions) {
    this.#host = config.host === '0.0.0.0' ? '127.0.0.1' : config.host;
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
    // `ready` reports it.
    this.#started.catch(() => undefined);
  }

  /** Of the API, from this machine. Valid once it is ready. */
  get url(): string {
    return `http://${this.#host}:${this.#control.port}`;
  }

  get isReady(): boolean {
    return this.#control.notReady() === undefined;
  }

  /** Resolves when control takes requests, or was stopped before. Rejects as its start does. */
  async ready(): Promise<void> {
    await this.#started;
  }

  async drain(): Promise<void> {
    await this.#control.drain();
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    await this.#started?.catch(() => undefined);
    await this.#control.stop();
    await this.#database.close();
    await this.#bus.close();
  }

  async #start(): Promise<void> {
    await this.#bus.start();
    await this.#database.start();
    if (!this.#isStopping) await this.#control.start();
  }
}
